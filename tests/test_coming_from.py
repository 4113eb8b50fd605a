"""What "Coming from …" says is ours is there: names, parameters and their values, row by row."""

import ast
import inspect
import re
from pathlib import Path

import elman
import numpy as np
import pytest
from elman._panel_form import COLUMNS
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

PAGES = Path(__file__).resolve().parent.parent / "docs" / "coming_from"
NETWORKS = (elman.RNNRegressor, elman.RNNClassifier, elman.Seq2SeqRegressor)
FORECASTERS = (elman.RNNForecaster, elman.LinearForecaster, elman.NaiveForecaster)
X = np.random.default_rng(0).uniform(size=(40, 4, 1))


def rows(page):
    """The cells of a page's table, without its head."""
    lines = [line for line in (PAGES / page).read_text("utf-8").splitlines() if line[:2] == "| "]
    table = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    assert {len(row) for row in table} == {2}
    return table[1:]


ROWS = [(page, *row) for page in ("keras.md", "pytorch.md", "mlp.md") for row in rows(page)]
FORECASTS = [("darts.md", *row) for row in rows("darts.md")]


def code(cell):
    """Expressions of a cell: ``f(a=…)`` as it is, ``a=…`` as a keyword of a nameless call."""
    for span in re.findall(r"`([^`]+)`", cell):
        text = span.replace("…", "...") + ("..." if span.endswith("=") else "")
        text = text if re.match(r"[\w.\"]+($|[(\[])", text) or text[0] == '"' else f"_({text})"
        yield ast.parse(re.sub(r"\(\.\.\., ", "(", text), mode="eval").body


@pytest.fixture(scope="module")
def fitted():
    """A network and a forecaster, for their attributes."""
    network = elman.RNNRegressor(early_stopping=True, max_iter=1)
    with pytest.warns(ConvergenceWarning):
        network.fit(X, X[:, 0, 0])
    return network, elman.NaiveForecaster().fit(np.arange(9.0))


def accepts(estimators, **values):
    """Whether one of the estimators has these parameters, and fits with values that are told."""
    having = [k for k in estimators if set(values) <= set(inspect.signature(k).parameters)]
    told = {name: value for name, value in values.items() if value is not ...}
    # Tokens and vectors are another X than the one here.
    return any(told.get("input", "sequence") != "sequence" or fits(kind, told) for kind in having)


def fits(kind, told):
    """Whether a quick fit goes well; other errors than of these parameters are raised."""
    few = {"n_updates": 1, "n_estimators": 1} if kind is elman.RNNForecaster else {"max_iter": 1}
    model = kind(**({} if kind in FORECASTERS[1:] else few) | told)
    data = (X, X[:, :, 0] if kind is elman.Seq2SeqRegressor else np.arange(40) % 2)
    try:
        model.fit(np.arange(80.0)) if kind in FORECASTERS else model.fit(*data)
    except ValueError as error:
        if not any(f"{name} got" in str(error) for name in told):
            raise
        return False
    return True


def check(node, estimators, models):
    """Check one expression of our column."""
    if isinstance(node, ast.Constant):
        assert node.value in models[0].weights_
    elif isinstance(node, ast.Subscript):
        assert isinstance(node.slice, ast.Constant)
        assert node.slice.value in getattr(models[0], node.value.id)
    elif isinstance(node, ast.Call):
        check_call(node, estimators, models)
    else:
        assert is_there(ast.unparse(node), estimators, models), ast.unparse(node)


def check_call(node, estimators, models):
    name = ast.unparse(node.func)
    values = {k.arg: literal(k.value) for k in node.keywords}
    if name == "_":
        assert accepts(estimators, **values)
        return
    assert is_there(name, estimators, models), name
    if hasattr(elman, name):
        assert accepts([getattr(elman, name)], **values)
    else:
        methods = [getattr(kind, name, None) for kind in estimators]
        signatures = [inspect.signature(method).parameters for method in methods if method]
        assert any(set(values) <= set(parameters) for parameters in signatures) or not values


def literal(node):
    """The value of a literal; ... where it stands for what the reader has."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def is_there(name, estimators, models):
    if name in COLUMNS or ("." not in name and accepts(estimators, **{name: ...})):
        return True
    *parents, last = name.removeprefix("elman.").split(".")
    if parents == ["stream"]:
        return hasattr(models[0].stream(), last)
    return any(hasattr(place, last) for place in (elman, *estimators, *models))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("page", "theirs", "ours"), ROWS + FORECASTS)
def test_ours_is_there(page, theirs, ours, fitted):
    estimators = FORECASTERS if page == "darts.md" else NETWORKS
    is_the_same = page != "darts.md" and ours.startswith("the same")
    for node in [*code(ours), *(code(theirs) if is_the_same else ())]:
        check(node, estimators, fitted)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("page", "theirs", "ours"), [*ROWS, *FORECASTS])
def test_values_that_follow_in_words_are_taken(page, theirs, ours):
    """``loss="squared_error"``, "huber": the second is a value of the same parameter."""
    words = re.findall(r'"(\w+)"', re.sub(r"`[^`]*`", "", ours))
    names = re.findall(r"`(?:\w+\()?(\w+)(?:=|`)", ours) + re.findall(r"`(\w+)=", theirs)
    estimators = FORECASTERS if page == "darts.md" else NETWORKS
    for word in words:
        assert any(accepts(estimators, **{name: word}) for name in names), word


@pytest.mark.parametrize("theirs", [row[0] for row in rows("mlp.md")])
def test_what_is_said_of_the_mlp_is_there(theirs):
    mlp = MLPRegressor(early_stopping=True, max_iter=2, tol=10).set_params()
    known = {*mlp.get_params(), *dir(mlp), *re.findall(r"\b\w+_\b", MLPRegressor.__doc__)}
    for node in code(theirs):
        names = [k.arg for k in node.keywords] if isinstance(node, ast.Call) else [node.id]
        assert set(names) <= known
