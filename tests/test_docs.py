"""The documentation is whole: every public name has its place, and links lead somewhere.

What needs Sphinx, the code of the pages above all, is tested by the build itself
(``python -m sphinx -W --keep-going -b html docs build/docs``); here is what needs nothing.
"""

import re
from pathlib import Path

import elman
import elman.data
import elman.datasets
import elman.inspect
import elman.metrics
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MADE = {"generated", "gallery"}  # by the build
PAGES = sorted(path for path in DOCS.rglob("*.md") if not MADE & set(path.parts))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md", *PAGES]
CODE = re.compile(r"^(`{3,}).*?^\1", re.MULTILINE | re.DOTALL)


def name(path):
    return str(path.relative_to(ROOT))


def reference():
    """Names in the API reference, by their module."""
    module, names = "", {}
    for line in (DOCS / "api.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.removeprefix(".. currentmodule:: ")
        elif re.fullmatch(r"   \w+", line):
            names.setdefault(module, []).append(line.strip())
    return names


@pytest.mark.parametrize(
    "module",
    [elman, elman.data, elman.datasets, elman.inspect, elman.metrics],
    ids=lambda m: m.__name__,
)
def test_every_public_name_is_in_the_reference(module):
    public = set(module.__all__) - {"data", "datasets", "inspect", "metrics"}  # their own sections
    assert sorted(reference()[module.__name__]) == sorted(public)


def test_the_estimators_of_clusters_are_in_the_reference():
    dask = pytest.importorskip("elman.dask")
    assert sorted(reference()["elman.dask"]) == sorted(dask.__all__)


def test_the_adapter_of_sktime_is_in_the_reference():
    assert reference()["elman.sktime"] == ["SktimeForecaster"]


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_relative_links_lead_somewhere(path):
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            linked = (path.parent / file).resolve() if file else path
            assert linked.exists(), target
            if heading:
                assert heading in headings(linked), target


def headings(path):
    """The anchors of a page, as they are made of its headings."""
    lines = re.findall(r"^#+ (.*)$", CODE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_page_is_reached_from_a_table_of_contents(path):
    if path == DOCS / "index.md":
        return
    listed = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for entries in re.findall(r"```\{toctree\}\n(?::[^\n]*\n)*(.*?)```", text, re.DOTALL):
            listed |= {(page.parent / f"{entry}.md").resolve() for entry in entries.split()}
    assert path in listed


@pytest.mark.parametrize("path", sorted((DOCS / "guides").glob("[!i]*.md")), ids=name)
def test_every_guide_runs_code_and_tells_when_not_to_use_it(path):
    text = path.read_text(encoding="utf-8")
    assert "```python\n" in text
    assert "\n## When not to use this\n" in text


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_code_of_pages_compiles(path):
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
        compile(code, str(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_tests_that_pages_name_are_there(path):
    for file in re.findall(r"`((?:tests|examples|bench)/[\w/.]+)`", path.read_text("utf-8")):
        assert (ROOT / file).exists(), file


def test_every_promise_names_its_tests():
    page = (DOCS / "promises.md").read_text(encoding="utf-8")
    promises = re.findall(r"^\| (?!promise|-)(.*) \| (.*) \|$", page, re.MULTILINE)
    assert len(promises) > 15
    for promise, tested in promises:
        named = [ROOT / file for file in re.findall(r"`(tests/[\w/.]+)`", tested)]
        assert named, promise
        for file in named:
            assert file.is_dir() or re.search(r"^def test_|^int main|TEST", file.read_text(), re.M)


def test_every_script_of_the_gallery_compiles_and_draws():
    scripts = sorted((ROOT / "examples" / "gallery").glob("plot_*.py"))
    assert len(scripts) >= 6
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        compile(text, str(script), "exec")
        assert re.match(r'"""\n(.+)\n=+\n\n', text), script.name
        assert "plt.subplots" in text or "Display.from_estimator" in text
        assert "fetch_" not in text, "the gallery needs no data of others"
