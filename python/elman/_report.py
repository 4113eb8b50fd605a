"""What a backtest says, in a few lines: the model beside no model."""

from __future__ import annotations

from typing import Any

import numpy as np

from elman._exceptions import problem

TRUTH, MODEL = "y", "y_pred"
NAIVE = {"y_seasonal_naive": "seasonal naive", "y_naive": "naive"}
INTERVAL = ("lower", "upper")


def backtest_report(table: Any, *, output_dict: bool = False) -> Any:
    """Sum up a backtest: the errors of the model beside those of the naive forecasts.

    Parameters
    ----------
    table : DataFrame
        What `RNNForecaster.backtest` returned, or rows of it.
    output_dict : bool, default=False
        Whether to return a dict.

    Returns
    -------
    report : str or dict
        A line for each forecast with MASE, sMAPE and WAPE in percent, RMSE, and for the model, if
        the table has intervals, the share of the truth within them and their mean width. A dict has
        shares instead of percents.

    Raises
    ------
    ValueError
        If there is no row with a known value.

    See Also
    --------
    sklearn.metrics.classification_report : The same for classes.

    Examples
    --------
    >>> from elman import LinearForecaster
    >>> from elman.datasets import load_air_passengers
    >>> from elman.metrics import backtest_report
    >>> passengers = load_air_passengers().data
    >>> model = LinearForecaster(horizon=12, season_length=12)
    >>> print(backtest_report(model.backtest(passengers, n_windows=3, refit=True)))
                            MASE       sMAPE        WAPE        RMSE
    model                  0.976      6.77 %      6.87 %     35.3771
    seasonal naive         1.213      8.52 %      8.38 %     41.9792
    naive                  2.468     17.41 %     17.09 %     98.7556
    """
    if not len(table) or table[TRUTH].isna().all():
        raise ValueError(problem("backtest_report", "table", "no known value", "some"))
    known = table[table[TRUTH].notna()]
    report: dict[str, dict[str, float]] = {"model": _errors(known, MODEL)}
    report |= {name: _errors(known, column) for column, name in NAIVE.items() if column in known}
    if all(column in known for column in INTERVAL):
        lower, upper = (known[column] for column in INTERVAL)
        is_inside = (lower <= known[TRUTH]) & (known[TRUTH] <= upper)
        report["model"] |= {
            "coverage": float(is_inside.mean()),
            "width": float((upper - lower).mean()),
        }
    return report if output_dict else _text(report)


def _errors(table: Any, column: str) -> dict[str, float]:
    truth, forecast = table[TRUTH].to_numpy(), table[column].to_numpy()
    errors = np.abs(truth - forecast)
    scale = table["scale"].to_numpy()
    is_scaled = scale > 0
    size = np.abs(truth) + np.abs(forecast)
    total = np.abs(truth).sum()
    return {
        "MASE": float((errors[is_scaled] / scale[is_scaled]).mean()) if is_scaled.any() else np.nan,
        "sMAPE": float((2 * errors / np.where(size > 0, size, 1.0)).mean()),
        "WAPE": float(errors.sum() / total) if total else np.nan,
        "RMSE": float(np.sqrt((errors**2).mean())),
    }


def _text(report: dict[str, dict[str, float]]) -> str:
    names = list(report["model"])
    lines = [" " * 16 + "".join(f"{name:>12}" for name in names)]
    for name, errors in report.items():
        cells = [_cell(measure, errors.get(measure)) for measure in names]
        lines.append(f"{name:<16}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def _cell(measure: str, value: float | None) -> str:
    if value is None:
        return ""
    if measure in ("sMAPE", "WAPE", "coverage"):
        return f"{100 * value:.2f} %"
    return f"{value:.3f}" if measure == "MASE" else f"{value:.6g}"
