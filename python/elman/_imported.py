"""A fitted estimator from weights that something else has trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elman._arrays import Array, as_array
from elman._base import BaseRNN
from elman._classification import ClassificationTask
from elman._classifier import RNNClassifier
from elman._exceptions import abbreviated, problem
from elman._model import Model
from elman._network import architecture, build, flat_parameters
from elman._parameters import check_network_parameters, check_parameters
from elman._regression import RegressionTask
from elman._regressor import RNNRegressor
from elman._sequences import InputForm
from elman._targets import TargetForm
from elman._tokens import check_token_parameters, embedding_width
from elman._training import TrainingState

Direction = dict[str, Array]
"""Weights of one direction of a layer: "W_xh", "W_hh", "b_h" and for some cells "b_hn"."""

N_GATES = {"simple": 1, "gru": 3, "lstm": 4}
CELLS = {n_gates: cell for cell, n_gates in N_GATES.items()}


def widened(array: Array) -> Array:
    """Return halves, bfloat16 among them, as float32: the core computes in no less."""
    is_half = "float" in array.dtype.name and array.dtype.itemsize < 4
    return array.astype(np.float32) if is_half else array


def reordered(array: Array, gates: Sequence[int]) -> Array:
    """Put the blocks of each gate, along the last axis, into another order."""
    blocks = np.split(array, len(gates), axis=-1)
    return np.concatenate([blocks[gate] for gate in gates], axis=-1)


@dataclass(frozen=True)
class Imported:
    """A network in the words of an estimator.

    Parameters
    ----------
    parameters : dict
        Parameters of the estimator, as far as they tell the architecture.
    weights : dict of ndarray
        Its weights, by the names of `weights_`.
    per_step : bool
        Whether there is an output for each time step.
    out_activation : {"identity", "exp", "softmax", "logistic"}
        What stands behind the outputs; the last two are a classifier's.
    has_output_axis : bool or None
        Whether one output has an axis of its own; None is True of numbers, and False of labels.
    layout : {"sequences", "tokens", "features", "vector"}
        What is read.
    n_timesteps : int
        Steps of the output, for vectors.
    classes : ndarray or None
        Labels, if they are known.
    """

    parameters: dict[str, Any]
    weights: dict[str, Array]
    per_step: bool
    out_activation: str = "identity"
    has_output_axis: bool | None = None
    layout: str = "sequences"
    n_timesteps: int = 1
    classes: Any = None

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        if "head.b" in self.weights:
            return int(np.size(self.weights["head.b"]))
        both = bool(np.atleast_1d(self.parameters["bidirectional"])[-1])
        is_joined = both and self.parameters["merge_mode"] == "concat"
        return int(self.parameters["hidden_layer_sizes"][-1]) * (2 if is_joined else 1)

    def estimator(self, caller: str, classes: Any = None) -> BaseRNN:
        """Return the estimator, fitted and ready to be trained further.

        Parameters
        ----------
        caller : str
            Who imports, for messages.
        classes : array-like or None
            Labels of the outputs, in their order; they make a classifier of any outputs.

        Raises
        ------
        ValueError
            If a weight has the wrong shape or is not finite, or the labels do not fit.
        """
        labels = classes if classes is not None else self.classes
        imported: Imported = self
        task: Any = None
        if labels is not None or self.out_activation in ("softmax", "logistic"):
            imported, task = _with_classes(self, labels, caller)
            estimator: BaseRNN = RNNClassifier(**imported.parameters)
        else:
            estimator = RNNRegressor(**imported.parameters, scale_targets=False)
        settings = estimator.get_params(deep=False)
        check_parameters(settings, caller, estimator._rules)
        check_network_parameters(settings, caller)
        check_token_parameters(settings, caller)
        if task is None:
            task = _regression_task(settings, imported.n_outputs)
        estimator._commit(_model(imported, task, settings, caller), None)
        return estimator


def _model(imported: Imported, task: Any, settings: dict[str, Any], caller: str) -> Model:
    arrays = {name: as_array(array, caller, name) for name, array in imported.weights.items()}
    dtype = np.dtype(np.float64 if _has_doubles(arrays) else np.float32)
    inputs = _input_form(imported.layout, arrays, dtype)
    n_channels = embedding_width(settings) if inputs.n_tokens else inputs.n_channels
    arguments = architecture(settings, dtype, n_channels, task.n_outputs, inputs.n_tokens)
    network = build(arguments, caller)
    parameters = flat_parameters(network, arrays, caller)
    training = TrainingState(task.unfold(network, parameters), np.random.RandomState(0), 0)
    n_outputs = _n_columns(task)
    has_axis = imported.has_output_axis
    if has_axis is None or isinstance(task, ClassificationTask):
        has_axis = not isinstance(task, ClassificationTask) or task.kind == "multilabel"
    targets = TargetForm(imported.per_step, False, has_axis or n_outputs > 1, n_outputs)
    parameters.flags.writeable = False
    return Model(arguments, parameters, inputs, targets, task, training, imported.n_timesteps)


def _n_columns(task: Any) -> int:
    """Columns of y."""
    if isinstance(task, ClassificationTask):
        return len(task.classes) if task.kind == "multilabel" else 1
    return len(task.mean)


def _has_doubles(arrays: dict[str, Array]) -> bool:
    return any(array.dtype.kind == "f" and array.dtype.itemsize > 4 for array in arrays.values())


def _input_form(layout: str, arrays: dict[str, Array], dtype: np.dtype[Any]) -> InputForm:
    """How X is read: as if it had been fitted on sequences of any length."""
    if layout in ("tokens", "features"):
        n_tokens = len(arrays["embedding"])
        n = 1 if layout == "tokens" else n_tokens
        shape = f"(n_samples, n_timesteps, {n})"
        return InputForm(layout, n, n, dtype, shape, n_tokens=n_tokens)
    n = len(arrays["layers.0.W_xh"])
    shape = f"(n_samples, {n})" if layout == "vector" else f"(n_samples, n_timesteps, {n})"
    return InputForm(layout, n, n, dtype, shape)


def _regression_task(settings: dict[str, Any], n_outputs: int) -> RegressionTask:
    n_targets = n_outputs // 2 if settings["loss"] == "gaussian_nll" else n_outputs
    parameter = {"huber": "huber_delta", "quantile": "quantile"}.get(settings["loss"])
    level = settings[parameter] if parameter else 1.0
    return RegressionTask(settings["loss"], level, np.zeros(n_targets), np.ones(n_targets))


def _with_classes(
    imported: Imported, classes: Any, caller: str
) -> tuple[Imported, ClassificationTask]:
    """Tell what kind of classifier it is, and bring the outputs into the order of the labels."""
    n, activation = imported.n_outputs, imported.out_activation
    if activation == "exp":
        raise ValueError(problem(caller, "classes", abbreviated(classes), "None with exponentials"))
    is_only_class = n == 1 and activation == "softmax"
    if is_only_class and classes is None:
        raise ValueError(problem(caller, "head", "a softmax of one output", "two or more outputs"))
    if activation == "logistic" and n > 1:
        if classes is not None and list(classes) != list(range(n)):
            expected = f"None: {n} logistic outputs are labels that do not exclude each other"
            raise ValueError(problem(caller, "classes", abbreviated(classes), expected))
        return imported, ClassificationTask("multilabel", np.arange(n))
    n_labels = n if activation == "softmax" else max(n, 2)
    labels = np.arange(n_labels) if classes is None else np.asarray(classes)
    if labels.dtype == object:
        labels = np.array(labels.tolist())
    if labels.ndim != 1 or len(np.unique(labels)) != n_labels or len(labels) != n_labels:
        expected = f"{n_labels} distinct labels, for {n} output{'s' if n > 1 else ''}"
        raise ValueError(problem(caller, "classes", abbreviated(classes), expected))
    order = np.argsort(labels)
    imported = replace(imported, weights=_with_sorted_outputs(imported, order, caller))
    kind = "binary" if n == 1 and not is_only_class else "multiclass"
    return imported, ClassificationTask(kind, labels[order])


def _with_sorted_outputs(imported: Imported, order: Array, caller: str) -> dict[str, Array]:
    """Weights of the head such that outputs stand in the order of sorted labels."""
    weights = imported.weights
    if np.array_equal(order, np.arange(len(order))):
        return weights
    if "head.W" not in weights:
        got, expected = "labels that are not sorted", "sorted ones where there is no head"
        raise ValueError(problem(caller, "classes", got, expected))
    W, b = np.asarray(weights["head.W"]), np.asarray(weights["head.b"])
    if len(b) == 1:  # the probability of the other class
        return {**weights, "head.W": -W, "head.b": -b}
    return {**weights, "head.W": W[:, order], "head.b": b[order]}


@dataclass(frozen=True)
class Layer:
    """One recurrent layer.

    Parameters
    ----------
    name : str
        What it is called where it comes from, for messages.
    cell : {"simple", "gru", "lstm"}
        Its cell.
    directions : list of dict
        Weights of each direction.
    activation : {"tanh", "relu", "identity"}
        Of the simple cell.
    reset_after : bool
        Of the GRU.
    is_reversed : bool
        Whether its one direction reads backwards.
    """

    name: str
    cell: str
    directions: list[Direction]
    activation: str = "tanh"
    reset_after: bool = True
    is_reversed: bool = False

    @property
    def n_units(self) -> int:
        """Units of one direction."""
        return len(self.directions[0]["W_hh"])

    @property
    def kind(self) -> str:
        """What all layers of a network must share, in words."""
        if self.cell == "simple":
            return f"simple cell with activation {self.activation!r}"
        if self.cell == "gru":
            return f"GRU with reset_after={self.reset_after}"
        return "LSTM"


def direction(
    cell: str,
    W_xh: Array,
    W_hh: Array,
    b_input: Array | None = None,
    b_state: Array | None = None,
    *,
    reset_after: bool = True,
) -> Direction:
    """Weights of one direction, from two biases, of which either may be missing.

    The two add up, but for the candidate of a GRU that resets after the product: there the
    reset gate stands between them.
    """
    b_input = np.zeros(W_hh.shape[-1], W_hh.dtype) if b_input is None else b_input
    b_state = np.zeros_like(b_input) if b_state is None else b_state
    if cell != "gru" or not reset_after:
        return {"W_xh": W_xh, "W_hh": W_hh, "b_h": b_input + b_state}
    n_units = len(W_hh)
    of_gates = np.concatenate([b_state[: 2 * n_units], np.zeros_like(b_state[2 * n_units :])])
    return {"W_xh": W_xh, "W_hh": W_hh, "b_h": b_input + of_gates, "b_hn": b_state[2 * n_units :]}


@dataclass
class Parts:
    """What a network is made of, in the order in which data go through it.

    Parameters
    ----------
    layers : list of Layer
        The recurrent layers.
    merge_mode : str or None
        How directions become one vector; None where no layer has two.
    embedding : ndarray of shape (n_tokens, n_channels), or None
        Vectors of tokens.
    head : (ndarray, ndarray) or None
        W (n_features, n_outputs) and b (n_outputs,) of the dense layer.
    """

    layers: list[Layer] = field(default_factory=list)
    merge_mode: str | None = None
    embedding: Array | None = None
    head: tuple[Array, Array | None] | None = None

    def merge(self, mode: str, name: str, caller: str) -> None:
        """Take note of how a layer merges its directions; all have to do it alike."""
        if self.merge_mode not in (None, mode):
            expected = f"{self.merge_mode!r}, as the layers before it"
            raise ValueError(problem(caller, name, f"merge mode {mode!r}", expected))
        self.merge_mode = mode

    def imported(
        self,
        caller: str,
        *,
        per_step: bool,
        parameters: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Imported:
        """Put the parts together, with parameters that they do not tell."""
        if not self.layers:
            expected = "at least one: RNN, GRU or LSTM"
            raise ValueError(problem(caller, "model", "no recurrent layer", expected))
        _check_alike(self.layers, caller)
        for layer in self.layers:
            if layer.is_reversed:
                self.merge("sum", f"{layer.name}, which reads backwards alone,", caller)
        first = self.layers[0]
        weights: dict[str, Array] = {}
        for k, layer in enumerate(self.layers):
            for prefix, arrays in zip(("", "reverse."), _both(layer), strict=False):
                weights |= {f"layers.{k}.{prefix}{name}": a for name, a in arrays.items()}
        directions = tuple(len(_both(layer)) == 2 for layer in self.layers)
        told: dict[str, Any] = {
            "cell": first.cell,
            "activation": first.activation,
            "reset_after": first.reset_after,
            "hidden_layer_sizes": tuple(layer.n_units for layer in self.layers),
            "bidirectional": directions if any(directions) else False,
            "merge_mode": self.merge_mode or "concat",
            "head": None if self.head is None else "dense",
            **(parameters or {}),
        }
        if self.embedding is not None:
            weights["embedding"] = self.embedding
            n_tokens, width = self.embedding.shape
            told |= {"input": "tokens", "n_tokens": n_tokens, "embedding_dim": width}
            more["layout"] = "tokens"
        if self.head is not None:
            W, b = self.head
            weights |= {"head.W": W, "head.b": np.zeros(W.shape[1], W.dtype) if b is None else b}
        return Imported(told, weights, per_step, **more)


def _both(layer: Layer) -> list[Direction]:
    """Directions of a layer, of which a reversed one is the second beside a first of zeros.

    All cells keep states of zero where all weights are zero, and the sum of both is what counts.
    """
    if not layer.is_reversed:
        return layer.directions
    (only,) = layer.directions
    return [{name: np.zeros_like(array) for name, array in only.items()}, only]


def _check_alike(layers: Sequence[Layer], caller: str) -> None:
    for layer in layers[1:]:
        if layer.kind != layers[0].kind:
            expected = f"a {layers[0].kind}, as {layers[0].name} before it"
            raise ValueError(problem(caller, layer.name, f"a {layer.kind}", expected))
