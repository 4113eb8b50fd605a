"""`from_keras`: a recurrent network that Keras has trained as a fitted estimator."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._base import BaseRNN
from elman._exceptions import problem
from elman._imported import (
    CELLS,
    Direction,
    Layer,
    Parts,
    direction,
    reordered,
    widened,
)
from elman._parameters import RULES, check_parameters, one_of

CALLER = "elman.from_keras"
CELL_OF = {"SimpleRNN": "simple", "GRU": "gru", "LSTM": "lstm"}
ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "linear": "identity"}
OUT_ACTIVATIONS = {
    "linear": "identity",
    "softmax": "softmax",
    "sigmoid": "logistic",
    "exponential": "exp",
}
MERGE_MODES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "mul"}
OF_TRAINING = (
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("InputLayer", "SpatialDropout1D"),
)
"""Layers that do nothing outside of training."""

GRU_GATES = (1, 0, 2)
"""Our r z n among Keras' z r h; those of an LSTM stand as ours do."""


def from_keras(
    model: Any,
    *,
    output: str = "auto",
    activation: str = "tanh",
    merge_mode: str = "concat",
    classes: Any = None,
) -> BaseRNN:
    """Make a fitted estimator of a recurrent network of Keras.

    The estimator takes sequences of shape (n_samples, n_timesteps, n_channels), predicts the same
    numbers, and is trained further by `partial_fit` or by `fit` with ``warm_start=True``; it counts
    no epochs yet, so that `loss_` is None. Dropout is not taken over.

    Layers are ``Masking`` or ``Embedding`` or neither; ``SimpleRNN``, ``GRU`` or ``LSTM``, alone or
    in a ``Bidirectional``, one or more of a kind; and a ``Dense`` or none, alone or in a
    ``TimeDistributed``. Whether there is an output for each step is told by ``return_sequences``.
    An activation "softmax" or "sigmoid" of the ``Dense``, or of an ``Activation`` behind it, makes
    a classifier, "exponential" a regressor with ``loss="poisson"``.

    - ``Masking`` becomes ``missing="mask"``: steps that Keras would skip are those with NaN. At
      such steps outputs go on as they were, where a ``Bidirectional`` of Keras puts out zeros.
    - With ``mask_zero=True`` in an ``Embedding`` sequences come without their padding, as a list:
      token 0 is a token like others here, and a warning says so.

    Parameters
    ----------
    model : keras.Model, keras.Layer or list of arrays
        A ``Sequential``, a functional model of one layer after another, or a recurrent layer; or
        what `get_weights` of one of them returns.
    output : {"auto", "vector", "sequence"}, default="auto"
        With a list of arrays, whether there is an output for each sequence or for each of its
        steps. "auto" is told by a model; of a list it is "vector", as ``return_sequences=False`` is
        the default of Keras.
    activation : {"tanh", "relu", "identity"}, default="tanh"
        With a list of arrays, that of a ``SimpleRNN``.
    merge_mode : {"concat", "sum", "mean", "mul"}, default="concat"
        With a list of arrays, that of every ``Bidirectional``.
    classes : array-like of shape (n_classes,), default=None
        Labels of the outputs, in their order; they make a classifier of a model that puts out
        logits. None makes a classifier where there is a softmax or a sigmoid, with the numbers from
        0 as labels, and a regressor elsewhere.

    Returns
    -------
    estimator : RNNRegressor or RNNClassifier
        The fitted estimator.

    Raises
    ------
    TypeError
        If the model is none of these.
    ValueError
        If a layer is or does something that no estimator does, or if a list of arrays may be more
        than one network.

    Warns
    -----
    UserWarning
        If the layer ``Embedding`` has ``mask_zero=True``.

    See Also
    --------
    from_onnx : The same for graphs of ONNX.
    from_torch : The same for PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import from_keras
    >>> rng = np.random.RandomState(0)
    >>> weights = [rng.randn(2, 16), rng.randn(4, 16), rng.randn(16), rng.randn(4, 1), rng.randn(1)]
    >>> model = from_keras(weights)  # an LSTM of four units and a Dense
    >>> model.cell, model.hidden_layer_sizes, model.predict(rng.randn(5, 10, 2)).shape
    ('lstm', (4,), (5, 1))
    """
    given = {"output": output, "activation": activation, "merge_mode": merge_mode}
    rules = {
        "output": RULES["output"],
        "activation": one_of(*ACTIVATIONS.values()),
        "merge_mode": RULES["merge_mode"],
    }
    check_parameters(given, CALLER, rules)
    if isinstance(model, (list, tuple)):
        parts = _parts_of_arrays(model, activation, merge_mode)
        return parts.imported(CALLER, per_step=output == "sequence").estimator(CALLER, classes)
    if not hasattr(model, "get_weights") or not hasattr(model, "get_config"):
        expected = "a keras.Model, a keras.Layer or a list of arrays"
        raise TypeError(problem(CALLER, "model", f"a {type(model).__name__}", expected))
    defaults = {"output": "auto", "activation": "tanh", "merge_mode": "concat"}
    for name, value in given.items():
        if value != defaults[name]:
            expected = f"{defaults[name]!r} with a model, which tells it"
            raise ValueError(problem(CALLER, name, repr(value), expected))
    reading = _Reading()
    for layer in _layers(model):
        reading.read(layer)
    return reading.estimator(classes)


