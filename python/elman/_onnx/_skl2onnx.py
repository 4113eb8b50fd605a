"""Converters for the package skl2onnx, so that whole pipelines become graphs of ONNX.

Within a pipeline sequences have no lengths of their own: a tail of steps in which every channel is
NaN ends a sequence, as `SlidingWindow` makes them and `predict` reads them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from elman._arrays import Array
from elman._base import BaseRNN
from elman._classifier import RNNClassifier
from elman._model import Model
from elman._onnx._graph import GraphBuilder
from elman._onnx._network import NetworkGraph
from elman._onnx._refused import check_parts
from elman._onnx._stack import Ends
from elman._onnx._transformers import scaler_graph, window_graph
from elman._regressor import RNNRegressor
from elman._scaler import SequenceScaler
from elman._window import SlidingWindow

ALIASES = {
    RNNRegressor: "ElmanRNNRegressor",
    RNNClassifier: "ElmanRNNClassifier",
    SequenceScaler: "ElmanSequenceScaler",
    SlidingWindow: "ElmanSlidingWindow",
}


def register_skl2onnx() -> None:
    """Register the estimators of elman with the package skl2onnx.

    From then on ``skl2onnx.to_onnx`` and ``convert_sklearn`` know `RNNRegressor`, `RNNClassifier`,
    `SequenceScaler` and `SlidingWindow` within a pipeline, a grid search or an ensemble. `to_onnx`
    calls this by itself. To do it again changes nothing.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import elman
    >>> elman.register_skl2onnx()
    """
    skl2onnx = _import_skl2onnx("elman.register_skl2onnx")
    of_classifiers = {
        "nocl": [False],
        "output_class_labels": [False, True],
        "zipmap": [True, False, "columns"],
    }
    for model, alias in ALIASES.items():
        options = of_classifiers if model is RNNClassifier else None
        skl2onnx.update_registered_converter(model, alias, _set_shapes, _convert, options=options)


def _import_skl2onnx(caller: str) -> Any:
    try:
        import skl2onnx
    except ImportError as error:
        message = f"{caller}: the package skl2onnx is not installed: pip install 'elman[onnx]'"
        raise ImportError(message) from error
    return skl2onnx


def convert(model: Any, opset: int, caller: str) -> Any:
    """Write an estimator of scikit-learn that holds estimators of elman.

    Parameters
    ----------
    model : estimator
        Fitted, a pipeline for example.
    opset : int
        Version of the operators.
    caller : str
        Who asks for it, for messages.

    Returns
    -------
    onnx_model : onnx.ModelProto
        The graph, checked.
    """
    skl2onnx = _import_skl2onnx(caller)
    check_parts(model, caller)
    check_is_fitted(model)
    register_skl2onnx()
    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    proto = skl2onnx.convert_sklearn(
        model,
        name=type(model).__name__,
        initial_types=[("X", _input_type(model))],
        options=options,
        target_opset=opset,
    )
    import onnx

    onnx.checker.check_model(proto, full_check=True)
    return proto


def _first(model: Any) -> Any:
    """Return the estimator that reads X first."""
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step not in (None, "passthrough")]
        return _first(steps[0]) if steps else model
    if hasattr(model, "best_estimator_"):
        return _first(model.best_estimator_)
    if hasattr(model, "estimators_"):
        return _first(model.estimators_[0])
    return model


def _input_type(model: Any) -> Any:
    """Return the kind of X, in the words of skl2onnx."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

    first = _first(model)
    n_features = first.n_features_in_
    layout = "table"
    if isinstance(first, BaseRNN):
        layout = first._fitted_model("to_onnx").inputs.layout
    elif isinstance(first, SequenceScaler):
        layout = first._form.layout
    if layout == "tokens":
        return Int64TensorType([None, None])
    has_steps = layout in ("sequences", "features")
    return FloatTensorType([None, None, n_features] if has_steps else [None, n_features])


def _set_shapes(operator: Any) -> None:
    """Tell the shapes of an operator's outputs, and the type of labels."""
    from skl2onnx.common.data_types import FloatTensorType

    estimator, shape = operator.raw_operator, operator.inputs[0].type.shape
    n_samples = shape[0] if shape else None
    if isinstance(estimator, SequenceScaler):
        operator.outputs[0].type.shape = shape
    elif isinstance(estimator, SlidingWindow):
        operator.outputs[0].type.shape = [n_samples, estimator.window, estimator.n_features_in_]
    else:
        targets = estimator._fitted_model("to_onnx").targets
        axes = [n_samples, None] if targets.per_step else [n_samples]
        widths: list[Any] = [targets.n_outputs]
        if is_classifier(estimator):
            has_axis = targets.n_outputs > 1 or targets.has_output_axis
            widths = [targets.n_outputs if has_axis else None, len(estimator.classes_)]
            operator.outputs[0].type = _label_type(estimator.classes_)
            operator.outputs[1].type = FloatTensorType()  # what ZipMap takes
        for output, width in zip(operator.outputs, widths, strict=True):
            output.type.shape = axes if width is None else [*axes, width]


