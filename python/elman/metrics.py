"""Measures of forecasts that scikit-learn does not have.

As there, the truth comes first and the forecast second; rows are times and columns are series. NaN
in the truth is a value that nobody knows: it is left out. NaN in a forecast is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from elman._arrays import as_array, check_finite
from elman._baselines import naive_scale
from elman._exceptions import abbreviated, problem
from elman._forecasting import check_quantiles, interval_levels
from elman._naive2 import naive2_forecast
from elman._panel import Panel, read_panel
from elman._panel_rows import Floats
from elman._report import backtest_report

__all__ = [
    "backtest_report",
    "interval_coverage",
    "mean_absolute_scaled_error",
    "mean_interval_score",
    "mean_pinball_loss",
    "overall_weighted_average",
    "symmetric_mean_absolute_percentage_error",
    "weighted_absolute_percentage_error",
]


def mean_absolute_scaled_error(
    y_true: Any,
    y_pred: Any,
    *,
    y_train: Any,
    season_length: int = 1,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
) -> Any:
    """Mean absolute error, in units of the naive forecast's error on the training data.

    Below 1 a forecast is better than what the last season says one step ahead.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came. NaN is left out.
    y_pred : array-like of the shape of y_true
        What was forecast.
    y_train : array-like of shape (n_train,) or (n_train, n_series), or list of n_series arrays
        The series before, of any lengths.
    season_length : int, default=1
        Times of a season.
    sample_weight : array-like of shape (n_times,), default=None
        Weights of the times.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_series,)
        Whether to average over series, with weights or without, or to return an array.

    Returns
    -------
    error : float or ndarray of shape (n_series,)
        0 is the best; NaN for a series without a change in ``y_train``.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    References
    ----------
    Hyndman, R. J. and Koehler, A. B. "Another look at measures of forecast accuracy."
    International Journal of Forecasting 22(4), 2006.

    Examples
    --------
    >>> from elman.metrics import mean_absolute_scaled_error
    >>> mean_absolute_scaled_error([5.0, 7.0], [4.0, 9.0], y_train=[1.0, 2.0, 4.0])
    1.0
    """
    caller = "mean_absolute_scaled_error"
    truth, forecast = _pair(y_true, y_pred, caller)
    panel = _training(y_train, truth.shape[1], season_length, caller)
    every = np.arange(len(panel))
    scale = naive_scale(panel, every, panel.lengths, season_length)
    errors = _mean(np.abs(truth - forecast), truth, sample_weight, caller)
    return _over_series(errors / np.where(scale > 0, scale, np.nan), multioutput, caller)


def symmetric_mean_absolute_percentage_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Mean of absolute errors, each over the mean size of truth and forecast.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came. NaN is left out.
    y_pred : array-like of the shape of y_true
        What was forecast. Where both are zero there is no error.
    sample_weight : array-like of shape (n_times,), default=None
        Weights of the times.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_series,)
        Whether to average over series, with weights or without, or to return an array.

    Returns
    -------
    error : float or ndarray of shape (n_series,)
        The mean of 2 abs(y - f) / (abs(y) + abs(f)), between 0 and 2. It is a share, as that of
        `sklearn.metrics.mean_absolute_percentage_error`: times 100 it is what the M competitions
        print.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    References
    ----------
    Makridakis, S. and Hibon, M. "The M3-competition: results, conclusions and implications."
    International Journal of Forecasting 16(4), 2000.

    Examples
    --------
    >>> from elman.metrics import symmetric_mean_absolute_percentage_error
    >>> symmetric_mean_absolute_percentage_error([1.0, 3.0], [3.0, 3.0])
    0.5
    """
    caller = "symmetric_mean_absolute_percentage_error"
    truth, forecast = _pair(y_true, y_pred, caller)
    size = np.abs(truth) + np.abs(forecast)
    shares = 2 * np.abs(truth - forecast) / np.where(size > 0, size, 1.0)
    return _over_series(_mean(shares, truth, sample_weight, caller), multioutput, caller)


