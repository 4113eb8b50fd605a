"""Numbers of a table as colours, for displays that have rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman._arrays import Array

MOST_LABELS = 40
MOST_VALUES = 80


def draw_heat_map(
    ax: Any, values: Array, *, is_signed: bool, label: str, im_kw: Mapping[str, Any] | None
) -> tuple[Any, Any]:
    """Draw a table with its first row on top; return the image and its colour bar.

    Signed values have colours of which zero is the middle; NaN is left blank.
    """
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    look = {
        "aspect": "auto",
        "interpolation": "nearest",
        "cmap": "RdBu_r" if is_signed else "Blues",
        "vmin": -largest if is_signed else 0.0,
        "vmax": largest,
        **(im_kw or {}),
    }
    image = ax.imshow(values, **look)
    return image, ax.figure.colorbar(image, ax=ax, label=label)


def write_values(ax: Any, image: Any) -> Array:
    """Write the numbers over their colours, in white where these are dark; return the texts."""
    values = np.asarray(image.get_array())
    texts = np.empty(values.shape, dtype=object)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        is_dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45
        look = {"color": "white" if is_dark else "black", "ha": "center", "va": "center"}
        text = f"{value:.2f}".replace("-0.00", "0.00")
        texts[row, column] = ax.text(column, row, text, **look)
    return texts


def label_ticks(axis: Any, names: Sequence[Any] | None) -> None:
    """Put names at the middles of rows or columns; numbers where there are none or too many."""
    if names is None or len(names) > MOST_LABELS:
        axis.get_major_locator().set_params(integer=True)
        return
    labels = [str(name) for name in names]
    is_long = axis.axis_name == "x" and max(map(len, labels)) > 3
    axis.set_ticks(range(len(labels)), labels, rotation=60 if is_long else 0)
