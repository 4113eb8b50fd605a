"""The picture of a forecast: a panel for each series."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import elman

MOST_PANELS = 12
N_COLUMNS = 3


def picture(
    model: Any, history: dict[str, Any], coverage: float, path: str, names: Sequence[Any]
) -> Callable[[Any], None]:
    """Return a function that draws histories, forecasts and intervals to an open file.

    Parameters
    ----------
    model : BaseForecaster
        The forecaster, fitted.
    history : dict
        Arguments of its `predict`.
    coverage : float
        Probability of the intervals.
    path : str
        Name of the file, whose ending tells its format.
    names : sequence
        Ids of the series.

    Returns
    -------
    draw : callable
        Takes a file that is open for bytes.
    """
    _, dot, ending = path.rpartition(".")
    options = {"coverage": coverage, **history}

    def draw(file: Any) -> None:
        import matplotlib

        matplotlib.use("agg")
        if len(names) == 1:
            figure = elman.ForecastDisplay.from_estimator(model, **options).figure_
        else:
            figure = _panels(model, options, names)
        figure.savefig(file, format=ending if dot else "png")

    return draw


def _panels(model: Any, options: dict[str, Any], names: Sequence[Any]) -> Any:
    """Draw each of the first series by itself, with one legend for all."""
    import matplotlib.pyplot as plt

    if len(names) > MOST_PANELS:
        message = f"the picture has the first {MOST_PANELS} of {len(names)} series"
        print(f"elman: warning: {message}", file=sys.stderr)
    drawn = names[:MOST_PANELS]
    n_columns = min(len(drawn), N_COLUMNS)
    n_rows = -(-len(drawn) // n_columns)
    size = (4.2 * n_columns, 2.8 * n_rows + 0.4)
    figure, grid = plt.subplots(
        n_rows, n_columns, figsize=size, squeeze=False, layout="constrained"
    )
    for ax in grid.flat[len(drawn) :]:
        ax.remove()
    for ax, name in zip(grid.flat, drawn, strict=False):
        elman.ForecastDisplay.from_estimator(model, series=name, ax=ax, **options)
        ax.set_title(name)
        ax.set_ylabel("")
        ax.get_legend().remove()
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
