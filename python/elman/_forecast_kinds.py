"""How the networks of forecasters are kept in a model file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from elman._exceptions import abbreviated
from elman._kinds import (
    DICT,
    FLAG,
    TEXT,
    EstimatorKind,
    array,
    dataclass_kind,
    expect,
    instance,
    integer,
    may_miss,
    tuple_of,
)
from elman._network_kinds import named_weights, network_beside
from elman._panel_kinds import forecaster_kind
from elman._parameters import Rule, number, one_of, or_none
from elman._plain import Joined, Kind, MayMiss, Mismatch

_UNITS = ("covariate", "past", "static")


def plan() -> Kind:
    """Return the kind of what a fit has settled."""
    from elman._forecast.candidates import CANDIDATES, fits
    from elman._forecast.distributions import DISTRIBUTIONS
    from elman._forecast.plan import Plan
    from elman._forecast.window import CENTRES, SCALES
    from elman._forecasting import LONGEST_HORIZON

    def is_candidate(value: Any) -> bool:
        is_pair = type(value) is tuple and len(value) == 2 and type(value[1]) is int
        return is_pair and value[0] in CANDIDATES and value[1] >= 1

    def check(plan: Any) -> None:
        short, levels = plan.season_lengths[0] if plan.season_lengths else 1, plan.levels
        if plan.window % plan.segment_length:
            raise Mismatch("window", f"{plan.window}", f"a multiple of {plan.segment_length}")
        for name, m in plan.candidates:
            if not fits(name, m, short, plan.window):
                raise Mismatch("candidates", f"{name!r} of {m}", f"some that fit {plan.window}")
        n_prior, n_candidates = len(plan.prior), len(plan.candidates)
        if n_prior not in (0, n_candidates):  # once for all groups in files of before
            expect("prior", n_prior, plan.n_groups * n_candidates)
        if (plan.loss == "quantile") != bool(levels) or list(levels) != sorted(set(levels)):
            raise Mismatch("levels", abbreviated(levels), f"those of the loss {plan.loss!r}")
        for name in _UNITS:
            mean, scale = getattr(plan, f"{name}_mean"), getattr(plan, f"{name}_scale")
            expect(f"{name}_scale", scale.shape, mean.shape)
            if not (scale > 0).all():
                raise Mismatch(f"{name}_scale", abbreviated(scale), "positive numbers")

    size = integer(1, LONGEST_HORIZON)
    units = {f"{name}_{part}": array("float64") for name in _UNITS for part in ("mean", "scale")}
    return dataclass_kind(
        Plan,
        check=check,
        horizon=size,
        window=size,
        segment_length=size,
        season_lengths=tuple_of(size),
        transform=or_none(one_of("log", "log1p")),
        centre=or_none(one_of(*CENTRES)),
        scale=or_none(one_of(*SCALES)),
        candidates=tuple_of(Rule(is_candidate, "a name and a season")),
        prior=tuple_of(number(-math.inf)),
        n_groups=size,
        sharpness=number(0, brackets="()"),
        is_decoding=FLAG,
        reads_holes=FLAG,
        n_identities=integer(0),
        loss=one_of("quantile", *DISTRIBUTIONS),
        levels=tuple_of(number(0, 1, "()")),
        scale_of_zeros=number(0, brackets="()"),
        **units,
    )


def reader() -> Kind:
    """Return the kind of what is read of X and of the calendar."""
    from elman._calendar import CALENDAR_FEATURES
    from elman._forecast.series import SeriesReader

    return dataclass_kind(
        SeriesReader,
        past=tuple_of(TEXT),
        static=tuple_of(TEXT),
        calendar=tuple_of(one_of(*CALENDAR_FEATURES)),
        caller=TEXT,
    )


def forecast_model() -> Kind:
    """Return the kind of networks that agree on a forecast."""
    from elman import _core
    from elman._forecast.model import ForecastModel
    from elman._forecast.network import Member
    from elman._forecast.plan import Plan

    def take(model: Any) -> dict[str, Any]:
        network, members = _core.Network(**model.architecture), model.members
        return {
            "plan": model.plan,
            "architecture": model.architecture,
            "weights": tuple(named_weights(network, m.parameters) for m in members),
            "loss_curves": tuple(np.array(m.loss_curve) for m in members),
            "validation_curves": tuple(MayMiss(np.array(m.validation_curve)) for m in members),
        }

    def make(values: dict[str, Any]) -> Any:
        plan, architecture = values["plan"], values["architecture"]
        names = ("weights", "loss_curves", "validation_curves")
        n_members = len(values["weights"])
        if not n_members or any(len(values[name]) != n_members for name in names):
            raise Mismatch("weights", f"{n_members} networks", "one or more, each with its curves")
        for weights in values["weights"]:
            network_beside(architecture, lambda: _core.Network(**architecture), weights)
        expect("architecture.dtype", architecture["dtype"], "float32")
        expect("architecture.head", architecture["head"], True)
        expect("architecture.n_tokens", architecture.get("n_tokens", 0), 0)
        expect("architecture.n_channels", architecture["n_channels"], plan.n_channels)
        expect("architecture.n_outputs", architecture["n_outputs"], plan.n_outputs)
        if architecture.get("branch_step", 0):
            expect("architecture.branch_step", architecture["branch_step"], plan.n_read)
            expect("plan.is_decoding", plan.is_decoding, True)
        members = (
            Member(weights.flat, tuple(losses.tolist()), tuple(validations.values.tolist()))
            for weights, losses, validations in zip(*(values[n] for n in names), strict=True)
        )
        return ForecastModel(plan, architecture, tuple(members))

    rules = {
        "plan": instance(Plan),
        "architecture": DICT,
        "weights": tuple_of(instance(Joined)),
        "loss_curves": tuple_of(array("float64")),
        "validation_curves": tuple_of(may_miss("float64")),
    }
    return Kind(ForecastModel, rules, take, make)


def rnn_forecaster() -> EstimatorKind:
    """Return how `RNNForecaster` is kept."""
    from elman._forecast.model import ForecastModel
    from elman._forecast.series import SeriesReader
    from elman._forecaster import RNNForecaster

    def check(state: dict[str, Any]) -> None:
        panel, models, reader = state["panel"], state["models"], state["reader"]
        if len(models) not in (1, len(panel)):
            raise Mismatch("models", f"{len(models)} of them", f"1, or {len(panel)}")
        reader.check(panel.form, ())
        read = reader.read(panel.cut(np.array([0]), np.array([1])))
        for i, plan in enumerate(model.plan for model in models):
            for name, n in (
                ("covariate", read.covariates.shape[1]),
                ("past", read.past.shape[1]),
                ("static", read.static.shape[1]),
            ):
                expect(f"models.plan.{name}_mean", len(getattr(plan, f"{name}_mean")), n)
            largest = len(panel) if len(models) == 1 else i + 1
            if plan.n_identities and plan.n_identities < largest:
                raise Mismatch("models.plan.n_identities", f"{plan.n_identities}", f"{largest}")
            same = (plan.horizon, plan.loss, plan.levels)
            expected = (models[0].plan.horizon, models[0].plan.loss, models[0].plan.levels)
            expect("models.plan", same, expected)

    return forecaster_kind(
        RNNForecaster,
        {
            "models": tuple_of(instance(ForecastModel)),
            "reader": instance(SeriesReader),
            "shortest_series": integer(1),
        },
        {
            "models": "_models",
            "reader": "_reader_of_fit",
            "shortest_series": "_shortest_series",
        },
        lambda forecaster: forecaster._told_of_models(forecaster._models),
        check,
    )


def naive_forecaster() -> EstimatorKind:
    """Return how `NaiveForecaster` is kept."""
    from elman._naive import NaiveForecaster

    return forecaster_kind(NaiveForecaster, {}, {})


def scaling() -> Kind:
    """Return the kind of what makes regressors of covariates."""
    from elman._linear import Scaling

    def check(scaling: Any) -> None:
        n_columns = len(scaling.n_categories)
        expect("center", scaling.center.shape, (n_columns,))
        expect("scale", scaling.scale.shape, (n_columns,))
        if not (scaling.scale > 0).all():
            raise Mismatch("scale", abbreviated(scaling.scale), "positive numbers")

    return dataclass_kind(
        Scaling,
        check=check,
        center=array("float64"),
        scale=array("float64"),
        n_categories=tuple_of(integer(0)),
        scale_of_constants=number(0, brackets="()"),
    )


def linear_forecaster() -> EstimatorKind:
    """Return how `LinearForecaster` is kept."""
    from elman._linear import LinearForecaster, Scaling

    def check(state: dict[str, Any]) -> None:
        columns, scaling = state["panel"].form.covariates, state["scaling"]
        names = () if columns is None else columns.names
        n_categories = tuple(len(columns.categories.get(name, ())) for name in names)
        expect("scaling.n_categories", scaling.n_categories, n_categories)
        n_columns = state["window"] + scaling.n_regressors
        expect("coef", state["coef"].shape, (len(state["intercept"]), n_columns))
        expect("intercept", len(state["intercept"]) > 0, True)

    return forecaster_kind(
        LinearForecaster,
        {
            "window": integer(1),
            "coef": array("float64", n_axes=2),
            "intercept": array("float64"),
            "scaling": instance(Scaling),
        },
        {
            "window": "window_",
            "coef": "coef_",
            "intercept": "intercept_",
            "scaling": "_scaling",
        },
        check=check,
    )
