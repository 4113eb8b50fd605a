"""Figures as lines of text."""

from collections import defaultdict

LEAST_SCALING = 0.8


def row_text(row):
    """One line of a workload: elman, each peer and how many times as long it takes, the limit."""
    peers = "  ".join(
        f"{name} {row['ms'][name]:9.3f} ms ({ratio:5.2f}x ±{row['ratio_spread'][name]:3.0%})"
        for name, ratio in row["ratio"].items()
    )
    return (
        f"{row['workload']:<10} {row['what']:<9} n={row['n_threads']}  "
        f"elman {row['ms']['elman']:9.3f} ms ±{row['spread']['elman']:3.0%}  {peers}  "
        f"{row['share_of_sgemm']:4.0%} of sgemm ({row['sgemm_gflops']:.0f} GF)"
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