def _layers(model: Any) -> Iterator[Any]:
    """Layers in the order in which data go through them, those of nested models too."""
    if not hasattr(model, "layers"):
        yield model
        return
    if "Sequential" not in {base.__name__ for base in type(model).__mro__}:
        _check_is_chain(model)
    for layer in model.layers:
        yield from _layers(layer)


def _check_is_chain(model: Any) -> None:
    """Raise ValueError unless each layer of a functional model reads the one before it."""
    expected = "a Sequential, or a functional model of one layer after another"
    try:
        is_chain = len(model.inputs) == len(model.outputs) == 1
        value = model.inputs[0]
        for layer in model.layers[1:] if is_chain else []:
            read, *masks = layer.input if isinstance(layer.input, list) else [layer.input]
            is_chain &= read is value and all(str(mask.dtype) == "bool" for mask in masks)
            value = layer.output
        is_chain &= model.outputs[0] is value
    except (AttributeError, TypeError, ValueError) as error:
        got = f"a {type(model).__name__} without a graph of layers ({error})"
        raise ValueError(problem(CALLER, "model", got, expected)) from error
    if not is_chain:
        raise ValueError(problem(CALLER, "model", "layers beside each other", expected))


@dataclass
class _Reading:
    """What has been read of a model.

    Parameters
    ----------
    parts : Parts
        Its layers and their weights.
    is_masked : bool
        Whether steps may be skipped.
    per_step : bool or None
        Whether there is an output for each step; None before the first recurrent layer.
    out_activation : str or None
        What stands behind the outputs; None before that is told.
    """

    parts: Parts = field(default_factory=Parts)
    is_masked: bool = False
    per_step: bool | None = None
    out_activation: str | None = None

    def read(self, layer: Any) -> None:
        """Read one more layer."""
        kind, config = type(layer).__name__, layer.get_config()
        if kind == "TimeDistributed":
            layer, kind, config = layer.layer, type(layer.layer).__name__, layer.layer.get_config()
        name = f"layer {config.get('name')!r} ({kind})"
        if kind in OF_TRAINING:
            return
        if self.out_activation not in (None, "identity"):
            expected = "none behind the outputs' activation"
            raise ValueError(problem(CALLER, name, "a place there", expected))
        readers = {
            "Masking": self._masking,
            "Embedding": self._embedding,
            "Bidirectional": self._bidirectional,
            "Dense": self._dense,
            "Activation": self._activation,
            "Softmax": self._softmax,
            **dict.fromkeys(CELL_OF, self._recurrent),
        }
        if kind not in readers:
            raise ValueError(problem(CALLER, name, f"a {kind}", f"one of {', '.join(readers)}"))
        readers[kind](layer, config, name)

    def estimator(self, classes: Any) -> BaseRNN:
        """Return the estimator."""
        parameters: dict[str, Any] = {"missing": "mask"} if self.is_masked else {}
        if self.out_activation == "exp":
            parameters["loss"] = "poisson"
        imported = self.parts.imported(
            CALLER,
            per_step=bool(self.per_step),
            out_activation=self.out_activation or "identity",
            parameters=parameters,
        )
        return imported.estimator(CALLER, classes)

    def _masking(self, layer: Any, config: dict[str, Any], name: str) -> None:
        self._check_place(not self.parts.layers and self.parts.embedding is None, name)
        self.is_masked = True

    def _embedding(self, layer: Any, config: dict[str, Any], name: str) -> None:
        is_first = not self.parts.layers and self.parts.embedding is None
        self._check_place(is_first and not self.is_masked, name)
        (self.parts.embedding,) = _weights(layer, name, 1)
        if config.get("mask_zero"):
            message = problem(CALLER, name, "mask_zero=True", "sequences without their padding")
            warnings.warn(f"{message}: token 0 is one like others", UserWarning, stacklevel=4)

    def _recurrent(self, layer: Any, config: dict[str, Any], name: str) -> None:
        self._check_place(self.parts.head is None and self.per_step is not False, name)
        backwards = bool(config.get("go_backwards"))
        if backwards and config["return_sequences"]:
            got = "go_backwards=True and return_sequences=True"
            raise ValueError(problem(CALLER, name, got, "not both: steps turn round"))
        self._add([layer], config, name, is_reversed=backwards)

    def _bidirectional(self, layer: Any, config: dict[str, Any], name: str) -> None:
        self._check_place(self.parts.head is None and self.per_step is not False, name)
        halves = [layer.forward_layer, layer.backward_layer]
        configs = [half.get_config() for half in halves]
        kinds = {type(half).__name__ for half in halves}
        if len(kinds) > 1 or not kinds <= set(CELL_OF):
            expected = f"two of one kind, of {', '.join(CELL_OF)}"
            raise ValueError(problem(CALLER, name, f"the layers {sorted(kinds)}", expected))
        for key in ("units", "activation", "reset_after", "return_sequences"):
            if configs[0].get(key) != configs[1].get(key):
                got = f"layers with different {key}"
                raise ValueError(problem(CALLER, name, got, "the same of both directions"))
        if [bool(half.get("go_backwards")) for half in configs] != [False, True]:
            got = "another order of directions"
            raise ValueError(problem(CALLER, name, got, "forwards, then backwards"))
        mode = config.get("merge_mode")
        if mode not in MERGE_MODES:
            expected = f"one of {', '.join(map(repr, MERGE_MODES))}"
            raise ValueError(problem(CALLER, name, f"merge_mode={mode!r}", expected))
        self._add(halves, configs[0], name)
        self.parts.merge(MERGE_MODES[mode], name, CALLER)

    def _add(
        self, halves: list[Any], config: dict[str, Any], name: str, *, is_reversed: bool = False
    ) -> None:
        """Add a recurrent layer of one direction or of two."""
        cell = CELL_OF[type(halves[0]).__name__]
        _check_recurrent(config, cell, name)
        reset_after = bool(config.get("reset_after", True))
        directions = []
        for half in halves:
            arrays = _weights(half, name, 3 if config.get("use_bias", True) else 2)
            directions.append(_direction(cell, arrays, reset_after=reset_after))
        activation = ACTIVATIONS[config["activation"]] if cell == "simple" else "tanh"
        self.parts.layers.append(
            Layer(name, cell, directions, activation, reset_after, is_reversed)
        )
        self.per_step = bool(config["return_sequences"])

    def _dense(self, layer: Any, config: dict[str, Any], name: str) -> None:
        self._check_place(bool(self.parts.layers) and self.parts.head is None, name)
        W, *b = _weights(layer, name, 2 if config.get("use_bias", True) else 1)
        self.parts.head = W, b[0] if b else None
        self._activation(layer, config, name)

    def _activation(self, layer: Any, config: dict[str, Any], name: str) -> None:
        activation = config.get("activation")
        self._check_place(bool(self.parts.layers), name)
        if not isinstance(activation, str) or activation not in OUT_ACTIVATIONS:
            expected = f"one of {', '.join(map(repr, OUT_ACTIVATIONS))}"
            raise ValueError(problem(CALLER, name, f"activation={activation!r}", expected))
        self.out_activation = OUT_ACTIVATIONS[activation]

    def _softmax(self, layer: Any, config: dict[str, Any], name: str) -> None:
        if config.get("axis", -1) != -1:
            raise ValueError(problem(CALLER, name, f"axis={config['axis']}", "the last, -1"))
        self._activation(layer, {"activation": "softmax"}, name)

    def _check_place(self, fits: bool, name: str) -> None:
        if not fits:
            expected = (
                "Masking or Embedding first, then recurrent layers of which all but the last one "
                "have return_sequences=True, then one Dense"
            )
            raise ValueError(problem(CALLER, name, "another place", expected))


