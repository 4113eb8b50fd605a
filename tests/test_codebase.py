"""The sources keep their own rules, wherever the tools of the extra ``lint`` are installed."""

import ast
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("cpp", "tests/cpp")
    for path in (ROOT / folder).rglob("*.[ch]pp")
)
RULES = {
    "ruff check": ["ruff", "check", "--no-cache"],
    "ruff format": ["ruff", "format", "--check", "--no-cache"],
    "mypy": ["mypy"],
    "clang-format": ["clang-format", "--dry-run", "--Werror", *SOURCES],
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    tool, *arguments = RULES[rule]
    executable = shutil.which(tool, path=sysconfig.get_path("scripts"))
    if executable is None:
        pytest.skip(f"{tool} is not installed: pip install 'elman[lint]'")
    if tool == "mypy":
        arguments += ["--python-executable", sys.executable]
    result = subprocess.run([executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def longest_function(path):
    """Most lines that a body in the file takes beside its docstring, and the function's name."""
    longest = (0, "")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.body[0].lineno + 1 - len(docstring.splitlines())
            longest = max(longest, (lines, node.name))
    return longest


@pytest.mark.parametrize(
    "path", sorted((ROOT / "python").rglob("*.py")), ids=lambda path: path.name
)
def test_functions_fit_on_a_screen(path):
    lines, name = longest_function(path)
    assert lines <= 60, f"{name} takes {lines} lines"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "cpp" / "elman").rglob("*.?pp")), ids=lambda path: path.name
)
def test_the_core_knows_no_python(path):
    text = path.read_text(encoding="utf-8").lower()
    assert "pybind11" not in text
    assert "python.h" not in text
