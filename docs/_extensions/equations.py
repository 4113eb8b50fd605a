"""Equations as SVG within the page: no script from elsewhere, no font that a reader may lack."""

from __future__ import annotations

import html

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.textpath import TextPath

SIZE = 100.0  # of the letters, in the units of the drawing
FONT = FontProperties(size=SIZE, math_fontfamily="stix")
COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}


def _drawn(equation):
    """Return an equation as an element of HTML that stands on the line of the text around it."""
    text = f"${' '.join(equation.split())}$"
    width, height, depth, _, _ = MathTextParser("path").parse(text, 72, FONT)
    commands = []
    for points, code in TextPath((0, 0), text, prop=FONT).iter_segments(curves=True):
        if code == Path.CLOSEPOLY:
            commands.append("Z")
        else:
            numbers = [f"{-v if i % 2 else v:.1f}" for i, v in enumerate(points)]
            commands.append(COMMANDS[code] + " ".join(numbers))
    scale = 1.08 / SIZE  # em of the page's text
    style = f"width:{width * scale:.2f}em;height:{height * scale:.2f}em;"
    style += f"vertical-align:{-depth * scale:.2f}em"
    box = f"0 {depth - height:.1f} {width:.1f} {height:.1f}"
    label = html.escape(equation, quote=True)
    return (
        f'<svg class="equation" role="img" aria-label="{label}" viewBox="{box}" style="{style}">'
        f'<path fill="currentColor" d="{"".join(commands)}"/></svg>'
    )


def _inline(translator, node):
    translator.body.append(_drawn(node.astext()))
    raise nodes.SkipNode


def _block(translator, node):
    translator.body.append(f'<div class="equation">{_drawn(node.astext())}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("drawn", (_inline, None), (_block, None))
    return {"version": "1", "parallel_read_safe": True}
