"""A fitted estimator as a C header: a state of fixed size, one step at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from elman._arrays import Array, is_finite
from elman._base import BaseRNN
from elman._exceptions import abbreviated, problem
from elman._model import Model

CALLER = "elman.to_c"
PANEL_WIDTHS = (8, 4, 1)
"""As model_multiply_ takes columns."""
NUMBERS_IN_A_LINE = 8
ACTIVATIONS = {
    "tanh": "model_tanh_(z[j])",
    "relu": "z[j] < 0.0f ? 0.0f : z[j]",
    "identity": "z[j]",
}
ROOM = {"simple": 1, "gru": 4, "lstm": 4, "min_gru": 2, "min_lstm": 3}
"""Numbers that a layer's function needs for each unit."""
OUTPUTS = {
    "identity": "",
    "exp": "    for (int j = 0; j < MODEL_N_OUTPUTS; ++j) y[j] = expf(y[j]);\n",
    "multilabel": "    for (int j = 0; j < MODEL_N_OUTPUTS; ++j) y[j] = model_sigmoid_(y[j]);\n",
    "binary": """\
    y[1] = model_sigmoid_(y[0]);
    y[0] = 1.0f - y[1];
""",
    "multiclass": """\
    float largest = y[0], total = 0.0f;
    for (int j = 1; j < MODEL_N_OUTPUTS; ++j) largest = y[j] > largest ? y[j] : largest;
    for (int j = 0; j < MODEL_N_OUTPUTS; ++j) y[j] = model_exp_(y[j] - largest);
    for (int j = 0; j < MODEL_N_OUTPUTS; ++j) total += y[j];
    for (int j = 0; j < MODEL_N_OUTPUTS; ++j) y[j] /= total;
""",
}
"""From the head's outputs to those of a step, by activation or kind of classification."""


def to_c(model: BaseRNN, path: str | os.PathLike[str], *, prefix: str = "model") -> None:
    """Write a fitted estimator as one C99 header.

    It needs no memory but a state of fixed size and some of the stack, no library but C's own, and
    computes in float32, one sequence at a time::

        model_state state;
        model_init(&state);
        model_step(&state, x, y);     /* the next time step */
        model_predict(x, n_steps, y); /* a whole sequence */

    The comment on top of the header tells what x and y are. A regressor's y are the predictions; a
    classifier's are probabilities in the order of `classes_`, of which ``model_label`` tells the
    number of the largest. They agree with the estimator's to about 1e-6, relative to the largest.

    Parameters
    ----------
    model : RNNRegressor or RNNClassifier
        Fitted. Weights of float64 are rounded to float32.
    path : str or path-like
        The file that is written, e.g. "model.h".
    prefix : str, default="model"
        What the names in the header begin with.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the model is another one.
    ValueError
        If a layer is bidirectional, which would take the memory of whole sequences; if the input
        is sparse matrices of features; if a weight is too large for float32; or if the prefix is
        no name in C.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import elman
    >>> X = np.random.RandomState(0).randn(100, 8, 2)
    >>> model = elman.RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0)
    >>> model = model.fit(X, X[:, :, 0].sum(axis=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.h")
    ...     elman.to_c(model, path)
    ...     "static inline void model_step(" in path.read_text()
    True
    """
    if not isinstance(model, BaseRNN):
        expected = "a fitted RNNRegressor or RNNClassifier"
        raise TypeError(problem(CALLER, "model", repr(type(model)), expected))
    fitted = model._fitted_model("to_c")
    _check(fitted, prefix)
    text = Header(fitted, type(model).__name__).text()
    text = text.replace("MODEL_", f"{prefix.upper()}_")
    text = re.sub(r"\bmodel_", f"{prefix}_", text)
    Path(path).write_text(text, encoding="ascii")


def _check(model: Model, prefix: Any) -> None:
    if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix):
        expected = "a name of letters, digits and underscores"
        raise ValueError(problem(CALLER, "prefix", abbreviated(prefix), expected))
    if any(model.architecture["bidirectional"]):
        expected = "layers of one direction: one that reads backwards needs the whole sequence"
        raise ValueError(problem(CALLER, "model", "bidirectional layers", expected))
    if model.inputs.layout == "features":
        got = "sparse matrices of features as input"
        raise ValueError(problem(CALLER, "model", got, "numbers, or a token for each step"))
    with np.errstate(over="ignore"):
        single = model.parameters.astype(np.float32)
    if not is_finite(single):
        got = "weights too large for float32"
        raise ValueError(problem(CALLER, "model", got, "weights within float32"))


