"""From the parameters of a forecaster and a panel of series to trained networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from elman._exceptions import abbreviated, problem
from elman._forecast import contest, settle
from elman._forecast.candidates import defaults, fits, trending
from elman._forecast.distributions import COUNTS
from elman._forecast.fleet import train_each
from elman._forecast.history import Floats, Integers, transformed
from elman._forecast.model import ForecastModel
from elman._forecast.network import Course, Report
from elman._forecast.origins import Origins, held_out_origins, origins_within, steps_ahead
from elman._forecast.plan import Plan
from elman._forecast.series import Series
from elman._moments import ROUNDING
from elman._network import build, layer_sizes
from elman._regression import LOSSES as REGRESSION_LOSSES
from elman._sequences import offsets_of

LOSSES = {
    **REGRESSION_LOSSES,
    "student_t_nll": "student_t",
    "negative_binomial_nll": "negative_binomial",
}
SHARPNESS = 3.0
MOST_HELD_OUT = 3000


def fit_models(
    each: Iterable[Series],
    settings: Mapping[str, Any],
    caller: str,
    seeds: Integers,
    n_threads: int,
    report: Report,
) -> tuple[ForecastModel, ...]:
    """Settle plans and train their networks.

    Parameters
    ----------
    each : iterable of Series
        What each model is trained on, as if there were no other one.
    settings : dict
        The estimator's parameters, each of which passes its own rule.
    caller : str
        Class and method, for messages.
    seeds : ndarray of int64 of shape (n_models, n_estimators)
        Those of the networks.
    n_threads : int
        Never changes a bit.
    report : callable
        Told the number of updates of a network and their loss.

    Returns
    -------
    models : tuple of ForecastModel
        The plans and the networks.
    """
    courses = [course_of(series, settings, caller) for series in each]
    members = train_each(courses, seeds, n_threads, report)
    return tuple(
        ForecastModel(course.plan, course.architecture, own)
        for course, own in zip(courses, members, strict=True)
    )


def course_of(series: Series, settings: Mapping[str, Any], caller: str) -> Course:
    """Settle a plan for some series, and how its networks are trained."""
    plan = settle_plan(series, settings, caller)
    origins, held_out, n_beyond = origins_of(plan, series.lengths, settings, caller)
    history = (series.extended(n_beyond) if n_beyond else series).history(plan.transform)
    training = training_of(plan, origins, settings, caller)
    return Course(plan, *training, history, origins, held_out, caller)


def training_of(
    plan: Plan, origins: Origins, settings: Mapping[str, Any], caller: str
) -> tuple[dict[str, Any], dict[str, Any], int, int]:
    """Arguments of networks and of their trainers, mini-batches, and windows in each."""
    architecture = _architecture(plan, settings)
    build(architecture, caller)
    n_updates = _n_updates(plan, int(origins.counts.sum()), settings)
    options = {
        "loss": plan.loss,
        "loss_parameter": np.array(plan.levels) if plan.levels else settings["huber_delta"],
        "solver": settings["solver"],
        "learning_rate": settings["learning_rate_init"],
        "schedule": "cosine",
        "warmup_steps": int(settings["warmup"] * n_updates),
        "alpha": settings["alpha"],
        "clip_norm": settings["clip_norm"],
        "dropout": settings["dropout"],
    }
    return architecture, options, n_updates, settings["batch_size"]


def _architecture(plan: Plan, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `_core.Network`."""
    sizes = layer_sizes(settings["hidden_layer_sizes"])
    return {
        "dtype": "float32",
        "cell": settings["cell"],
        "activation": settings["activation"],
        "reset_after": True,
        "hidden_layer_sizes": list(sizes),
        "bidirectional": [False] * len(sizes),
        "n_channels": plan.n_channels,
        "n_outputs": plan.n_outputs,
        "head": True,
        "residual": False,
        "input_layer": settings["input_layer_size"] or 0,
        "head_layer": settings["head_layer_size"] or 0,
        "head_inputs": settings["head_layer_size"] is not None,
        **({"branch_step": plan.n_read} if settings["strategy"] == "parallel" else {}),
    }


def _n_updates(plan: Plan, n_origins: int, settings: Mapping[str, Any]) -> int:
    """Mini-batches of a training: what spreads around a forecast has to be learned in any case."""
    if settings["n_updates"] != "auto":
        return int(settings["n_updates"])
    if plan.prior and not plan.distribution.has_quantiles:
        return settle.updates_for_few(n_origins, plan.window + plan.horizon)
    return settle.updates_for(n_origins)


