"""Run the code of a page while it is read, and put under each block what it gives.

In a Markdown page every block that says ``python`` is run, in order and in one namespace; shown are
what it prints, the value of its last expression, and its figures. Of a block that says ``console``
the lines that begin with ``$`` are run by a shell. Both work in a folder of their own, which is
thrown away. Code that fails, or warns, is a warning of Sphinx, with which ``-W`` fails.

A page whose front matter says ``needs: data`` is run only where public data may be read, and a
block that imports a package which is named in OPTIONAL only where that is installed; elsewhere
they are shown without results.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback
import warnings

import inline_svg
import matplotlib
import matplotlib.pyplot as plt
from docutils import nodes
from sklearn.exceptions import ConvergenceWarning
from sphinx.util import logging

logger = logging.getLogger(__name__)
OPTIONAL = ("darts", "keras", "torch")


def run_page(app, doctree):
    """Run the blocks of one page."""
    env = app.env
    if not str(env.doc2path(env.docname)).endswith(".md"):
        return
    if env.metadata[env.docname].get("needs") == "data" and not app.config.executed_have_data:
        logger.info("%s: not run, since ELMAN_DATA is not set", env.docname)
        return
    blocks = [b for b in doctree.findall(nodes.literal_block) if "language" in b]
    namespace = {"__name__": "__main__"}
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, matplotlib.rc_context(inline_svg.STYLE):
        os.chdir(folder)
        try:
            for block in blocks:
                if block["language"] == "python" and not _lacks(block.astext()):
                    _replace(block, _run_python(block, namespace))
                elif block["language"] == "console":
                    block.replace_self(_literal(_run_console(block), "console"))
        finally:
            os.chdir(before)
            plt.close("all")


def _optional(code):
    """Optional packages that the code imports."""
    return [name for name in OPTIONAL if re.search(rf"^(import|from) {name}\b", code, re.M)]


def _lacks(code):
    """Whether the code needs an optional package that is not installed."""
    return any(importlib.util.find_spec(name) is None for name in _optional(code))


def _run_python(block, namespace):
    """Run a block; return the nodes that show what it gave."""
    output = io.StringIO()
    plt.close("all")
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(output):
            # What optional packages warn of among themselves is not ours to mend.
            warnings.simplefilter("ignore" if _optional(block.astext()) else "error")
            warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs, by intention
            value = _execute(block.astext(), namespace)
    except Exception:
        logger.warning("this code fails:\n%s", traceback.format_exc(limit=-2), location=block)
        return []
    figures = [inline_svg.of_figure(plt.figure(number)) for number in plt.get_fignums()]
    text = output.getvalue()
    if value is not None and not figures:
        text += f"{value!r}\n"
    shown = [_literal(text.rstrip("\n"), "none", "output")] if text else []
    return shown + [nodes.raw("", svg, format="html") for svg in figures]


def _execute(code, namespace):
    """Run the code, and return the value of its last statement if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<page>", "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "<page>", "eval"), namespace)


def _run_console(block):
    """Run each line that begins with a prompt; return them with what they print."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    lines = []
    for line in block.astext().splitlines():
        if not line.startswith("$ "):
            continue
        command = ["bash", "-c", line[2:]]
        result = subprocess.run(
            command, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        if result.returncode:
            logger.warning("%s fails:\n%s", line, result.stderr, location=block)
        lines += [line, *result.stdout.splitlines()]
    return "\n".join(lines)


def _replace(block, results):
    block.parent[block.parent.index(block) : block.parent.index(block) + 1] = [block, *results]


def _literal(text, language, *classes):
    return nodes.literal_block(text, text, language=language, classes=list(classes))


def setup(app):
    app.add_config_value("executed_have_data", False, "env")
    app.connect("doctree-read", run_page)
    return {"version": "1", "parallel_read_safe": False}