class Header:
    """The text of a header, in which names begin with "model_"."""

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.name, self.options = model, name, model.architecture
        self.weights = {key: array.astype(np.float32) for key, array in model.weights().items()}
        self.sizes: list[int] = self.options["hidden_layer_sizes"]
        self.is_reset_before = self.options["cell"] == "gru" and not self.options["reset_after"]
        self.has_tokens = self.options["n_tokens"] > 0
        self.x = "int32_t token" if self.has_tokens else "const float *x"
        self.kind: str | None = getattr(model.task, "kind", None)
        # Of "gaussian_nll" only the means are predictions.
        self.n_of_head = model.task.n_outputs if self.kind else model.targets.n_outputs
        self.n_outputs = 2 if self.kind == "binary" else self.n_of_head

    def text(self) -> str:
        """Everything in order."""
        parts = [
            self._top(),
            *self._arrays(),
            self._layers(),
            self._state(),
            *self._functions(),
            self._advance(),
            self._outputs(),
            self._interface(),
            "#endif",
        ]
        return "\n\n".join(part.strip("\n") for part in parts) + "\n"

    def _top(self) -> str:
        from elman import __version__

        n_weights = sum(array.size for array in self.weights.values())
        n_units = " and ".join(map(str, self.sizes))
        may_miss = ", NaN where they are missing" if self.options["missing"] != "none" else ""
        x = f"a token, 0 to {self.options['n_tokens'] - 1}; others count as 0, the unknown one"
        if not self.has_tokens:
            x = f"MODEL_N_CHANNELS values of a time step{may_miss}"
        of_each = "each step" if self.model.targets.per_step else "the sequence so far"
        y = f"MODEL_N_OUTPUTS {'probabilities' if self.kind else 'predictions'} of {of_each}"
        return f"""\
/* {self.name} of elman {__version__}: {self.options["cell"]}, {n_units} units, {n_weights} weights.

       model_state state;
       model_init(&state);
       model_step(&state, {self.x.split()[-1].strip("*")}, y);

   x: {x}
   y: {y}
{self._classes()}*/
#ifndef MODEL_H_INCLUDED
#define MODEL_H_INCLUDED

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MODEL_N_CHANNELS {1 if self.has_tokens else self.options["n_channels"]}
#define MODEL_N_OUTPUTS {self.n_outputs}"""

    def _classes(self) -> str:
        """Tell the labels, in a line of the comment."""
        if self.kind in (None, "multilabel"):
            return ""
        labels = abbreviated(self.model.task.classes.tolist(), 400)
        text = labels.encode("ascii", "backslashreplace").decode().replace("*", "\\x2a")
        return f"   classes: {text}\n"

    def _arrays(self) -> Iterator[str]:
        """Weights as the functions read them."""
        for name, array in self.weights.items():
            if name.startswith("head."):
                array = array[..., : self.n_of_head]
            if self.is_reset_before and name.endswith("W_hh"):
                of_gates = 2 * len(array)
                yield _array(name.replace("W_hh", "W_hn"), _panels(array[:, of_gates:]))
                array = array[:, :of_gates]
            in_panels = array.ndim == 2 and name != "embedding"
            yield _array(name, _panels(array) if in_panels else array.ravel())

    def _layers(self) -> str:
        """Join each layer's arrays in a struct."""
        prefix = "layers.0."
        kinds = [name.removeprefix(prefix) for name in self.weights if name.startswith(prefix)]
        kinds += ["W_hn"] if self.is_reset_before else []
        rows = [
            "    {" + ", ".join(_c_name(f"layers.{layer}.{kind}") for kind in kinds) + "},"
            for layer in range(len(self.sizes))
        ]
        return "\n".join(
            [
                "typedef struct {",
                *(f"    const float *{kind};" for kind in kinds),
                "} model_weights_;",
                "",
                f"static const model_weights_ model_layers_[{len(self.sizes)}] = {{",
                *rows,
                "};",
            ]
        )

    def _state(self) -> str:
        states = self.model.network().states
        members = [f"    float {name.replace('.', '_')}[{width}];" for name, width, _ in states]
        return "\n".join(["typedef struct {", *members, "} model_state;"])

    def _functions(self) -> Iterator[str]:
        options = self.options
        yield _template("functions")
        yield _template("layer_norm" if options["layer_norm"] else "start")
        cell = options["cell"]
        if cell == "gru":
            cell += "_reset_before" if self.is_reset_before else "_reset_after"
        text = _template(cell).replace("ACTIVATION", ACTIVATIONS[options["activation"]])
        yield text if options["layer_norm"] else re.sub(r".*model_normalize_.*\n", "", text)
        if options["missing"] == "decay":
            yield _template("decay")

    def _advance(self) -> str:
        n_channels, missing = self.options["n_channels"], self.options["missing"]
        inputs, guard, before = "x", "", ""
        if self.has_tokens:
            inputs, known = "embedded", f"token >= 0 && token < {self.options['n_tokens']}"
            before = f"""\
    const float *const embedded = model_embedding_ + {n_channels} * ({known} ? token : 0);
"""
        if missing == "decay":
            inputs = "inputs"
            before = f"""\
    float inputs[{2 * n_channels}];
    model_decay_({n_channels}, {self.sizes[0]}, x, state->decay_last, state->decay_since,
                 state->layers_0_h, inputs, z);
"""
        if missing == "mask":
            guard = "if (is_there) "
            before = """\
    int is_there = 1;
    for (int j = 0; j < MODEL_N_CHANNELS; ++j)
        if (x[j] != x[j]) is_there = 0;
"""
        room = ROOM[self.options["cell"]] * max(self.sizes)
        return f"""\
/* One time step, up to what the head reads. */
static inline void model_advance_(model_state *state, {self.x}, float *features) {{
    float z[{room}];
{before}{"".join(self._steps_of_layers(inputs, guard))}}}"""

    def _steps_of_layers(self, inputs: str, guard: str) -> Iterator[str]:
        """Each layer's step, and the vectors between them; a guarded one may be left out."""
        is_residual = self.options["residual"]
        depth = self.options["n_channels"] * (2 if self.options["missing"] == "decay" else 1)
        for layer, size in enumerate(self.sizes):
            h = f"state->layers_{layer}_h"
            states = f"{h}, state->layers_{layer}_c" if self.options["cell"] == "lstm" else h
            yield (
                f"    {guard}model_layer_({depth}, {size}, &model_layers_[{layer}], {inputs}, "
                f"{states}, z);\n"
            )
            if is_residual and layer > 0:
                yield f"    for (int j = 0; j < {size}; ++j) features[j] += {h}[j];\n"
            elif is_residual or layer + 1 == len(self.sizes):
                yield f"    memcpy(features, {h}, sizeof {h});\n"
            inputs, depth = "features" if is_residual else h, size

    def _outputs(self) -> str:
        outputs = OUTPUTS[self.kind or self.model.task.out_activation]
        head = f"    memcpy(y, features, {self.n_of_head} * sizeof *y);\n"
        if "head.W" in self.weights:
            head = f"""\
    memcpy(y, model_head_b_, sizeof model_head_b_);
    model_multiply_({self.sizes[-1]}, {self.n_of_head}, features, model_head_W_, y);
"""
        return f"""\
static inline void model_outputs_(const float *features, float *y) {{
{head}{outputs}}}"""

    def _interface(self) -> str:
        last = "    memcpy(state->decay_last, model_decay_mean_, sizeof state->decay_last);\n"
        return f"""\
/* The start of a sequence. */
static inline void model_init(model_state *state) {{
    memset(state, 0, sizeof *state);
{last if self.options["missing"] == "decay" else ""}}}

/* The next time step. */
static inline void model_step(model_state *state, {self.x}, float *y) {{
    float features[{self.sizes[-1]}];
    model_advance_(state, {self.x.split()[-1].strip("*")}, features);
    model_outputs_(features, y);
}}

{self._predict()}{self._label()}"""

    def _predict(self) -> str:
        x, step = (
            ("const int32_t *tokens", "tokens[t]")
            if self.has_tokens
            else (
                "const float *x",
                "x + t * MODEL_N_CHANNELS",
            )
        )
        what = "A whole sequence of at least one step"
        if self.model.inputs.layout == "vector":
            what, step = "A sequence of at least one step, at each of which x is the same", "x"
        outputs = ("", "    model_outputs_(features, y);\n")
        to = "y"
        if self.model.targets.per_step:
            outputs = ("        model_outputs_(features, y + t * MODEL_N_OUTPUTS);\n", "")
            to = "the y of each step"
        return f"""\
/* {what}, to {to}. */
static inline void model_predict({x}, int n_steps, float *y) {{
    model_state state;
    float features[{self.sizes[-1]}] = {{0.0f}};
    model_init(&state);
    for (int t = 0; t < n_steps; ++t) {{
        model_advance_(&state, {step}, features);
{outputs[0]}    }}
{outputs[1]}}}
"""

    def _label(self) -> str:
        if self.kind in (None, "multilabel"):
            return ""
        return """
/* The number of the class whose probability is the largest. */
static inline int model_label(const float *y)
{
    int label = 0;
    for (int j = 1; j < MODEL_N_OUTPUTS; ++j)
        if (y[j] > y[label]) label = j;
    return label;
}
"""


def _template(name: str) -> str:
    file = resources.files("elman").joinpath("c", f"{name}.c")
    return file.read_text(encoding="ascii")


def _c_name(name: str) -> str:
    return f"model_{name.replace('.', '_')}_"


def _panels(W: Array) -> Array:
    """Columns in panels of eight, row after row, and what is left over in narrower ones."""
    panels, first = [], 0
    for width in PANEL_WIDTHS:
        while first + width <= W.shape[1]:
            panels.append(W[:, first : first + width].ravel())
            first += width
    return np.concatenate(panels)


def _array(name: str, numbers: Array) -> str:
    """Define an array; the shortest decimals that give the same float32 again."""
    texts = numbers.astype(str).tolist()
    lines = [
        "    " + "".join(f"{text}f, " for text in texts[i : i + NUMBERS_IN_A_LINE]).rstrip()
        for i in range(0, len(texts), NUMBERS_IN_A_LINE)
    ]
    head = f"static const float {_c_name(name)}[{len(texts)}] = {{"
    return "\n".join([head, *lines, "};"])
