"""Long tables and tables of lists with the same sequences, and what is in them as arrays."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from elman.data import ParquetSequences

N = 60
_rng = np.random.RandomState(0)
LENGTHS = _rng.randint(1, 30, N)
LENGTHS[7] = 200  # longer than two row groups
OFFSETS = np.concatenate([[0], LENGTHS.cumsum()])
N_STEPS = int(OFFSETS[-1])
A = _rng.randn(N_STEPS)
B = _rng.randn(N_STEPS).astype(np.float32)
WEIGHT = _rng.uniform(size=N_STEPS) * (_rng.uniform(size=N_STEPS) > 0.2)


def cut(column):
    """A column as a list of one array for each sequence."""
    return [column[i:j] for i, j in itertools.pairwise(OFFSETS)]


X = cut(np.column_stack([A, B]))
SUM = np.concatenate([part.cumsum() for part in cut(A)])
LABEL = np.where(SUM > 0, "up", "down")
LAST = OFFSETS[1:] - 1
IDS = np.repeat([f"sensor {i}" for i in _rng.permutation(N)], LENGTHS)
COLUMNS = {
    "id": IDS,
    "time": np.concatenate([np.arange(n) for n in LENGTHS]),
    "a": A,
    "b": B,
    "sum": SUM,
    "label": LABEL,
    "weight": WEIGHT,
}


def write(path, row_group_size=90, **columns):
    """Write the long table, with some columns changed or more of them."""
    pq.write_table(pa.table({**COLUMNS, **columns}), path, row_group_size=row_group_size)
    return path


def write_lists(path, row_group_size=10, **columns):
    """Write the same sequences as one row each."""
    lists = {name: cut(COLUMNS[name]) for name in ("a", "b", "sum", "weight")}
    last = {f"last {name}": COLUMNS[name][LAST] for name in ("sum", "label", "weight")}
    pq.write_table(pa.table({**lists, **last, **columns}), path, row_group_size=row_group_size)
    return path


def source_of(path, **options):
    """The sequences of a long table."""
    defaults = {"id": "id", "time": "time", "channels": ["a", "b"], "target": "sum"}
    return ParquetSequences(path, **{**defaults, **options})