def weighted_absolute_percentage_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Sum of absolute errors, as a share of the sum of absolute values.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came. NaN is left out.
    y_pred : array-like of the shape of y_true
        What was forecast.
    sample_weight : array-like of shape (n_times,), default=None
        Weights of the times.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_series,)
        Whether to average over series, with weights or without, or to return an array.

    Returns
    -------
    error : float or ndarray of shape (n_series,)
        0 is the best; NaN for a series that is zero throughout.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    Examples
    --------
    >>> from elman.metrics import weighted_absolute_percentage_error
    >>> weighted_absolute_percentage_error([1.0, 3.0], [2.0, 3.0])
    0.25
    """
    caller = "weighted_absolute_percentage_error"
    truth, forecast = _pair(y_true, y_pred, caller)
    errors = _mean(np.abs(truth - forecast), truth, sample_weight, caller)
    sizes = _mean(np.abs(truth), truth, sample_weight, caller)
    return _over_series(errors / np.where(sizes > 0, sizes, np.nan), multioutput, caller)


def overall_weighted_average(
    y_true: Any, y_pred: Any, *, y_train: Any, season_length: int = 1, y_baseline: Any = None
) -> float:
    """Mean of sMAPE and MASE, each divided by that of a baseline: the measure of M4.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came.
    y_pred : array-like of the shape of y_true
        What was forecast.
    y_train : array-like of shape (n_train,) or (n_train, n_series), or list of n_series arrays
        The series before, of any lengths.
    season_length : int, default=1
        Times of a season.
    y_baseline : array-like of the shape of y_true, default=None
        Forecasts of the baseline; None is Naive2, the last value after seasonal adjustment.

    Returns
    -------
    error : float
        Below 1 a forecast is better than the baseline.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    References
    ----------
    Makridakis, S., Spiliotis, E. and Assimakopoulos, V. "The M4 competition: 100,000 time series
    and 61 forecasting methods." International Journal of Forecasting 36(1), 2020.

    Examples
    --------
    >>> from elman.metrics import overall_weighted_average
    >>> overall_weighted_average([5.0, 7.0], [4.0, 4.0], y_train=[1.0, 2.0, 4.0])
    1.0
    """
    caller = "overall_weighted_average"
    truth, forecast = _pair(y_true, y_pred, caller)
    if y_baseline is None:
        panel = _training(y_train, truth.shape[1], season_length, caller)
        check_finite(panel.values, caller, "y_train")
        parts = np.split(panel.values, panel.offsets[1:-1])
        baseline = np.column_stack(
            [naive2_forecast(part, len(truth), season_length) for part in parts]
        )
    else:
        _, baseline = _pair(y_true, y_baseline, caller, "y_baseline")
    ratios = []
    for prediction in (forecast, baseline):
        smape = symmetric_mean_absolute_percentage_error(truth, prediction)
        mase = mean_absolute_scaled_error(
            truth, prediction, y_train=y_train, season_length=season_length
        )
        ratios.append((smape, mase))
    (smape, mase), (smape_of_baseline, mase_of_baseline) = ratios
    return float((smape / smape_of_baseline + mase / mase_of_baseline) / 2)


def mean_pinball_loss(
    y_true: Any,
    y_pred: Any,
    *,
    quantiles: Any,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
) -> Any:
    """Pinball loss, averaged over several quantiles.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came. NaN is left out.
    y_pred : array-like of shape (n_times, n_quantiles) or (n_times, n_series, n_quantiles)
        What was forecast, as `RNNForecaster.predict_quantiles` returns it.
    quantiles : array-like of shape (n_quantiles,)
        The levels, ascending.
    sample_weight : array-like of shape (n_times,), default=None
        Weights of the times.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_series,)
        Whether to average over series, with weights or without, or to return an array.

    Returns
    -------
    loss : float or ndarray of shape (n_series,)
        0 is the best. Twice this, over many quantiles, is near the continuous ranked probability
        score.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    See Also
    --------
    sklearn.metrics.mean_pinball_loss : The loss of one quantile.

    Examples
    --------
    >>> from elman.metrics import mean_pinball_loss
    >>> round(mean_pinball_loss([1.0, 2.0], [[0.0, 2.0], [1.0, 3.0]], quantiles=[0.1, 0.9]), 3)
    0.1
    """
    caller = "mean_pinball_loss"
    levels = check_quantiles(quantiles, caller)
    truth, forecast = _with_last_axis(y_true, y_pred, len(levels), caller)
    above = truth[:, :, None] - forecast
    losses = np.maximum(levels * above, (levels - 1) * above).mean(axis=2)
    return _over_series(_mean(losses, truth, sample_weight, caller), multioutput, caller)


def interval_coverage(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Share of the truth that lies within an interval, its ends among it.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came. NaN is left out.
    y_pred : array-like of shape (n_times, 2) or (n_times, n_series, 2)
        Lower and upper end, as `RNNForecaster.predict_interval` returns them.
    sample_weight : array-like of shape (n_times,), default=None
        Weights of the times.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_series,)
        Whether to average over series, with weights or without, or to return an array.

    Returns
    -------
    coverage : float or ndarray of shape (n_series,)
        The best is what was asked for.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    Examples
    --------
    >>> from elman.metrics import interval_coverage
    >>> interval_coverage([1.0, 2.0], [[0.0, 2.0], [3.0, 4.0]])
    0.5
    """
    caller = "interval_coverage"
    truth, ends = _with_last_axis(y_true, y_pred, 2, caller)
    inside = (ends[..., 0] <= truth) & (truth <= ends[..., 1])
    return _over_series(_mean(inside, truth, sample_weight, caller), multioutput, caller)