def settle_plan(series: Series, settings: Mapping[str, Any], caller: str) -> Plan:
    """Turn parameters into a plan, and "auto" into what the series suggest."""
    lengths, horizon = series.lengths, settings["horizon"]
    loss = LOSSES[settings["loss"]]
    transform = _transform(series, settings["transform"], loss, caller)
    seasons = settle.seasons_in(lengths, settings["season_lengths"])
    window, segment = _window_and_segment(lengths, seasons, settings, caller)
    is_few = bool(seasons) and settle.are_few(lengths, window, horizon)
    if is_few and settings["window"] == "auto":
        window = settle.long_window_of(lengths, seasons, segment)
    strong = seasons if is_few else _strong_seasons(series, transform, seasons, horizon)
    covariates, past, static = map(_units, (series.covariates, series.past, series.static))
    chosen = _chosen_candidates(series, settings, (seasons, strong), window, is_few, caller)
    strategy = settings["strategy"]
    is_decoding = strategy in ("seq2seq", "parallel")
    ahead = min(segment, horizon) if strategy == "recursive" else horizon
    n_groups = 1 if is_decoding or ahead == 1 else 2
    prior: tuple[float, ...] = ()
    if is_few and chosen:
        if n_groups > 1 and ahead == horizon:
            n_groups = settle.groups_of(horizon, strong)
        history = series.extended(horizon).history(transform)
        n_judged = n_groups if ahead == horizon else 1
        weights = contest.logits(history, chosen, strong, window, horizon, covariates, n_judged)
        prior = tuple(weights) * (n_groups // n_judged)
    # Logarithms differ by shares: of short series they need no other unit.
    is_short = bool(strong) and settle.phase_of(lengths, horizon, window, strong) == 1
    needs_unit = not (is_short and transform) or bool(prior)
    centre, scale = settings["centre"], settings["scale"]
    if centre == "auto":
        centre = _centre(chosen, horizon, seasons, needs_unit and not prior)
    if scale == "auto":
        scale = "standard" if needs_unit else None
    if loss in COUNTS:
        centre, scale = None, "mean_absolute"
        chosen = chosen or (("mean", 1),)
    return Plan(
        horizon=ahead,
        window=window,
        segment_length=segment,
        season_lengths=strong or seasons,
        transform=transform,
        centre=centre,
        scale=scale,
        candidates=tuple(chosen),
        prior=prior,
        n_groups=n_groups,
        sharpness=SHARPNESS,
        is_decoding=is_decoding,
        reads_holes=bool(np.isnan(series.values).any() or (lengths < window + horizon).any()),
        n_identities=int(series.identities.max()) + 1 if settings["series_identity"] else 0,
        loss=loss,
        levels=tuple(settings["quantiles"]) if loss == "quantile" else (),
        covariate_mean=covariates[0],
        covariate_scale=covariates[1],
        past_mean=past[0],
        past_scale=past[1],
        static_mean=static[0],
        static_scale=static[1],
        scale_of_zeros=settle.unit_of(transformed(series.values, transform)),
    )


def _centre(
    chosen: Sequence[tuple[str, int]], horizon: int, seasons: Sequence[int], is_moved: bool
) -> str:
    """Turn "auto" into the mean or the last value of a window."""
    if not chosen:
        return settle.centre_of(horizon, seasons)
    return "mean" if is_moved and any(m > 1 for _, m in chosen) else "last"


def _chosen_candidates(
    series: Series,
    settings: Mapping[str, Any],
    seasons: tuple[tuple[int, ...], tuple[int, ...]],
    window: int,
    is_few: bool,
    caller: str,
) -> tuple[tuple[str, int], ...]:
    """Candidates and their seasons, of all that series have and of those that say much."""
    names, (every, strong) = settings["candidates"], seasons
    if not (isinstance(names, str) and names == "auto"):
        return _named_candidates(names or (), strong or every or (1,), window, caller)
    if is_few:
        return trending(strong, window)
    return defaults(strong, window, series.covariates.shape[1] > 0)


def _strong_seasons(
    series: Series, transform: str | None, seasons: tuple[int, ...], horizon: int
) -> tuple[int, ...]:
    """Seasons that say more about what comes than the last value does."""
    z = transformed(series.values, transform)
    return tuple(m for m in seasons if settle.is_seasonal(z, series.offsets, horizon, m))


def _transform(series: Series, transform: str | None, loss: str, caller: str) -> str | None:
    if transform == "auto":
        is_count = loss in COUNTS
        transform = None if is_count else settle.transform_of(series.values, series.offsets)
    if loss in COUNTS and transform is not None:
        raise ValueError(problem(caller, "transform", repr(transform), "None for a loss of counts"))
    check_values(series.values, transform, loss, caller)
    return transform


def _window_and_segment(
    lengths: Integers, seasons: tuple[int, ...], settings: Mapping[str, Any], caller: str
) -> tuple[int, int]:
    """Values in a window, and in each of the segments that it is cut into."""
    window, segment = settings["window"], settings["segment_length"]
    is_free = segment == "auto"
    if is_free:
        segment = settle.segment_of(seasons)
    if window == "auto":
        window = settle.window_of(lengths, settings["horizon"], seasons, segment)
        if is_free and not seasons:
            segment = max(1, window // settle.SEGMENTS_WITHOUT_SEASON)
        return window // segment * segment, segment
    if window % segment and not is_free:
        expected = f"a multiple of segment_length={segment}"
        raise ValueError(problem(caller, "window", f"{window}", expected))
    return window, int(np.gcd(window, segment))


def _units(columns: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each column; one that is constant, or all missing, is divided by 1."""
    if columns.shape[1] == 0:
        return np.zeros(0), np.ones(0)
    columns = np.where(np.isnan(columns).all(axis=0), 0.0, columns)
    scale, largest = np.nanstd(columns, axis=0), np.nanmax(np.abs(columns), axis=0)
    is_constant = scale <= ROUNDING * largest
    return np.nanmean(columns, axis=0), np.where(is_constant, 1.0, scale)


def check_values(values: Floats, transform: str | None, loss: str, caller: str) -> None:
    """Raise ValueError for values that the transform or the loss cannot take."""
    if np.isnan(values).all():
        return
    least = np.nanmin(values)
    if transform == "log" and not least > 0.0:
        expected = "positive values with transform='log'"
    elif transform == "log1p" and not least > -1.0:
        expected = "values above -1 with transform='log1p'"
    elif loss in COUNTS and least < 0.0:
        expected = "values of at least 0 with a loss of counts"
    else:
        return
    raise ValueError(problem(caller, "y", f"the value {least:g}", expected))


def _named_candidates(
    names: Any, season_lengths: tuple[int, ...], window: int, caller: str
) -> tuple[tuple[str, int], ...]:
    """Pairs of the names and every season; a pair that the user gave is taken as it is."""
    pairs: list[tuple[str, int]] = []
    for item in [names] if isinstance(names, str) else names:
        if not isinstance(item, str):
            pairs.append((str(item[0]), int(item[1])))
        elif item.startswith("seasonal"):
            pairs += [(item, m) for m in season_lengths]
        else:
            pairs.append((item, season_lengths[0]))
    for name, m in pairs:
        if not fits(name, m, season_lengths[0], window):
            got = f"{abbreviated((name, m))} in a window of {window}"
            expected = "simple forecasts of seasons that the window holds"
            raise ValueError(problem(caller, "candidates", got, expected))
    return tuple(pairs)


def origins_of(
    plan: Plan, lengths: Integers, settings: Mapping[str, Any], caller: str
) -> tuple[Origins, Origins | None, int]:
    """Origins to train from, and those whose forecasts tell which updates were the best.

    Beside them the times behind each series, of which nothing is known, that both count in.
    """
    held_out = _held_out(plan, lengths, settings)
    left = lengths - held_out
    step = origin_step(plan, lengths, settings)
    weights = settings["series_weights"]
    n_beyond, futures = 0, plan.horizon
    least_past = settle.least_past(left, plan.window, plan.horizon)
    if plan.prior and not settings["early_stopping"]:
        # Of a few windows even those count whose future is known in part.
        n_beyond, futures = plan.horizon, 1
        held_out = held_out + plan.horizon
        least_past = min(least_past, 2 * max(plan.season_lengths) + 1)
    offsets = offsets_of(lengths + n_beyond)
    origins = origins_within(
        offsets,
        horizon=futures,
        least_past=least_past,
        step=step,
        is_uniform=settle.is_uniform(left) if weights == "auto" else weights == "uniform",
        held_out=held_out,
        n_beyond=n_beyond,
    )
    if len(origins.series) == 0:
        got = f"{len(lengths)} series of at most {lengths.max()} times"
        ahead = int(steps_ahead(held_out + futures - n_beyond, step).min())
        expected = f"at least one of {ahead + 1} times"
        raise ValueError(problem(caller, "y", got, expected))
    if not settings["early_stopping"]:
        return origins, None, n_beyond
    validation = held_out_origins(
        offsets, horizon=plan.horizon, held_out=held_out, most=MOST_HELD_OUT
    )
    return origins, validation, n_beyond


def origin_step(plan: Plan, lengths: Integers, settings: Mapping[str, Any]) -> int:
    """Return the times between the origins from which networks are trained."""
    step = settings["origin_step"]
    if step != "auto":
        return int(step)
    left = lengths - _held_out(plan, lengths, settings)
    return settle.phase_of(left, plan.horizon, plan.window, plan.mixed_seasons)


def _held_out(plan: Plan, lengths: Integers, settings: Mapping[str, Any]) -> Integers:
    """Return how many times of each series tell which updates were the best."""
    if not settings["early_stopping"]:
        return np.zeros_like(lengths)
    share = np.round(settings["validation_fraction"] * lengths).astype(np.int64)
    return np.asarray(np.maximum(share, plan.horizon))
