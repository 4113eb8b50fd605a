"""How much memory what lies on workers takes: dask places tasks, and spills, by that."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from dask.sizeof import sizeof
from scipy import sparse

from elman._data import Data
from elman._forecast.series import Series
from elman.dask._partitions import Partition
from elman.dask._series import SeriesPartition, WindowShard
from elman.dask._steps import Part, SequenceShard, State, Travelled, Weights

OBJECT = 64


def size_of(value: Any) -> int:
    """Bytes of the arrays in a value, and a few for what is around them."""
    if isinstance(value, np.ndarray):
        return OBJECT + int(sizeof(value))
    if sparse.issparse(value):
        parts = (value.data, value.indices, value.indptr)
        return OBJECT + sum(int(part.nbytes) for part in parts)
    if isinstance(value, dict):
        return OBJECT + sum(map(size_of, value.values()))
    if isinstance(value, tuple):
        return OBJECT + sum(map(size_of, value))
    if is_dataclass(value):
        return OBJECT + sum(size_of(getattr(value, field.name)) for field in fields(value))
    return OBJECT


KINDS = (
    Data,
    Part,
    Partition,
    SequenceShard,
    Series,
    SeriesPartition,
    State,
    Travelled,
    Weights,
    WindowShard,
)
for _kind in KINDS:
    sizeof.register(_kind, size_of)