def mean_interval_score(
    y_true: Any,
    y_pred: Any,
    *,
    coverage: float = 0.9,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
) -> Any:
    """Width of an interval, and a penalty for what lies outside: the interval score.

    Parameters
    ----------
    y_true : array-like of shape (n_times,) or (n_times, n_series)
        What came. NaN is left out.
    y_pred : array-like of shape (n_times, 2) or (n_times, n_series, 2)
        Lower and upper end, as `RNNForecaster.predict_interval` returns them.
    coverage : float, default=0.9
        The share that was asked for.
    sample_weight : array-like of shape (n_times,), default=None
        Weights of the times.
    multioutput : {"uniform_average", "raw_values"} or array-like of shape (n_series,)
        Whether to average over series, with weights or without, or to return an array.

    Returns
    -------
    score : float or ndarray of shape (n_series,)
        The lower the better: (upper - lower) + 2 / (1 - coverage) times the distance to the
        interval.

    Raises
    ------
    ValueError
        If an argument is not as it should be.

    References
    ----------
    Gneiting, T. and Raftery, A. E. "Strictly proper scoring rules, prediction, and estimation."
    Journal of the American Statistical Association 102(477), 2007.

    Examples
    --------
    >>> from elman.metrics import mean_interval_score
    >>> mean_interval_score([1.0, 2.0], [[0.0, 2.0], [3.0, 4.0]], coverage=0.5)
    3.5
    """
    caller = "mean_interval_score"
    interval_levels(coverage, caller)
    truth, ends = _with_last_axis(y_true, y_pred, 2, caller)
    outside = np.maximum(ends[..., 0] - truth, 0) + np.maximum(truth - ends[..., 1], 0)
    scores = ends[..., 1] - ends[..., 0] + 2 / (1 - coverage) * outside
    return _over_series(_mean(scores, truth, sample_weight, caller), multioutput, caller)


def _numbers(data: Any, caller: str, argument: str) -> Floats:
    """Numbers of an array or a frame; the arrays of a list are series, and become columns."""
    if isinstance(data, list) and data and all(isinstance(item, np.ndarray) for item in data):
        shapes = {item.shape for item in data}
        if len(shapes) > 1:
            got = f"arrays of the shapes {abbreviated(sorted(shapes))}"
            raise ValueError(problem(caller, argument, got, "arrays of one shape"))
        return np.stack(data, axis=1).astype(np.float64) if data[0].ndim else np.array(data)
    return as_array(data, caller, argument).astype(np.float64)


def _pair(y_true: Any, y_pred: Any, caller: str, argument: str = "y_pred") -> tuple[Floats, Floats]:
    """Truth and forecast, both (n_times, n_series)."""
    truth, forecast = _numbers(y_true, caller, "y_true"), _numbers(y_pred, caller, argument)
    truth, forecast = (_without_last_axis(array) for array in (truth, forecast))
    _check_truth(truth, caller)
    if forecast.shape != truth.shape:
        got, expected = f"shape {forecast.shape}", f"{truth.shape}, as y_true"
        raise ValueError(problem(caller, argument, got, expected))
    check_finite(forecast, caller, argument, ("time", "series"))
    return truth, forecast


