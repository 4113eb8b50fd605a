"""python -m bench: elman against its peers, in turn within one run."""

import argparse
import json
import os

from bench import (
    batches,
    c_programs,
    fits,
    footprint,
    picture,
    report,
    seq2seq,
    small,
    streaming,
)
from bench.limits import Copy
from bench.measure import in_turn
from bench.workloads import SHAPES, SWEEPS, WORKLOADS

QUICK = ["simple1", "geron", "lstm64", "rnn512"]
BATCH_KINDS = ("training", "inference")


def main():
    arguments = parse()
    figures = {"bandwidth": {}, "rows": [], "sweeps": []}
    for section in arguments.sections:
        figures |= RUN[section](arguments, figures) or {}
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    if arguments.picture:
        picture.draw(figures, arguments.picture)


def parse():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    n_cores = len(os.sched_getaffinity(0))
    parser.add_argument("--quick", action="store_true", help="some workloads, in two minutes")
    parser.add_argument("--sections", type=names_in("section", RUN))
    parser.add_argument("--workloads", type=names_in("workload", WORKLOADS))
    parser.add_argument(
        "--threads",
        type=lambda text: [int(n) for n in text.split(",")],
        default=sorted({1, n_cores}),
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", help="a file for all figures")
    parser.add_argument("--picture", help="a file for the sweeps and the roofline, e.g. PNG")
    arguments = parser.parse_args()
    arguments.sections = arguments.sections or (["workloads"] if arguments.quick else list(RUN))
    arguments.workloads = arguments.workloads or (QUICK if arguments.quick else list(WORKLOADS))
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 9)
    return arguments


def names_in(what, known):
    """An argument's parser: names with commas between them, all of them known."""

    def parse_names(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} {name}; there are {', '.join(known)}")
        return names

    return parse_names


def run_workloads(arguments, figures):
    for n_threads in arguments.threads:
        copy = Copy(n_threads)
        seconds = in_turn({copy.name: copy.copy}, arguments.rounds)[copy.name].median
        figures["bandwidth"][str(n_threads)] = copy.n_bytes / seconds / 1e9
        print(f"copying memory, n={n_threads}: {copy.n_bytes / seconds / 1e9:.1f} GB/s")
        # One sequence is one thread's.
        kinds = BATCH_KINDS if n_threads > 1 else tuple(batches.KINDS)
        for name in arguments.workloads:
            rows = batches.measure(WORKLOADS[name], n_threads, arguments.rounds, kinds)
            run_rows(rows, figures["rows"])
    print(report.table(figures["rows"]))
    for warning in report.warnings_of(figures["rows"]):
        print(warning)


def run_shapes(arguments, figures):
    for workload in SHAPES.values():
        rows = batches.measure(workload, 1, arguments.rounds, BATCH_KINDS)
        run_rows(rows, figures["rows"])
    ragged = list(
        batches.ragged_over_regular(SHAPES["ragged"], SHAPES["as_regular"], arguments.rounds)
    )
    for row in ragged:
        print(
            f"a real step, ragged over regular, {row['what']}: "
            f"{row['ratio']:.2f} ±{row['spread']:.0%}"
        )
    return {"ragged_over_regular": ragged}


def run_sweeps(arguments, figures):
    for sweep, workloads in SWEEPS.items():
        for size, workload in workloads.items():
            # A round of a long mini-batch lasts seconds by itself.
            rounds = 2 if workload.n_steps > 100_000 else 3
            rows = batches.measure(workload, 1, rounds, ("training",), 0.02)
            run_rows(({"sweep": sweep, "size": size, **row} for row in rows), figures["sweeps"])


def run_small(arguments, figures):
    times = small.small_times(arguments.rounds)
    for name, microseconds in times.items():
        print(f"{microseconds:9.1f} us  {name}")
    return {"small": times}


def run_streaming(arguments, figures):
    rows = []
    for row in streaming.measure(arguments.rounds):
        rows.append(row)
        print(streaming.text(row), flush=True)
    of_c = []
    for row in c_programs.measure(arguments.rounds):
        of_c.append(row)
        print(c_programs.text(row), flush=True)
    return {"streaming": rows, "c_programs": of_c}


def run_footprint(arguments, figures):
    imports, sizes = footprint.import_times(arguments.rounds), footprint.sizes()
    memory = list(footprint.training_memory())
    for line in report.footprint_lines(imports, sizes, memory):
        print(line)
    return {"import_ms": imports, "megabytes": sizes, "training_memory": memory}


def run_seq2seq(arguments, figures):
    rows = []
    for row in seq2seq.measure(arguments.rounds):
        rows.append(row)
        print(seq2seq.text(row), flush=True)
    return {"seq2seq": rows}


def run_fits(arguments, figures):
    rows = []
    for fit in fits.fits():
        rows.append(fit)
        print(report.fit_text(fit), flush=True)
    return {"fits": rows}


def run_rows(rows, collected):
    for row in rows:
        collected.append(row)
        print(report.row_text(row), flush=True)


RUN = {
    "workloads": run_workloads,
    "shapes": run_shapes,
    "small": run_small,
    "streaming": run_streaming,
    "footprint": run_footprint,
    "sweeps": run_sweeps,
    "seq2seq": run_seq2seq,
    "fits": run_fits,
}

if __name__ == "__main__":
    main()
