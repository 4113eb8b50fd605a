"""Look inside fitted networks: what moves a prediction, and what the score needs."""

from __future__ import annotations

from elman._permutation import permutation_importance
from elman._saliency import saliency

__all__ = [
    "permutation_importance",
    "saliency",
]
