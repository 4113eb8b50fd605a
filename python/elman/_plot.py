"""What every display shares: the axes it draws on, and colours that everybody can tell apart."""

from __future__ import annotations

from typing import Any

# Of the palette of Okabe and Ito, which colour-blind people can tell apart.
BLACK, BLUE, ORANGE = "#000000", "#0072B2", "#D55E00"


def axes_to_draw_on(ax: Any, caller: str) -> Any:
    """Return the axes, or new ones for None; an ImportError names the extra of matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller}: pictures need matplotlib: pip install 'elman[plot]'"
        ) from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def legend_below(ax: Any, **options: Any) -> None:
    """Add a legend below the axes and their labels, where it hides nothing of what is drawn."""
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "frameon": False}
    ax.legend(**below, **options)
