"""`from_torch`: a recurrent network that PyTorch has trained as a fitted estimator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._base import BaseRNN
from elman._exceptions import problem
from elman._imported import CELLS, Direction, Imported, Layer, Parts, direction, widened
from elman._parameters import check_parameters, one_of

CALLER = "elman.from_torch"
MODES = {
    "RNN_TANH": ("simple", "tanh"),
    "RNN_RELU": ("simple", "relu"),
    "GRU": ("gru", "tanh"),
    "LSTM": ("lstm", "tanh"),
}
PRECISIONS = {8: 1e-10, 4: 1e-5, 2: 2e-2}
"""Differences, as shares of the largest output, between two ways to compute it; by bytes."""

OUT_ACTIVATIONS = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "logistic"}
OF_TRAINING = ("Dropout", "Identity")
"""Modules that do nothing outside of training."""

RECURRENT = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?P<name>(?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?)"
)
OTHER = re.compile(r"(?P<prefix>(?:.*\.)?)(?P<name>weight|bias)")


def from_torch(
    module: Any, *, output: str = "auto", activation: str = "tanh", classes: Any = None
) -> BaseRNN:
    """Make a fitted estimator of a recurrent network of PyTorch.

    The estimator takes sequences of shape (n_samples, n_timesteps, n_channels), whatever
    ``batch_first`` is, predicts the same numbers, and is trained further by `partial_fit` or by
    `fit` with ``warm_start=True``; it counts no epochs yet, so that `loss_` is None. Dropout is not
    taken over. PyTorch is needed for modules only, and nothing is unpickled.

    Parameters
    ----------
    module : torch.nn.Module, sequence of modules, or dict of arrays
        - ``torch.nn.RNN``, ``GRU`` or ``LSTM`` of any number of layers and directions: the
          estimator has ``head=None`` and puts out states.
        - A sequence of modules, or a ``torch.nn.Sequential``, applied one after another: an
          ``Embedding`` or none, one or more of those three, a ``Linear`` or none, and ``Softmax``,
          ``LogSoftmax``, ``Sigmoid`` or none; with ``Dropout`` anywhere.
        - Another module that holds these, and no other parameters. It is run once, on a few random
          numbers, to tell what its `forward` makes of them: whether there is an output for each
          step, and what stands behind the ``Linear``. What computes something else is refused.
        - The ``state_dict`` of such a module with one recurrent module in it, of tensors or arrays.
    output : {"auto", "vector", "sequence"}, default="auto"
        Whether there is an output for each sequence or for each of its steps. "auto" is told by
        running a module; otherwise it is "sequence", as modules that are applied one after another
        do it.
    activation : {"tanh", "relu"}, default="tanh"
        Of an ``RNN`` of which there is nothing but the ``state_dict``.
    classes : array-like of shape (n_classes,), default=None
        Labels of the outputs, in their order; they make a classifier of a module that puts out
        logits. None makes a classifier where there is a softmax or a sigmoid, with the numbers from
        0 as labels, and a regressor elsewhere.

    Returns
    -------
    estimator : RNNRegressor or RNNClassifier
        The fitted estimator.

    Raises
    ------
    TypeError
        If the module is none of these.
    ValueError
        If it holds what no estimator has, such as projections, or computes something else.

    See Also
    --------
    from_keras : The same for Keras.
    from_onnx : The same for graphs of ONNX.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import from_torch
    >>> rng = np.random.RandomState(0)
    >>> state_dict = {
    ...     "rnn.weight_ih_l0": rng.randn(12, 2),  # three gates of four units
    ...     "rnn.weight_hh_l0": rng.randn(12, 4),
    ...     "rnn.bias_ih_l0": rng.randn(12),
    ...     "rnn.bias_hh_l0": rng.randn(12),
    ...     "linear.weight": rng.randn(1, 4),
    ...     "linear.bias": rng.randn(1),
    ... }
    >>> model = from_torch(state_dict, output="vector")
    >>> model.cell, model.hidden_layer_sizes, model.predict(rng.randn(5, 10, 2)).shape
    ('gru', (4,), (5, 1))
    """
    rules = {"output": one_of("auto", "vector", "sequence"), "activation": one_of("tanh", "relu")}
    check_parameters({"output": output, "activation": activation}, CALLER, rules)
    return _imported(module, output, activation).estimator(CALLER, classes)


def _imported(module: Any, output: str, activation: str) -> Imported:
    per_step = output != "vector"
    if isinstance(module, Mapping):
        return _parts_of_arrays(module, activation).imported(CALLER, per_step=per_step)
    if _is(module, "RNNBase"):
        parts, _ = _parts_of_modules([("module", module)])
        return parts.imported(CALLER, per_step=per_step)
    if isinstance(module, (list, tuple)) or _is_chain(module):
        parts, out_activation = _parts_of_modules(enumerate(module))
        return parts.imported(CALLER, per_step=per_step, out_activation=out_activation)
    if hasattr(module, "named_modules"):
        return _as_it_runs(module, _parts_of_children(module), output)
    expected = "a torch.nn.Module, a sequence of them, or a state_dict"
    raise TypeError(problem(CALLER, "module", f"a {type(module).__name__}", expected))


def _is(module: Any, name: str) -> bool:
    """Whether a module is one of PyTorch's own classes, or made from it."""
    return any(
        base.__name__ == name and base.__module__.startswith("torch.nn.modules.")
        for base in type(module).__mro__
    )


