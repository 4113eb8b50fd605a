"""Data that is larger than memory, as X of `fit`, `partial_fit`, `predict` and `score`."""

from elman._array_source import ArraySequences

__all__ = ["ArraySequences"]