def _check_recurrent(config: dict[str, Any], cell: str, name: str) -> None:
    """Raise ValueError for options that change what a layer puts out, and that cells here lack."""
    for key in ("stateful", "return_state"):
        if config.get(key):
            expected = "False: predict takes initial_state and return_state"
            raise ValueError(problem(CALLER, name, f"{key}=True", expected))
    wanted = {"activation": tuple(ACTIVATIONS)}
    if cell != "simple":
        wanted = {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)}
    for key, names in wanted.items():
        if config[key] not in names:
            expected = " or ".join(map(repr, names))
            raise ValueError(problem(CALLER, name, f"{key}={config[key]!r}", expected))


def _weights(layer: Any, name: str, count: int) -> list[Array]:
    arrays = [widened(np.asarray(array)) for array in layer.get_weights()]
    if len(arrays) != count:
        got = f"{len(arrays)} arrays of weights"
        raise ValueError(problem(CALLER, name, got, f"{count}, of a layer that has been built"))
    return arrays


def _direction(cell: str, arrays: Sequence[Array], *, reset_after: bool) -> Direction:
    """Weights of one direction from kernel, recurrent_kernel and bias."""
    if cell == "gru":
        arrays = [reordered(array, GRU_GATES) for array in arrays]
    W_xh, W_hh, *bias = arrays
    biases = bias[0] if bias and bias[0].ndim == 2 else bias  # two rows: of input and of state
    return direction(cell, W_xh, W_hh, *biases, reset_after=reset_after)


