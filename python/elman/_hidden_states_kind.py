"""How hidden states as features are kept in a model file: their network is there once."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator

from elman._classifier import RNNClassifier
from elman._hidden_states import HiddenStateTransformer
from elman._kinds import DICT, EstimatorKind, expect, instance
from elman._parameters import Rule
from elman._plain import Kind, check_fields
from elman._regressor import RNNRegressor

NETWORKS: dict[str, Any] = {cls.__name__: cls for cls in (RNNClassifier, RNNRegressor)}
FROZEN = "frozen"

_KEPT = Rule(
    lambda value: (
        value in (None, FROZEN)
        if not isinstance(value, dict)
        else len(value) == 1 and all(name in NETWORKS for name in value)
    ),
    f"None, {FROZEN!r} or the parameters of {' or '.join(NETWORKS)}",
)


class HiddenStatesKind(EstimatorKind):
    """Keeps of the parameter ``estimator`` its own parameters, or that it is the fitted one."""

    def kind(self) -> Kind:
        """Return it as any other class."""
        rules = {name: self.parameters[name] for name in HiddenStateTransformer._get_param_names()}
        kept_rules = {**rules, "estimator": _KEPT}

        def take(transformer: Any) -> dict[str, Any]:
            parameters = transformer.get_params(deep=False)
            check_fields(parameters, rules, "parameters")
            kept = {**parameters, "estimator": _kept(parameters["estimator"])}
            return {"parameters": kept, **self.take_state(transformer)}

        def make(values: dict[str, Any]) -> Any:
            parameters = values.pop("parameters")
            check_fields(parameters, kept_rules, "parameters", frozenset(kept_rules))
            kept = parameters.get("estimator")
            transformer = HiddenStateTransformer(
                **{**parameters, "estimator": _given(kept, values.get("network"))}
            )
            self.put_state(transformer, values)
            return transformer

        return Kind(HiddenStateTransformer, {"parameters": DICT, **self.state}, take, make)


def _rules(cls: Any) -> dict[str, Rule]:
    return {name: cls._rules[name] for name in cls._get_param_names()}


def _kept(estimator: Any) -> Any:
    if estimator is None:
        return None
    if isinstance(estimator, FrozenEstimator):
        return FROZEN
    parameters = estimator.get_params(deep=False)
    check_fields(parameters, _rules(type(estimator)), "parameters.estimator")
    return {type(estimator).__name__: parameters}


def _given(kept: Any, network: Any) -> Any:
    if kept is None:
        return None
    if kept == FROZEN:
        return FrozenEstimator(network)
    ((name, parameters),) = kept.items()
    expect("parameters.estimator", name, type(network).__name__)
    rules = _rules(NETWORKS[name])
    check_fields(parameters, rules, "parameters.estimator", frozenset(rules))
    return NETWORKS[name](**parameters)


def hidden_state_transformer() -> EstimatorKind:
    """Return how the transformer is kept."""
    return HiddenStatesKind(
        HiddenStateTransformer,
        HiddenStateTransformer._rules,
        {"network": instance(RNNRegressor, RNNClassifier)},
        {"network": "estimator_"},
        lambda transformer: transformer._attributes(transformer.estimator_._model),
    )
