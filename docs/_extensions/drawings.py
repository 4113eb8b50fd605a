"""The drawings of the pages, a function each; its docstring tells what is seen."""

from __future__ import annotations

import matplotlib.pyplot as plt
from inline_svg import COLORS, INK
from matplotlib.patches import FancyBboxPatch, Rectangle

BLUE, ORANGE, GREEN = COLORS[:3]


def neuron():
    """A recurrent neuron reads x at step t and its own state of the step before, and puts out h."""
    figure, ax = _canvas(6.4, 2.0, (0, 6.4), (0.5, 2.4))
    _box(ax, 2.5, 0.6, 1.6, 1.0, "φ(x W + h W + b)")
    _arrow(ax, (0.9, 1.1), (2.5, 1.1), BLUE, "$x_t$")
    _arrow(ax, (4.1, 1.1), (5.6, 1.1), INK)
    ax.text(5.25, 1.18, "$h_t$", ha="center", va="bottom")
    ax.plot([4.8, 4.8, 1.9, 1.9], [1.1, 1.95, 1.95, 1.35], color=ORANGE, lw=1.8)
    _arrow(ax, (1.9, 1.35), (2.5, 1.35), ORANGE)
    ax.text(3.3, 2.0, "$h_{t-1}$, a step later", ha="center", va="bottom", color=ORANGE)
    ax.text(0.85, 0.72, "input", color=BLUE)
    ax.text(5.1, 0.72, "output and state", ha="center")
    return figure


def unrolled():
    """The neuron drawn once for each of four steps; each copy has the same weights."""
    figure, ax = _canvas(6.4, 2.3, (0, 6.4), (0, 2.3))
    _chain(ax, 0.9, "x", "h", 4, read=range(4), put_out=range(4))
    return figure


