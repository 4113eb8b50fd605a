"""How `RNNImputer`, its networks and what is beside them are kept in a model file."""

from __future__ import annotations

from typing import Any

from elman._exceptions import abbreviated
from elman._kinds import (
    DICT,
    OUTPUT,
    TEXT,
    EstimatorKind,
    array,
    dataclass_kind,
    expect,
    instance,
    integer,
    tuple_of,
)
from elman._network_kinds import check_training, named_weights, network_beside
from elman._parameters import Rule, or_none
from elman._plain import Joined, Kind, Mismatch

LONGEST = 2**31 - 1


def gap_shapes() -> Kind:
    """Return the kind of shapes of gaps."""
    from elman._gaps import GapShapes

    def is_range(value: Any) -> bool:
        return tuple_of(integer(1)).passes(value) and len(value) == 2 and value[0] <= value[1]

    def check(gaps: Any) -> None:
        total = gaps.points + gaps.runs + gaps.blocks
        if abs(total - 1) > 1e-9:
            raise Mismatch("points", f"shares of {total}", "shares that sum to one")

    size = Rule(is_range, "two integers that rise")
    share = Rule(lambda value: type(value) is float and 0 <= value <= 1, "a share")
    return dataclass_kind(
        GapShapes, check=check, points=share, runs=share, blocks=share, length=size, width=size
    )


def _are_gaps(value: Any) -> bool:
    from elman._gaps import check_gaps

    try:
        check_gaps(value, "")
    except ValueError:
        return False
    return True


def calendar() -> Kind:
    """Return the kind of the times of `fit`."""
    from elman._calendar import Frequency
    from elman._gappy import Calendar

    def check(calendar: Any) -> None:
        if calendar.frequency.kind == "integer":
            raise Mismatch("frequency", "a step of integers", "one of dates or periods")
        calendar.first()

    return dataclass_kind(Calendar, check=check, frequency=instance(Frequency), origin=TEXT)


def spread() -> Kind:
    """Return the kind of standard deviations of fills."""
    from elman._spread import Spread

    def check(spread: Any) -> None:
        expect("scale", spread.scale.shape, spread.mean.shape)
        expect("weights", spread.weights.shape, (len(spread.factors), 1 + len(spread.mean)))
        if not ((spread.scale > 0).all() and (spread.factors > 0).all()):
            raise Mismatch("scale", abbreviated(spread.scale), "positive numbers")

    return dataclass_kind(
        Spread,
        check=check,
        mean=array("float64"),
        scale=array("float64"),
        weights=array("float64", n_axes=2),
        factors=array("float64"),
    )


def regression_fill() -> Kind:
    """Return the kind of fills by regression."""
    from elman._regression_fill import RegressionFill

    return dataclass_kind(
        RegressionFill,
        coefficients=array("float64", n_axes=3),
        season_length=or_none(integer(2, LONGEST)),
    )


def mixture() -> Kind:
    """Return the kind of the method "mixture"."""
    from elman._mixture import Mixture, mixture_sizes
    from elman._regression_fill import RegressionFill

    def check(method: Any) -> None:
        n, season, regression = method.n_channels, method.season_length, method.regression
        sizes = mixture_sizes(n, season)
        for name, size in zip(("n_channels", "n_outputs"), sizes, strict=True):
            expect(f"architecture.{name}", method.architecture.get(name), size)
        expect("regression.season_length", regression.season_length, season)
        shape = (n, regression.width(n))
        expect("regression.coefficients", regression.coefficients.shape[1:], shape)

    return dataclass_kind(
        Mixture,
        check=check,
        architecture=DICT,
        n_channels=integer(1, LONGEST),
        season_length=or_none(integer(2, LONGEST)),
        regression=instance(RegressionFill),
    )


def brits() -> Kind:
    """Return the kind of the method "brits"."""
    from elman._brits import Brits

    def check(method: Any) -> None:
        for name in ("n_channels", "n_outputs"):
            expect(f"architecture.{name}", method.architecture.get(name), method.n_channels)

    return dataclass_kind(Brits, check=check, architecture=DICT, n_channels=integer(1, LONGEST))


def imputation_model() -> Kind:
    """Return the kind of networks that fill gaps."""
    from elman._brits import Brits
    from elman._gappy import Calendar
    from elman._gaps import GapShapes
    from elman._imputation import ImputationModel
    from elman._mixture import Mixture
    from elman._sequences import InputForm
    from elman._spread import Spread
    from elman._training import TrainingState

    rules = {
        "method": instance(Mixture, Brits),
        "weights": instance(Joined),
        "inputs": instance(InputForm),
        "calendar": or_none(instance(Calendar)),
        "window": integer(1, LONGEST),
        "season_length": or_none(integer(2, LONGEST)),
        "gaps": instance(GapShapes),
        "center": array("float64"),
        "scale": array("float64"),
        "spread": instance(Spread),
        "training": instance(TrainingState),
    }

    def take(model: Any) -> dict[str, Any]:
        weights = named_weights(model.network(), model.parameters)
        kept = {name: getattr(model, name) for name in rules if name != "weights"}
        return {**kept, "weights": weights, "training": model.compact_training()}

    def make(values: dict[str, Any]) -> Any:
        weights, method = values.pop("weights"), values["method"]
        network = network_beside(method.architecture, method.network, weights)
        check_training(values["training"], network)
        model = ImputationModel(parameters=weights.flat, **values)
        _check_model(model)
        return model

    return Kind(ImputationModel, rules, take, make)


def _check_model(model: Any) -> None:
    """Raise `Mismatch` where parts of a model do not go together."""
    inputs, method, spread = model.inputs, model.method, model.spread
    n = inputs.n_channels
    expect("inputs.dtype", inputs.dtype.name, method.architecture["dtype"])
    if inputs.n_tokens or inputs.layout not in ("sequences", "table"):
        raise Mismatch("inputs.layout", repr(inputs.layout), "that of series")
    expect("method.n_channels", method.n_channels, n)
    expect("center", model.center.shape, (n,))
    expect("scale", model.scale.shape, (n,))
    if not (model.scale > 0).all():
        raise Mismatch("scale", abbreviated(model.scale), "positive numbers")
    expect("spread", (len(spread.factors), len(spread.mean)), (n, 3 + n))
    season = getattr(method, "season_length", model.season_length)
    expect("season_length", model.season_length, season)


def rnn_imputer() -> EstimatorKind:
    """Return how `RNNImputer` is kept."""
    from elman._imputation import ImputationModel
    from elman._imputer import RNNImputer

    return EstimatorKind(
        RNNImputer,
        {**RNNImputer._rules, "gaps": Rule(_are_gaps, "shapes of gaps")},
        {"model": instance(ImputationModel), "output": or_none(OUTPUT)},
        {"model": "_model", "output": "_sklearn_output_config"},
        lambda estimator: estimator._attributes(estimator._model),
    )