def _parts_of_arrays(arrays: Sequence[Any], activation: str, merge_mode: str) -> Parts:
    """Tell by their shapes which network some arrays are."""
    given = [widened(np.asarray(array)) for array in arrays]
    found = list(islice(_networks(given, None, merge_mode, Parts()), 2))
    shapes = ", ".join(str(array.shape) for array in given)
    if not found:
        expected = "those of SimpleRNN, GRU with its bias or LSTM, with an Embedding and a Dense"
        raise ValueError(problem(CALLER, "model", f"arrays of shapes {shapes}", expected))
    if len(found) > 1:
        got = f"arrays of shapes {shapes}, which several networks have"
        raise ValueError(problem(CALLER, "model", got, "the model instead of its weights"))
    (parts,) = found
    if parts.layers[0].cell == "simple":
        parts.layers = [replace(layer, activation=activation) for layer in parts.layers]
    return parts


def _networks(
    arrays: list[Array], width: int | None, merge_mode: str, parts: Parts
) -> Iterator[Parts]:
    """All networks that have these arrays, after what has been read of them."""
    if parts.layers and not arrays:
        yield parts
    if parts.layers and 1 <= len(arrays) <= 2 and _is_dense(arrays, width):
        yield replace(parts, head=(arrays[0], arrays[1] if len(arrays) == 2 else None))
    if not parts.layers and parts.embedding is None and len(arrays) > 1 and arrays[0].ndim == 2:
        yield from _networks(
            arrays[1:], arrays[0].shape[1], merge_mode, replace(parts, embedding=arrays[0])
        )
    one = _one_direction(arrays, width)
    if one is None or (parts.layers and parts.layers[0].kind != one[0].kind):
        return
    layer, rest = one
    n_units = layer.n_units
    yield from _networks(rest, n_units, merge_mode, replace(parts, layers=[*parts.layers, layer]))
    other = _one_direction(rest, len(layer.directions[0]["W_xh"]))
    if other is not None and (other[0].kind, other[0].n_units) == (layer.kind, n_units):
        both = replace(layer, directions=layer.directions + other[0].directions)
        width = n_units * (2 if merge_mode == "concat" else 1)
        layers = [*parts.layers, both]
        more = replace(parts, layers=layers, merge_mode=merge_mode)
        yield from _networks(other[1], width, merge_mode, more)


def _is_dense(arrays: list[Array], width: int | None) -> bool:
    W = arrays[0]
    is_matrix = W.ndim == 2 and len(W) == width
    return is_matrix and (len(arrays) == 1 or arrays[1].shape == W.shape[1:])


def _one_direction(arrays: list[Array], width: int | None) -> tuple[Layer, list[Array]] | None:
    """Return the layer that the first arrays may be, and the others."""
    if len(arrays) < 2 or arrays[0].ndim != 2 or arrays[1].ndim != 2 or not arrays[1].size:
        return None
    kernel, recurrent = arrays[:2]
    n_gates, remainder = divmod(recurrent.shape[1], recurrent.shape[0])
    cell = CELLS.get(n_gates)
    if cell is None or remainder or kernel.shape[1] != recurrent.shape[1]:
        return None
    if width is not None and len(kernel) != width:
        return None
    n, reset_after = 2, True
    shapes = [recurrent.shape[1:]] + ([(2, recurrent.shape[1])] if cell == "gru" else [])
    if len(arrays) > 2 and arrays[2].shape in shapes:
        n, reset_after = 3, cell != "gru" or arrays[2].ndim == 2
    if cell == "gru" and n == 2:  # nothing tells whether it resets after the product
        return None
    weights = _direction(cell, arrays[:n], reset_after=reset_after)
    return Layer("model", cell, [weights], reset_after=reset_after), arrays[n:]