def _label_type(classes: Array) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    if classes.dtype.kind == "f":
        return FloatTensorType()
    return Int64TensorType() if classes.dtype.kind in "iub" else StringTensorType()


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write an operator's nodes."""
    estimator = operator.raw_operator
    graph = GraphBuilder("elman.to_onnx")
    dtypes = [_dtype(output) for output in operator.outputs]
    if isinstance(estimator, SequenceScaler):
        values = [scaler_graph(graph, estimator, "X", dtypes[0])]
    elif isinstance(estimator, SlidingWindow):
        values = [window_graph(graph, estimator, "X", dtypes[0])]
    else:
        values = _network_values(graph, estimator, dtypes)
    inputs = [variable.full_name for variable in operator.inputs]
    if len(inputs) > 1:
        joined = scope.get_unique_variable_name("joined")
        name = scope.get_unique_operator_name("Concat")
        container.add_node("Concat", inputs, joined, name=name, axis=1)
        inputs = [joined]
    outputs = [variable.full_name for variable in operator.outputs]
    _copy(graph, {"X": inputs[0]}, dict(zip(values, outputs, strict=True)), scope, container)


def _dtype(variable: Any) -> Any:
    """Return the dtype of a variable of skl2onnx."""
    from skl2onnx.common.data_types import StringTensorType, guess_numpy_type

    return str if isinstance(variable.type, StringTensorType) else guess_numpy_type(variable.type)


def _network_values(graph: GraphBuilder, estimator: BaseRNN, dtypes: list[Any]) -> list[str]:
    model = estimator._fitted_model("to_onnx")
    network = NetworkGraph(graph, model)
    X, ends, n_timesteps = _read(graph, model)
    rows, _ = network.read(X, ends, n_timesteps, None)
    keeps_axis = not is_classifier(estimator) or model.targets.has_output_axis
    results = network.results(rows, ends, n_timesteps, keeps_axis=keeps_axis)
    return [
        result.value if dtype is str else graph.cast(result.value, dtype)
        for result, dtype in zip(results, dtypes, strict=False)  # leaves "std" out
    ]


def _read(graph: GraphBuilder, model: Model) -> tuple[str, Ends, str]:
    """X in the form that the network reads, where its sequences end, and their longest length."""
    layout, n_samples = model.inputs.layout, graph.size("X", 0)
    if layout == "tokens":
        return graph.cast("X", np.int64), Ends(n_samples, None), graph.size("X", 1)
    X = graph.cast("X", np.float32)
    if layout == "vector":
        return X, Ends(n_samples, None), graph.integers(model.n_timesteps)
    if layout == "table":
        X = graph.node("Reshape", X, graph.integers(0, -1, model.inputs.n_channels))
    n_timesteps = graph.size(X, 1)
    if layout != "sequences":
        return X, Ends(n_samples, None), n_timesteps
    there = graph.cast(graph.node("Not", graph.node("IsNaN", X)), np.float32)
    ones = graph.constant("ones", np.ones((model.inputs.n_channels, 1)))
    count = graph.squeeze(graph.node("MatMul", there, ones), 2)
    none = graph.constant("none", np.array(0.0))
    has_value = graph.cast(graph.node("Greater", count, none), np.float32)
    last = graph.node("ArgMax", has_value, axis=1, keepdims=0, select_last_index=1)
    lengths = graph.node("Add", last, graph.integers(1))
    return X, Ends(n_samples, lengths), n_timesteps


def _copy(
    graph: GraphBuilder,
    inputs: dict[str, str],
    outputs: dict[str, str],
    scope: Any,
    container: Any,
) -> None:
    """Put nodes and constants into a graph of skl2onnx, under names that are new there."""
    from onnx import TensorProto
    from onnx.helper import get_attribute_value

    names = {"": "", **inputs}
    for name, tensor in graph.initializers.items():
        names[name] = scope.get_unique_variable_name(name)
        if tensor.data_type == TensorProto.STRING:
            shape, content = list(tensor.dims), list(tensor.string_data)
            container.add_initializer(names[name], TensorProto.STRING, shape, content)
        else:
            container.add_initializer(names[name], None, None, tensor)
    for node in graph.nodes:
        for name in node.output:
            names[name] = outputs.get(name) or scope.get_unique_variable_name(name)
        container.add_node(
            node.op_type,
            [names[name] for name in node.input],
            [names[name] for name in node.output],
            name=scope.get_unique_operator_name(node.name),
            **{attribute.name: get_attribute_value(attribute) for attribute in node.attribute},
        )