def _is_chain(module: Any) -> bool:
    """Whether it is a Sequential of nothing but what is read here.

    Such a one cannot be run, since RNN, GRU and LSTM put out two things. One in which a module of
    another class picks what goes on can.
    """
    known = ("RNNBase", "Embedding", "Linear", *OF_TRAINING, *OUT_ACTIVATIONS)
    return _is(module, "Sequential") and all(
        any(_is(child, name) for name in known) for child in module
    )


def _array(tensor: Any, name: str) -> Array:
    """Return the numbers of a tensor, or of an array."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if not tensor.is_floating_point():
            raise ValueError(problem(CALLER, name, f"dtype {tensor.dtype}", "real numbers"))
        if tensor.element_size() < 4:  # NumPy has no bfloat16
            tensor = tensor.float()
        tensor = tensor.numpy()
    array = np.asarray(tensor)
    if array.dtype.kind != "f":
        raise ValueError(problem(CALLER, name, f"dtype {array.dtype}", "real numbers"))
    return widened(array)


def _parts_of_modules(modules: Iterable[tuple[Any, Any]]) -> tuple[Parts, str]:
    """Modules that are applied one after another, and what stands behind their outputs."""
    parts, out_activation = Parts(), "identity"
    for key, module in modules:
        name = f"module {key!r} ({type(module).__name__})"
        if out_activation != "identity":
            got = "a place behind the outputs"
            raise ValueError(problem(CALLER, name, got, "none: they end with Softmax or Sigmoid"))
        if type(module).__name__ in OF_TRAINING:
            continue
        if type(module).__name__ in OUT_ACTIVATIONS:
            dim = getattr(module, "dim", -1)
            if not parts.layers or dim not in (None, -1, 1, 2):
                raise ValueError(
                    problem(CALLER, name, f"dim={dim}", "outputs, along their last axis")
                )
            out_activation = OUT_ACTIVATIONS[type(module).__name__]
        else:
            _add(parts, module, name)
    return parts, out_activation


def _add(parts: Parts, module: Any, name: str) -> None:
    """Add a module that has parameters."""
    weights = {key: _array(p, name) for key, p in module.named_parameters(recurse=False)}
    if _is(module, "RNNBase") and parts.head is None:
        cell, activation = _cell_of(module, name)
        _add_layers(parts, weights, cell, activation, name)
    elif _is(module, "Embedding") and not parts.layers and parts.embedding is None:
        if module.max_norm is not None:
            expected = "None: vectors of tokens do not change when they are read"
            raise ValueError(problem(CALLER, name, f"max_norm={module.max_norm}", expected))
        parts.embedding = weights["weight"]
    elif _is(module, "Linear") and parts.layers and parts.head is None:
        parts.head = weights["weight"].T, weights.get("bias")
    else:
        got = f"a {type(module).__name__} there"
        expected = "an Embedding or none, RNN, GRU or LSTM, and a Linear or none, in this order"
        raise ValueError(problem(CALLER, name, got, expected))


def _cell_of(module: Any, name: str) -> tuple[str, str]:
    if getattr(module, "proj_size", 0):
        raise ValueError(_no_projection(name))
    if module.mode not in MODES:
        raise ValueError(problem(CALLER, name, f"mode {module.mode!r}", f"one of {list(MODES)}"))
    return MODES[module.mode]


def _no_projection(name: str) -> str:
    expected = "none: the states of an LSTM here are not projected"
    return problem(CALLER, name, "projections (proj_size, weight_hr)", expected)


def _add_layers(
    parts: Parts, weights: Mapping[str, Array], cell: str, activation: str, name: str
) -> None:
    """Add the layers of one recurrent module, from its weights by their names in it."""
    n_layers = sum(key.startswith("weight_ih_l") and "reverse" not in key for key in weights)
    is_bidirectional = any(key.endswith("_reverse") for key in weights)
    suffixes = ["", "_reverse"] if is_bidirectional else [""]
    for k in range(n_layers):
        directions = [_direction(weights, cell, f"_l{k}{suffix}", name) for suffix in suffixes]
        parts.layers.append(Layer(f"{name}, layer {k},", cell, directions, activation))
    if is_bidirectional:
        parts.merge("concat", name, CALLER)


def _direction(weights: Mapping[str, Array], cell: str, suffix: str, name: str) -> Direction:
    try:
        W_ih, W_hh = weights[f"weight_ih{suffix}"], weights[f"weight_hh{suffix}"]
    except KeyError as error:
        got, expected = f"no {error}", "weight_ih and weight_hh of each layer and direction"
        raise ValueError(problem(CALLER, name, got, expected)) from error
    biases = (weights.get(f"bias_{kind}{suffix}") for kind in ("ih", "hh"))
    return direction(cell, W_ih.T, W_hh.T, *biases)


def _parts_of_arrays(state_dict: Mapping[Any, Any], activation: str) -> Parts:
    """Read a state_dict; which of two matrices is what is told by their shapes."""
    parts = Parts()
    recurrent: dict[str, dict[str, Array]] = {}
    others: dict[str, dict[str, Array]] = {}
    for key, tensor in state_dict.items():
        for pattern, groups in ((RECURRENT, recurrent), (OTHER, others)):
            match = pattern.fullmatch(str(key))
            if match:
                group = groups.setdefault(match["prefix"], {})
                group[match["name"]] = _array(tensor, f"module[{key!r}]")
                break
        else:
            expected = "weights of RNN, GRU or LSTM, of an Embedding and of a Linear"
            raise ValueError(problem(CALLER, "module", f"the name {key!r}", expected))
    if len(recurrent) != 1:
        got, expected = f"the recurrent modules {list(recurrent)}", "one: pass the module instead"
        raise ValueError(problem(CALLER, "module", got, expected))
    ((prefix, weights),) = recurrent.items()
    name = f"module {prefix.rstrip('.')!r}"
    if any(key.startswith("weight_hr") for key in weights):
        raise ValueError(_no_projection(name))
    W_hh = weights.get("weight_hh_l0", np.zeros((1, 1)))
    cell = CELLS.get(len(W_hh) // W_hh.shape[-1] if W_hh.ndim == 2 and W_hh.size else 0)
    if cell is None:
        expected = "one, three or four gates of as many rows as columns"
        raise ValueError(problem(CALLER, name, f"weight_hh_l0 of shape {W_hh.shape}", expected))
    _add_layers(parts, weights, cell, activation if cell == "simple" else "tanh", name)
    for key, group in others.items():
        _add_other(parts, group, f"module {key.rstrip('.')!r}")
    return parts


def _add_other(parts: Parts, group: Mapping[str, Array], name: str) -> None:
    """Add an Embedding or a Linear, of which there is nothing but the arrays."""
    weight = group.get("weight")
    if weight is None or weight.ndim != 2:
        got = "no weight of two dimensions"
        raise ValueError(problem(CALLER, name, got, "that of an Embedding or a Linear"))
    last, first = parts.layers[-1], parts.layers[0]
    n_features = last.n_units * len(last.directions)
    n_channels = len(first.directions[0]["W_xh"])
    may_be_head = weight.shape[1] == n_features and parts.head is None
    may_be_embedding = (
        weight.shape[1] == n_channels and "bias" not in group and parts.embedding is None
    )
    if may_be_head and may_be_embedding:
        got = f"shape {weight.shape}, which an Embedding and a Linear without bias may have"
        raise ValueError(problem(CALLER, name, got, "the module instead of its state_dict"))
    if may_be_head:
        parts.head = weight.T, group.get("bias")
    elif may_be_embedding:
        parts.embedding = weight
    else:
        expected = f"(n_outputs, {n_features}) of a Linear, or (n_tokens, {n_channels})"
        raise ValueError(problem(CALLER, name, f"shape {weight.shape}", expected))


def _parts_of_children(module: Any) -> Parts:
    """Read what a module of a class of its own holds, in the order in which it was put in."""
    parts = Parts()
    for key, child in module.named_modules():
        if any(True for _ in child.parameters(recurse=False)):
            _add(parts, child, f"module {key!r} ({type(child).__name__})")
    return parts


def _as_it_runs(module: Any, parts: Parts, output: str) -> Imported:
    """Compare what a module puts out with what its parts do, to tell how it uses them."""
    X, y, tolerance = _run(module, parts)
    n_outputs = parts.imported(CALLER, per_step=True).n_outputs
    for per_step in (True, False):
        imported = parts.imported(CALLER, per_step=per_step)
        rows = imported.estimator(CALLER).predict(X)
        for axes_kept in (True, False):
            if not axes_kept and n_outputs > 1:
                continue
            wanted = rows if axes_kept else rows[..., 0]
            out_activation = _activation_between(wanted, y, tolerance, axes_kept)
            if out_activation is None:
                continue
            if output not in ("auto", "sequence" if per_step else "vector"):
                expected = f"{'sequence' if per_step else 'vector'!r}, or 'auto'"
                raise ValueError(problem(CALLER, "output", repr(output), expected))
            is_number = out_activation == "identity"
            return parts.imported(
                CALLER,
                per_step=per_step,
                out_activation=out_activation,
                has_output_axis=axes_kept if is_number else None,
            )
    got = f"a forward with outputs of shape {y.shape} that are not those of its parts"
    expected = (
        "outputs, or softmax or sigmoid of them, of one recurrent stack and a Linear at each step, "
        "or after the last one: the final states h_n of both directions"
    )
    raise ValueError(problem(CALLER, "module", got, expected))


def _run(module: Any, parts: Parts) -> tuple[Array, Array, float]:
    """Random sequences, what a module makes of them, samples first, and its precision."""
    import torch

    rng, n_samples, n_timesteps = np.random.RandomState(0), 3, 5
    recurrent = next(child for child in module.modules() if _is(child, "RNNBase"))
    parameter = recurrent.weight_ih_l0
    if parts.embedding is not None:
        X: Array = rng.randint(len(parts.embedding), size=(n_samples, n_timesteps))
        given = torch.as_tensor(X, device=parameter.device)
    else:
        n_channels = len(parts.layers[0].directions[0]["W_xh"])
        X = 3 * rng.standard_normal((n_samples, n_timesteps, n_channels))
        given = torch.as_tensor(X, dtype=parameter.dtype, device=parameter.device)
    if not recurrent.batch_first:
        given = given.transpose(0, 1)
    modes = [(child, child.training) for child in module.modules()]
    try:
        module.eval()
        with torch.no_grad():
            y = module(given)
    except Exception as error:
        got = f"a forward that raises {type(error).__name__} on shape {tuple(given.shape)}: {error}"
        expected = (
            "one that takes sequences alone; or pass a sequence of modules, or the state_dict"
        )
        raise ValueError(problem(CALLER, "module", got, expected)) from error
    finally:
        for child, is_training in modes:
            child.training = is_training
    y = _array(y[0] if isinstance(y, tuple) else y, "module")
    is_steps_first = not recurrent.batch_first and y.shape[:2] == (n_timesteps, n_samples)
    return X, np.swapaxes(y, 0, 1) if is_steps_first else y, PRECISIONS[parameter.element_size()]


def _activation_between(outputs: Array, y: Array, tolerance: float, has_axis: bool) -> str | None:
    """Return what makes y of outputs; None if nothing that is known does."""
    if outputs.shape != y.shape or not np.isfinite(y).all():
        return None
    outputs = outputs.astype(np.float64)
    candidates = {"identity": [outputs], "logistic": [1 / (1 + np.exp(-outputs))]}
    if has_axis and outputs.shape[-1] > 1:
        shifted = outputs - outputs.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        candidates["softmax"] = [np.exp(log_p), log_p]
    for name, some in candidates.items():
        for values in some:
            if np.abs(values - y).max() <= tolerance * np.abs(values).max():
                return name
    return None