def kinds_of_sequences():
    """Four: sequence to sequence, sequence to vector, vector to sequence, encoder-decoder."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.6))
    titles = (
        "sequence to sequence",
        "sequence to vector",
        "vector to sequence",
        "encoder–decoder",
    )
    patterns = ((range(4), range(4)), (range(4), [3]), (range(4), range(4)), ([0, 1], [2, 3]))
    for ax, title, (read, put_out) in zip(axes.flat, titles, patterns, strict=True):
        _frame(ax, (0, 6.4), (-0.1, 2.4))
        one = "vector" in title[:6]
        _chain(ax, 0.9, "x", "y", 4, read=read, put_out=put_out, same_input=one)
        ax.set_title(title, fontsize=11)
    return figure


def bptt():
    """Forwards through four steps; the loss reads the last two; gradients go back through all."""
    figure, ax = _canvas(6.4, 3.1, (0, 6.4), (-0.1, 3.0))
    _chain(ax, 0.9, "x", "y", 4, read=range(4), put_out=range(4))
    for step in (2, 3):
        x = 0.9 + 1.55 * step
        _box(ax, x - 0.3, 2.45, 0.6, 0.4, "loss")
        _arrow(ax, (x + 0.16, 2.42), (x + 0.16, 1.35), ORANGE)
    for step in range(3):
        x = 0.9 + 1.55 * step
        _arrow(ax, (x + 1.2, 0.86), (x + 0.36, 0.86), ORANGE)
    ax.text(0.4, 2.65, "orange: the gradient", color=ORANGE, ha="left", va="center")
    return figure


def truncated():
    """Six steps with truncation after three: states cross the cut, gradients do not."""
    figure, ax = _canvas(6.4, 1.9, (0, 6.4), (0, 1.9))
    for step in range(6):
        x = 0.6 + 1.04 * step
        _box(ax, x - 0.3, 0.6, 0.6, 0.55, f"$h_{step + 1}$")
        if step < 5:
            _arrow(ax, (x + 0.3, 1.0), (x + 0.74, 1.0), INK)
            if step != 2:
                _arrow(ax, (x + 0.74, 0.75), (x + 0.3, 0.75), ORANGE)
    ax.axvline(0.6 + 1.04 * 2.5, color=INK, ls=":", lw=1)
    ax.text(3.2, 1.6, "bptt_steps=3", ha="center", family="monospace")
    ax.text(3.2, 0.12, "black: states      orange: gradients", ha="center")
    return figure


def panels():
    """A weight matrix cut into panels of columns, and a tile of rows and lanes in registers."""
    figure, ax = _canvas(6.4, 3.2, (0, 6.4), (0, 3.3))
    _grid(ax, 0.3, 1.0, 4, 4, 0.28, BLUE)
    ax.text(0.3 + 0.56, 2.3, "states\n4 sequences", ha="center")
    ax.text(1.72, 1.5, "×", fontsize=16, ha="center", va="center")
    for panel in range(3):
        _grid(ax, 2.1 + 0.85 * panel, 1.0, 4, 4, 0.18, ORANGE if panel == 1 else INK)
        ax.text(2.46 + 0.85 * panel, 0.72, f"panel {panel}", ha="center", fontsize=9)
    ax.text(3.3, 2.1, "weights, packed once", ha="center")
    ax.text(4.75, 1.5, "=", fontsize=16, ha="center", va="center")
    _grid(ax, 5.05, 1.0, 4, 4, 0.26, GREEN)
    ax.text(5.57, 2.3, "a tile\nin registers", ha="center")
    ax.text(3.2, 0.2, "each number of a tile is one sum, always in the same order", ha="center")
    return figure


def lanes():
    """Sequences of different lengths share a batch; those that have ended take no further work."""
    figure, ax = _canvas(6.4, 2.4, (-0.6, 9.2), (-0.9, 4.2))
    for row, length in enumerate((9, 7, 4, 2)):
        for step in range(length):
            ax.add_patch(Rectangle((step, 3 - row), 0.9, 0.8, color=BLUE, alpha=0.85, lw=0))
        ax.text(-0.2, 3.4 - row, f"{length}", ha="right", va="center")
    for step, count in enumerate((4, 4, 3, 3, 2, 2, 2, 1, 1)):
        ax.text(step + 0.45, -0.15, f"{count}", ha="center", va="top")
    ax.text(4.5, -0.62, "rows of each step's product", ha="center", va="top")
    return figure


def shards():
    """Gradients of fixed shards of a mini-batch are summed in a fixed order, by any threads."""
    figure, ax = _canvas(6.4, 2.5, (0, 6.4), (0, 2.5))
    for shard in range(4):
        x = 0.35 + 1.05 * shard
        _box(ax, x, 1.5, 0.85, 0.5, f"shard {shard}", 9.5)
        _arrow(ax, (x + 0.42, 1.48), (x + 0.42, 1.0), INK)
    for shard in range(4):
        ax.text(0.77 + 1.05 * shard, 0.8, f"$g_{shard}$", ha="center", va="center")
        if shard < 3:
            ax.text(1.3 + 1.05 * shard, 0.8, "+", ha="center", va="center")
    ax.text(2.3, 2.2, "thread 0 or 1, whichever is free", ha="center", color=BLUE)
    ax.text(2.3, 0.3, "always added from left to right", ha="center", color=ORANGE)
    _arrow(ax, (4.4, 0.8), (5.1, 0.8), INK)
    ax.text(5.65, 0.8, "update", ha="center", va="center")
    return figure


def _canvas(width, height, x_limits, y_limits):
    figure, ax = plt.subplots(figsize=(width, height))
    _frame(ax, x_limits, y_limits)
    return figure, ax


def _frame(ax, x_limits, y_limits):
    ax.set(xlim=x_limits, ylim=y_limits)
    ax.axis("off")


def _box(ax, x, y, width, height, text, size=10):
    ax.add_patch(
        FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.08", fc="none", ec=INK
        )
    )
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size)


def _arrow(ax, start, end, color, text=""):
    look = {"arrowstyle": "-|>", "color": color, "lw": 1.5, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=look)
    if text:
        ax.text((start[0] + end[0]) / 2, start[1] + 0.08, text, ha="center", va="bottom")


def _chain(ax, x, below, above, n_steps, *, read, put_out, same_input=False):
    """Draw n_steps copies of a cell, what they read from below, and what they put out above."""
    for step in range(n_steps):
        at = x + 1.55 * step
        _box(ax, at - 0.35, 0.75, 0.7, 0.6, f"$h_{step + 1}$")
        if step < n_steps - 1:
            _arrow(ax, (at + 0.35, 1.15), (at + 1.2, 1.15), INK)
        if step in read:
            _arrow(ax, (at, 0.3), (at, 0.75), BLUE)
            name = f"${below}$" if same_input else f"${below}_{step + 1}$"
            ax.text(at, 0.25, name, ha="center", va="top")
        if step in put_out:
            _arrow(ax, (at, 1.35), (at, 1.8), GREEN)
            ax.text(at, 1.84, f"${above}_{step + 1}$", ha="center", va="bottom")


def _grid(ax, x, y, n_rows, n_columns, size, color):
    for row in range(n_rows):
        for column in range(n_columns):
            corner = (x + size * column, y + size * row)
            ax.add_patch(Rectangle(corner, size * 0.88, size * 0.88, fc=color, lw=0, alpha=0.85))
