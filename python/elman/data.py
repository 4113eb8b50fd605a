"""Data that is larger than memory, as X of `fit`, `partial_fit`, `predict` and `score`."""

from elman._array_source import ArraySequences
from elman._parquet import ParquetSequences

__all__ = ["ArraySequences", "ParquetSequences"]
