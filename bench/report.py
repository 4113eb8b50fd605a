"""Figures as lines of text."""

from collections import defaultdict
from operator import itemgetter

LEAST_SCALING = 0.8


def row_text(row):
    """One line of a workload: elman, each peer and how many times as long it takes, the limit."""
    peers = "  ".join(
        f"{name} {row['ms'][name]:9.3f} ms ({ratio:5.2f}x ±{row['ratio_spread'][name]:3.0%})"
        for name, ratio in row["ratio"].items()
    )
    return (
        f"{row['workload']:<14} {row['what']:<9} n={row['n_threads']}  "
        f"elman {row['ms']['elman']:9.3f} ms ±{row['spread']['elman']:3.0%}  {peers}  "
        f"{row['share_of_sgemm']:4.0%} of sgemm ({row['sgemm_gflops']:.0f} GF)"
    )


def table(rows):
    """Time of the best peer over elman's: a line a workload, a column a kind and threads."""
    columns = list(dict.fromkeys((row["n_threads"], row["what"]) for row in rows))
    best = {
        (row["workload"], row["n_threads"], row["what"]): min(
            row["ratio"].items(), key=itemgetter(1)
        )
        for row in rows
        if row["ratio"]
    }
    lines = ["best peer / elman".ljust(18) + "".join(f"{f'{k} n={n}':>18}" for n, k in columns)]
    for name in dict.fromkeys(row["workload"] for row in rows):
        cells = [best.get((name, *column)) for column in columns]
        texts = [f"{cell[1]:.2f} {cell[0]}" if cell else "" for cell in cells]
        lines.append(name.ljust(18) + "".join(text.rjust(18) for text in texts))
    return "\n".join(lines)


def footprint_lines(imports, sizes, memory):
    """What each package weighs, and each training."""
    for name, milliseconds in imports.items():
        size = sizes.get(name, {})
        texts = [f"import {milliseconds:7.0f} ms beyond scikit-learn's base"]
        if size:
            texts.append(f"{size['on_disk']:7.1f} MB on disk")
        if "wheel" in size:
            texts.append(f"{size['wheel']:.1f} MB as a wheel")
        yield f"{name:<12} {', '.join(texts)}"
    for row in memory:
        peaks = ", ".join(f"{name} {peak:.0f} MB" for name, peak in row["megabytes"].items())
        yield (
            f"training memory, {row['cell']} {row['n_layers']} x {row['n_units']}, "
            f"{row['batch_size']} sequences of {row['n_timesteps']} steps: {peaks}"
        )


def fit_text(fit):
    """One line of a whole fit."""
    errors = ", ".join(f"{error:.5f}" for error in fit["errors"])
    return (
        f"{fit['model']:<18} {fit['peer']:<6} whole fit {fit['seconds']:6.2f} s "
        f"±{fit['spread']:3.0%}, validation MSE of each seed {errors}"
    )


def warnings_of(rows):
    """What to doubt: rows in which the machine did not grant as many cores as it has."""
    limits = defaultdict(list)
    for row in rows:
        limits[row["n_threads"]].append(row["sgemm_gflops"])
    if 1 not in limits:
        return
    of_one_core = max(limits[1])
    for row in rows:
        scaling = row["sgemm_gflops"] / (row["n_threads"] * of_one_core)
        if scaling < LEAST_SCALING:
            yield (
                f"in doubt: {row['workload']} {row['what']} n={row['n_threads']}: sgemm ran at "
                f"{scaling:.0%} of what {row['n_threads']} undisturbed cores do in this run"
            )
