"""How a fleet is kept in a model file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from elman._exceptions import abbreviated
from elman._kinds import DICT, FLAG, array, expect, instance, tuple_of
from elman._network_kinds import network_of_rows
from elman._parameters import one_of, or_none
from elman._plain import Kind, Mismatch, check_fields

_COUNTS = ("seeds", "n_samples", "n_timesteps", "n_batches", "n_iter", "n_no_change")


def model_stack() -> Kind:
    """Return the kind of networks of one shape."""
    from elman._classification import ClassificationTask
    from elman._model_stack import ModelStack
    from elman._regression import RegressionTask
    from elman._sequences import InputForm
    from elman._targets import TargetForm

    rules = {
        "architecture": DICT,
        "weights": array("f", n_axes=2),
        "moments": or_none(array("f", n_axes=3)),
        "classes": or_none(instance(ClassificationTask)),
        "units": or_none(instance(RegressionTask)),
        "means": or_none(array("float64", n_axes=2)),
        "scales": or_none(array("float64", n_axes=2)),
        "inputs": tuple_of(instance(InputForm)),
        "targets": instance(TargetForm),
        "is_shuffled": FLAG,
        "learning_rate": array("float64"),
        "best_loss": array("float64"),
        "losses": array("float64"),
        **{name: array("int64") for name in _COUNTS},
    }
    plain = ("architecture", "moments", "inputs", "targets", "is_shuffled", "learning_rate")
    same = (*plain, "best_loss", "losses", *_COUNTS)

    def take(stack: Any) -> dict[str, Any]:
        task, values = stack.task, {name: getattr(stack, name) for name in same}
        has_units = isinstance(task, RegressionTask)
        return {
            **values,
            "weights": stack.trained,
            "classes": None if has_units else task,
            "units": stack.task_of(0) if has_units else None,
            "means": task.mean if has_units else None,
            "scales": task.scale if has_units else None,
        }

    def make(values: dict[str, Any]) -> Any:
        task, units = values.pop("classes"), values.pop("units")
        mean, scale = values.pop("means"), values.pop("scales")
        if (task is None) == (units is None):
            raise Mismatch("units", "units and classes, or neither", "one of them")
        if units is not None:
            task = _with_units(units, mean, scale)
        stack = ModelStack(trained=values.pop("weights"), task=task, **values)
        _check_stack(stack)
        return stack

    return Kind(ModelStack, rules, take, make)


def _with_units(task: Any, mean: Any, scale: Any) -> Any:
    if mean is None or scale is None:
        raise Mismatch("means", "none", "those of each network")
    expect("scales", scale.shape, mean.shape)
    if mean.shape[1] != task.n_targets or not (scale > 0).all():
        raise Mismatch(
            "scales", abbreviated(scale), f"positive numbers for {task.n_targets} targets"
        )
    return replace(task, mean=mean, scale=scale)


def _check_stack(stack: Any) -> None:
    n, trained = len(stack), stack.trained
    if n == 0:
        raise Mismatch("weights", "no networks", "one or more")
    network = network_of_rows(stack.architecture, stack.network, trained)
    for name in (*_COUNTS, "learning_rate", "best_loss"):
        expect(name, getattr(stack, name).shape, (n,))
    if len(stack.inputs) not in (1, n):
        raise Mismatch("inputs", f"{len(stack.inputs)} of them", f"1 or {n}")
    for form in stack.inputs:
        expect("inputs.dtype", form.dtype.name, stack.architecture["dtype"])
        expect("inputs.n_channels", form.n_channels, stack.architecture["n_channels"])
    expect("task.n_outputs", stack.task.n_outputs, network.n_outputs)
    if stack.moments is not None:
        expect("moments.dtype", stack.moments.dtype.name, trained.dtype.name)
        n_moments = stack.moments.shape[1]
        expect("moments", stack.moments.shape, (n, 1 if n_moments == 1 else 2, trained.shape[1]))
    if hasattr(stack.task, "scale"):
        expect("means", len(stack.task.mean), n)
    for name in ("n_samples", "n_timesteps", "n_batches"):
        if (getattr(stack, name) < 1).any():
            raise Mismatch(name, abbreviated(getattr(stack, name)), "numbers of at least 1")
    for name in ("n_iter", "n_no_change", "seeds"):
        if (getattr(stack, name) < 0).any() or (getattr(stack, name) >= 2**32).any():
            raise Mismatch(name, abbreviated(getattr(stack, name)), "numbers in [0, 2^32)")
    expect("losses", len(stack.losses), int(stack.n_iter.sum()))


def fleet() -> Kind:
    """Return the kind of a fleet."""
    from elman._classifier import RNNClassifier
    from elman._fleet import Fleet
    from elman._model import Model
    from elman._model_stack import ModelStack
    from elman._registry import estimator_kind
    from elman._regressor import RNNRegressor

    classes: dict[str, Any] = {cls.__name__: cls for cls in (RNNRegressor, RNNClassifier)}
    rules = {
        "estimator": one_of(*classes),
        "parameters": DICT,
        "stack": or_none(instance(ModelStack)),
        "models": tuple_of(or_none(instance(Model))),
        "seeds": array("int64"),
        "is_fitted": array("bool"),
    }

    def parameter_rules(cls: Any) -> Any:
        kind = estimator_kind(cls)
        assert kind is not None
        return {name: kind.parameters[name] for name in cls._get_param_names()}

    def take(fleet: Any) -> dict[str, Any]:
        parameters = fleet.estimator.get_params(deep=False)
        check_fields(parameters, parameter_rules(type(fleet.estimator)), "parameters")
        is_stack = isinstance(fleet._models, ModelStack)
        return {
            "estimator": type(fleet.estimator).__name__,
            "parameters": parameters,
            "stack": fleet._models if is_stack else None,
            "models": () if is_stack else fleet._models,
            "seeds": fleet._seeds,
            "is_fitted": fleet._is_fitted,
        }

    def make(values: dict[str, Any]) -> Any:
        cls, parameters = classes[values["estimator"]], values["parameters"]
        parameters_of = parameter_rules(cls)
        check_fields(parameters, parameters_of, "parameters", frozenset(parameters_of))
        stack, models, is_fitted = values["stack"], values["models"], values["is_fitted"]
        if (stack is None) == (not models):
            raise Mismatch("models", "a stack and models, or neither", "one of them")
        if stack is None:
            expect("is_fitted", is_fitted.tolist(), [model is not None for model in models])
        kept = models if stack is None else stack
        expect("is_fitted", len(is_fitted), len(kept))
        expect("seeds", len(values["seeds"]), len(kept))
        has_labels = any(hasattr(task, "classes") for task in _tasks(kept))
        expect("estimator", values["estimator"] == "RNNClassifier", has_labels)
        return Fleet(cls(**parameters), kept, values["seeds"], is_fitted)

    return Kind(Fleet, rules, take, make)


def _tasks(models: Any) -> list[Any]:
    if hasattr(models, "task"):
        return [models.task]
    return [model.task for model in models if model is not None]
