"""The figures of the gallery: in the page as SVG, in its ink, and as PNG for the thumbnails."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import inline_svg
import matplotlib.pyplot as plt
from sklearn.exceptions import ConvergenceWarning

ORDER = [
    "forecast",
    "grid_search",
    "deep_rnn",
    "imputation",
    "paths",
    "streaming",
    "saliency",
    "attention",
    "hidden_states",
    "many_models",
]


class Order:
    """The order of the scripts: what most come for is first."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, filename):
        return ORDER.index(Path(filename).stem.removeprefix("plot_"))


def drawn(block, block_vars, gallery_conf):
    """Return the figures that a block has left open as reStructuredText, and close them."""
    shown = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.savefig(next(block_vars["image_path_iterator"]), facecolor="white", dpi=100)
        svg = textwrap.indent(inline_svg.of_figure(figure), "    ")
        shown.append(f".. raw:: html\n\n{svg}\n")
    plt.close("all")
    return "\n".join(shown)


def style(gallery_conf, script):
    """Give each script the style of the other pages."""
    plt.rcdefaults()
    plt.rcParams.update(inline_svg.STYLE)
    warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs, by intention
