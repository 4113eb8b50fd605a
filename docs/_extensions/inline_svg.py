"""Figures as SVG within the page, in ink that follows its light or dark colours."""

from __future__ import annotations

import html
import io
import re

INK = "#0a0b0c"  # stands for the colour of the page's text
# Each has a contrast of 3 and more to the light and to the dark page.
COLORS = ["#3d85c6", "#d9660a", "#2f9e62", "#a566d1", "#d1495b", "#8a7a2c"]

STYLE = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler('color', {COLORS})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "figure.figsize": (5.8, 3.2),
    "font.size": 11.0,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.hashsalt": "elman",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def of_figure(figure, alt=None):
    """Return the figure as an element of HTML."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = text.replace(INK, "currentColor").replace("#000000", "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Names are looked up in the whole page, so that each figure needs names of its own.
    of_figure.count += 1
    prefix = f"f{of_figure.count}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}", text)
    label = html.escape(alt or _described(figure), quote=True)
    text = re.sub(r"(<svg[^>]*?) height=\"[^\"]*\"", r"\1", text, count=1)  # follows the width
    text = text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return f'<figure class="drawn">{text}</figure>'


of_figure.count = 0


def _described(figure):
    """What the titles and labels of its axes say."""
    parts = []
    for ax in figure.axes:
        labels = [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()]
        parts += [label for label in labels if label and label not in parts]
    return "; ".join(["Figure", *parts])
