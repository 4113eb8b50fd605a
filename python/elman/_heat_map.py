"""Numbers of a table as colours, for displays that have rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman._arrays import Array

MOST_LABELS = 40


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


def label_ticks(axis: Any, names: Sequence[Any] | None, *, rotation: float = 0) -> None:
    """Put names at the middles of rows or columns; numbers where there are none or too many."""
    if names is None or len(names) > MOST_LABELS:
        axis.get_major_locator().set_params(integer=True)
    else:
        axis.set_ticks(range(len(names)), [str(name) for name in names], rotation=rotation)
