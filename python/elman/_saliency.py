"""How much each input of a fitted network matters for what it predicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from elman._arrays import Array, as_array, check_finite
from elman._base import BaseRNN
from elman._classification import ClassificationTask
from elman._exceptions import abbreviated, problem
from elman._model import Model
from elman._parameters import COUNT, Rule, check_parameters, one_of
from elman._sequences import Sequences
from elman._targets import TargetForm, restore
from elman._threads import effective_n_threads
from elman._tokens import FeatureSequences, TokenSequences

RULES = {
    "method": one_of("gradient", "integrated"),
    # The points are eigenvalues of a matrix of so many rows.
    "n_steps": Rule(
        lambda value: COUNT.passes(value) and value <= 1000, "an integer from 1 to 1000"
    ),
    "step": Rule(
        lambda value: (
            value in ("last", "sum")
            if isinstance(value, str)
            else isinstance(value, Integral) and not isinstance(value, bool)
        ),
        "'last', 'sum' or the number of a step",
    ),
}


def saliency(
    model: Any,
    X: Any,
    *,
    output: Any = None,
    step: str | int = "last",
    method: str = "gradient",
    baseline: Any = 0.0,
    n_steps: int = 32,
    n_jobs: int | None = None,
) -> Any:
    """Tell how each value of each sequence moves what is predicted for it.

    The gradient is exact: it is what training would follow, by backpropagation through time to the
    inputs instead of the weights. It tells what a small change does. Integrated gradients [1]_ are
    the mean of the gradient on the straight way from a baseline to the sequence, times the
    difference between the two: they add up to what the prediction has moved on that way.

    Parameters
    ----------
    model : RNNRegressor or RNNClassifier
        A fitted estimator. Of a pipeline, transform X by all steps but the last, and hand in that.
    X : array-like, data frame or list of arrays
        Sequences in one of the forms of the model's `fit`.
    output : object, default=None
        What of a prediction is looked at. Of a regressor the number of a target; None is the only
        one. Of a classifier a class, whose probability it is; None is the second one of two, and
        of more the class that is predicted for each sequence. Of several labels the number of one.
    step : {"last", "sum"} or int, default="last"
        Where there is a prediction for each step: that of the last one, the sum of all, or that
        of a step by number, negative ones counted from the end.
    method : {"gradient", "integrated"}, default="gradient"
        The gradient, or integrated gradients.
    baseline : float or array-like of shape (n_channels,), default=0.0
        Where the way of integrated gradients begins: a value for every step, or one for each
        channel. Of tokens it is zero, which is where no token is. Missing values stay missing.
    n_steps : int, default=32
        Points on the way, at which the gradient is taken (those of Gauss and Legendre); up to
        1000.
    n_jobs : int or None, default=None
        Number of threads; None is every core that the process may use. Results do not depend on
        it.

    Returns
    -------
    saliency : ndarray or list of ndarray
        In the form of X: an array of its shape, with NaN behind the end of a sequence, or a list
        of arrays. Of tokens a number for each step, which is that of the embedded token: the
        gradient times the vector, summed. Of missing values zero.

    Raises
    ------
    TypeError
        If the model is another one.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If an argument is not as it should be.

    See Also
    --------
    SaliencyDisplay : The same as a picture.
    permutation_importance : How much channels and lags matter for the score.

    References
    ----------
    .. [1] Sundararajan, M., Taly, A. and Yan, Q. "Axiomatic attribution for deep networks."
       ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNRegressor
    >>> from elman.inspect import saliency
    >>> X = np.random.RandomState(0).randn(200, 6, 2)
    >>> y = X[:, -1, 0] - X[:, -2, 1]
    >>> model = RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> saliency(model, X).mean(axis=0).round()[-3:] + 0.0
    array([[ 0.,  0.],
           [ 0., -1.],
           [ 1.,  0.]])

    Integrated gradients add up to what the prediction has moved.

    >>> parts = saliency(model, X, method="integrated")
    >>> moved = model.predict(X) - model.predict(np.zeros_like(X))
    >>> bool(np.allclose(parts.sum(axis=(1, 2)), moved, atol=1e-3))
    True
    """
    caller = "elman.inspect.saliency"
    check_parameters({"method": method, "n_steps": n_steps, "step": step}, caller, RULES)
    fitted = fitted_network(model, caller)
    n_threads = effective_n_threads(n_jobs, caller)
    sequences = model._read_X(fitted, caller, X)
    way = _Way(fitted, sequences, _baseline(baseline, fitted, caller))
    chosen = _Chosen(fitted, output, step, sequences, caller)
    outputs = way.outputs(1.0, n_threads)
    chosen = replace(chosen, labels=chosen.labels_of(outputs))
    if method == "gradient":
        gradient = way.gradient(1.0, chosen.gradient(outputs), n_threads)
        rows = (gradient * way.inputs).sum(axis=1, keepdims=True) if way.has_tokens else gradient
    else:
        points, shares = np.polynomial.legendre.leggauss(n_steps)
        mean = np.zeros(way.inputs.shape)
        for point, share in zip((1 + points) / 2, shares / 2, strict=True):
            if not chosen.is_output:
                outputs = way.outputs(float(point), n_threads)
            mean += share * way.gradient(float(point), chosen.gradient(outputs), n_threads)
        rows = np.where(np.isnan(way.inputs), 0, (way.inputs - way.baseline) * mean)
        rows = rows.sum(axis=1, keepdims=True) if way.has_tokens else rows
    return _in_form(rows.astype(fitted.inputs.dtype), X, fitted, sequences)


def fitted_network(model: Any, caller: str) -> Model:
    """Return what a fit has left behind; TypeError for what is no such estimator."""
    if isinstance(model, BaseRNN):
        return model._fitted_model(caller.rpartition(".")[2])
    got, expected = f"a {type(model).__name__}", "an RNNRegressor or RNNClassifier"
    if isinstance(model, Pipeline):
        expected += ": transform X by model[:-1], and hand in model[-1]"
    raise TypeError(problem(caller, "model", got, expected))


def _baseline(baseline: Any, model: Model, caller: str) -> Array:
    values = as_array(np.atleast_1d(baseline), caller, "baseline")
    if model.inputs.n_tokens and np.any(values != 0):
        raise ValueError(problem(caller, "baseline", abbreviated(baseline), "0 for tokens"))
    n_channels = model.architecture["n_channels"]
    if values.shape not in ((1,), (n_channels,)):
        expected = f"a number, or ({n_channels},) of them"
        raise ValueError(problem(caller, "baseline", f"shape {values.shape}", expected))
    check_finite(values, caller, "baseline", ("channel",))
    return values.astype(np.float64)


@dataclass(frozen=True)
class _Way:
    """The straight way from a baseline to the sequences."""

    model: Model
    sequences: Sequences
    baseline: Array

    @property
    def has_tokens(self) -> bool:
        return self.model.inputs.n_tokens > 0

    @property
    def inputs(self) -> Array:
        """What the network reads at each step: numbers, or what the embedding makes of tokens."""
        if not isinstance(self.sequences, (TokenSequences, FeatureSequences)):
            return self.sequences.values
        embedding = self.model.weights()["embedding"]
        return np.asarray(self.sequences.step_matrix(len(embedding)) @ embedding)

    def steps(self, point: float) -> Any:
        """Return steps as the core takes them, at a share of the way."""
        dtype = self.model.inputs.dtype
        if point == 1:
            return self.sequences.values
        if isinstance(self.sequences, (TokenSequences, FeatureSequences)):
            matrix = self.sequences.step_matrix(self.model.inputs.n_tokens)
            values = np.asarray(point * matrix.data, dtype=dtype)
            return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), values
        values = self.baseline + point * (self.sequences.values - self.baseline)
        return np.ascontiguousarray(values, dtype=dtype)

    def outputs(self, point: float, n_threads: int) -> Array:
        per_step = self.model.targets.per_step
        steps, offsets = self.steps(point), self.sequences.offsets
        outputs, _ = self.model.network().forward(
            self.model.parameters, steps, offsets, per_step=per_step, n_threads=n_threads
        )
        return np.asarray(outputs)

    def gradient(self, point: float, doutputs: Array, n_threads: int) -> NDArray[np.float64]:
        """Gradient by the inputs at a share of the way, from that by the outputs."""
        gradient = self.model.network().input_gradient(
            self.model.parameters,
            self.steps(point),
            self.sequences.offsets,
            np.ascontiguousarray(doutputs, dtype=self.model.inputs.dtype),
            per_step=self.model.targets.per_step,
            n_threads=n_threads,
        )
        return np.asarray(gradient, dtype=np.float64)


@dataclass(frozen=True)
class _Chosen:
    """What of the predictions is looked at: one number of some rows."""

    model: Model
    output: Any
    step: str | int
    sequences: Sequences
    caller: str
    labels: Any = None

    @property
    def is_output(self) -> bool:
        """Whether it is an output as it is: its gradient by the outputs is the same anywhere."""
        task = self.model.task
        return not isinstance(task, ClassificationTask) and task.out_activation == "identity"

    def labels_of(self, outputs: Array) -> NDArray[np.int64]:
        """Return the number of the target or class, for each row of the outputs."""
        task, output = self.model.task, self.output
        if not isinstance(task, ClassificationTask) or task.kind == "multilabel":
            number = self._number(self.model.targets.n_outputs)
        elif output is not None:
            number = self._class_number(task.classes)
        elif task.kind == "binary":
            number = 1
        else:
            rows = self.rows()
            labels = np.zeros(len(outputs), dtype=np.int64)
            labels[rows] = np.argmax(outputs[rows], axis=1)
            return labels
        return np.full(len(outputs), number, dtype=np.int64)

    def _number(self, n: int) -> int:
        output = self.output
        if output is None and n == 1:
            return 0
        is_integer = isinstance(output, Integral) and not isinstance(output, bool)
        if not is_integer or not 0 <= output < n:
            expected = f"an integer from 0 to {n - 1}"
            raise ValueError(problem(self.caller, "output", abbreviated(output), expected))
        return int(output)

    def _class_number(self, classes: Array) -> int:
        found = [i for i, label in enumerate(classes.tolist()) if label == self.output]
        if not found:
            expected = f"one of {abbreviated(classes.tolist())}"
            raise ValueError(problem(self.caller, "output", abbreviated(self.output), expected))
        return found[0]

    def rows(self) -> NDArray[np.int64]:
        """Rows of the outputs that count."""
        offsets, lengths = self.sequences.offsets, self.sequences.lengths
        if not self.model.targets.per_step or self.step == "sum":
            n = offsets[-1] if self.model.targets.per_step else len(lengths)
            return np.arange(n, dtype=np.int64)
        step = -1 if isinstance(self.step, str) else int(self.step)
        if not (-lengths.min() <= step < lengths.min()):
            expected = f"a step of every sequence, of which the shortest has {lengths.min()}"
            raise ValueError(problem(self.caller, "step", str(step), expected))
        rows: NDArray[np.int64] = (offsets[:-1] if step >= 0 else offsets[1:]) + step
        return rows

    def gradient(self, outputs: Array) -> NDArray[np.float64]:
        """Gradient of the number by the outputs of the network."""
        gradient = np.zeros(outputs.shape)
        rows = self.rows()
        gradient[rows] = _gradient(self.model.task, outputs[rows], self.labels[rows])
        return gradient


def _gradient(task: Any, outputs: Array, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    outputs = outputs.astype(np.float64)
    is_chosen = np.arange(outputs.shape[1]) == labels[:, None]
    if task.out_activation == "exp":
        return np.asarray(is_chosen * np.exp(outputs))
    if not isinstance(task, ClassificationTask):
        return np.asarray(is_chosen, dtype=np.float64)
    p = task.probabilities(outputs)
    if task.kind == "binary":
        return np.asarray((2 * labels[:, None] - 1) * p[:, :1] * p[:, 1:])
    if task.kind == "multilabel":
        return np.asarray(is_chosen * p * (1 - p))
    return np.asarray(p[is_chosen][:, None] * (is_chosen - p))


def _in_form(rows: Array, X: Any, model: Model, sequences: Sequences) -> Any:
    """Give rows of all steps the form of X."""
    layout = model.inputs.layout
    if layout == "vector":  # of which every step reads the same
        return np.add.reduceat(rows, sequences.offsets[:-1])
    if layout == "table":
        return rows.reshape(len(sequences), -1)
    has_channels = layout == "sequences" and not (sequences.is_list and np.ndim(next(iter(X))) == 1)
    form = TargetForm(True, False, has_channels, rows.shape[1])
    return restore(rows, form, sequences)
