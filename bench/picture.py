"""Figures as a picture: time against size, log-log, and the roofline."""

import numpy as np

COLUMNS = {"hidden size": "hidden units", "batch size": "sequences", "steps": "steps"}


def draw(figures, path):
    """Write one picture of the sweeps and the workloads of a run with one thread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for axis, (sweep, label) in zip(axes, COLUMNS.items(), strict=False):
        rows = [row for row in figures["sweeps"] if row["sweep"] == sweep]
        draw_sweep(axis, rows, label)
    draw_roofline(axes[3], figures)
    figure.savefig(path, dpi=110)


def draw_sweep(axis, rows, label):
    names = sorted({name for row in rows for name in row["ms"]}, key=lambda n: (n != "elman", n))
    for name in names:
        points = [(row["size"], row["ms"][name]) for row in rows if name in row["ms"]]
        axis.loglog(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    # What the product of matrices of the same run would need for the multiply-adds alone.
    limit = [(row["size"], 1e3 * row["flops"] / row["sgemm_gflops"] / 1e9) for row in rows]
    if limit:
        axis.loglog(*zip(*limit, strict=True), "k--", linewidth=1, label="at the speed of sgemm")
    axis.set(xlabel=label, ylabel="ms a mini-batch, training, n = 1")
    axis.grid(alpha=0.3, which="both")
    axis.legend()


def draw_roofline(axis, figures):
    rows = [row for row in figures["rows"] if row["n_threads"] == 1]
    if not rows or "1" not in figures["bandwidth"]:
        return
    peak = max(row["sgemm_gflops"] for row in rows)
    bandwidth = figures["bandwidth"]["1"]
    intensity = np.geomspace(0.05, 500)
    axis.loglog(intensity, np.minimum(peak, bandwidth * intensity), "k-", linewidth=1)
    for what, marker in (("training", "o"), ("inference", "s"), ("one", "^")):
        of_kind = [row for row in rows if row["what"] == what]
        x = [row["flops"] / row["bytes_moved"] for row in of_kind]
        y = [row["flops"] / row["ms"]["elman"] / 1e6 for row in of_kind]
        axis.loglog(x, y, marker, linestyle="none", label=what)
        if what == "inference":  # lies where training does
            continue
        for row, at_x, at_y in zip(of_kind, x, y, strict=True):
            axis.annotate(
                row["workload"], (at_x, at_y), fontsize=7, xytext=(4, 2), textcoords="offset points"
            )
    axis.set(
        xlabel="flops a byte, if weights are read at every step",
        ylabel="Gflop/s, elman, n = 1",
        title=f"sgemm {peak:.0f} Gflop/s; memory {bandwidth:.0f} GB/s (caches are above it)",
    )
    axis.grid(alpha=0.3, which="both")
    axis.legend(loc="lower right")