def _without_last_axis(array: Floats) -> Floats:
    return array[:, None] if array.ndim == 1 else array


def _with_last_axis(y_true: Any, y_pred: Any, n_last: int, caller: str) -> tuple[Floats, Floats]:
    """Truth, (n_times, n_series), and what has several numbers for each of its values."""
    truth = _without_last_axis(_numbers(y_true, caller, "y_true"))
    forecast = _numbers(y_pred, caller, "y_pred")
    _check_truth(truth, caller)
    shape = (*truth.shape, n_last)
    # A frame has the numbers of a series beside each other; in an array they are the last axis.
    is_frame = forecast.ndim < 3 and forecast.size == np.prod(shape)
    if forecast.shape != shape and not (is_frame and len(forecast) == len(truth)):
        got, expected = f"shape {forecast.shape}", f"{shape}, with y_true of shape {truth.shape}"
        raise ValueError(problem(caller, "y_pred", got, expected))
    forecast = forecast.reshape(shape)
    check_finite(forecast, caller, "y_pred", ("time", "series", "number"))
    return truth, forecast


def _check_truth(truth: Floats, caller: str) -> None:
    if truth.ndim != 2 or 0 in truth.shape:
        expected = "(n_times,) or (n_times, n_series)"
        raise ValueError(problem(caller, "y_true", f"shape {truth.shape}", expected))
    check_finite(truth, caller, "y_true", ("time", "series"), may_miss=True)
    unknown = np.flatnonzero(np.isnan(truth).all(axis=0))
    if len(unknown):
        got = f"no known value in series {unknown[0]}"
        raise ValueError(problem(caller, "y_true", got, "at least one"))


def _training(y_train: Any, n_series: int, season_length: Any, caller: str) -> Panel:
    if isinstance(season_length, bool) or not isinstance(season_length, (int, np.integer)):
        season_length = 0
    if season_length < 1:
        expected = "an integer of at least 1"
        raise ValueError(problem(caller, "season_length", season_length, expected))
    panel = read_panel(y_train, caller=caller)
    if len(panel) != n_series:
        got, expected = f"{len(panel)} series", f"{n_series}, as in y_true"
        raise ValueError(problem(caller, "y_train", got, expected))
    return panel


def _mean(errors: Any, truth: Floats, sample_weight: Any, caller: str) -> Floats:
    """Mean over the times at which the truth is known, for each series."""
    weights = np.ones(len(truth))
    if sample_weight is not None:
        weights = _numbers(sample_weight, caller, "sample_weight")
        if weights.shape != (len(truth),) or not (weights >= 0).all() or not weights.any():
            got = f"shape {weights.shape}, from {weights.min(initial=0)}"
            expected = f"({len(truth)},) numbers that are not negative, some of them positive"
            raise ValueError(problem(caller, "sample_weight", got, expected))
    is_known = ~np.isnan(truth)
    total = (weights[:, None] * np.where(is_known, errors, 0.0)).sum(axis=0)
    return np.asarray(total / (weights[:, None] * is_known).sum(axis=0))


def _over_series(errors: Floats, multioutput: Any, caller: str) -> Any:
    """Return the errors of series as they are, or averaged."""
    if isinstance(multioutput, str):
        if multioutput == "raw_values":
            return errors
        if multioutput != "uniform_average":
            expected = "'raw_values', 'uniform_average' or an array of weights"
            raise ValueError(problem(caller, "multioutput", repr(multioutput), expected))
        multioutput = np.ones(len(errors))
    weights = _numbers(multioutput, caller, "multioutput")
    if weights.shape != errors.shape:
        expected = f"({len(errors)},), a weight for each series"
        raise ValueError(problem(caller, "multioutput", f"shape {weights.shape}", expected))
    undefined = np.flatnonzero(np.isnan(errors))
    if len(undefined):
        got = f"an average with series {undefined[0]}, whose error is not defined"
        raise ValueError(problem(caller, "multioutput", got, "'raw_values' for such a series"))
    return float(np.average(errors, weights=weights))
