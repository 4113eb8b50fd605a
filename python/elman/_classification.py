"""What the outputs of a network mean in classification: classes, and their probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.utils.multiclass import check_classification_targets

from elman import _core
from elman._arrays import Array, check_finite
from elman._exceptions import abbreviated, problem


@dataclass(frozen=True)
class ClassificationTask:
    """Classes, and how a network tells them.

    Parameters
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        One logistic output, a softmax over the classes, or a logistic output for each label.
    classes : ndarray of shape (n_classes,)
        The labels, sorted; for "multilabel" the numbers of the labels.
    """

    kind: str
    classes: Array

    @property
    def loss(self) -> str:
        """The core's name of the loss."""
        return self.kind

    @property
    def loss_parameter(self) -> float:
        """Cross-entropy has none."""
        return 1.0

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        return 1 if self.kind == "binary" else len(self.classes)

    @property
    def out_activation(self) -> str:
        """What makes probabilities of the network's outputs."""
        return "softmax" if self.kind == "multiclass" else "logistic"

    def encode(self, rows: Array, dtype: np.dtype[Any], caller: str, argument: str) -> Array:
        """Targets as the network sees them: class numbers, or zeros and ones."""
        if self.kind == "multilabel":
            check_labels(rows, caller, argument)
            if rows.shape[1] != len(self.classes):
                got = f"{rows.shape[1]} labels"
                raise ValueError(problem(caller, argument, got, f"{len(self.classes)}, as in fit"))
            return np.ascontiguousarray(rows, dtype=dtype)
        if rows.shape[1] != 1:
            got = f"{rows.shape[1]} columns"
            raise ValueError(problem(caller, argument, got, "one column of labels, as in fit"))
        labels = rows[:, 0]
        check_finite(labels, caller, argument)
        if (
            "U" in (kinds := {labels.dtype.kind, self.classes.dtype.kind} - {"O"})
            and len(kinds) > 1
        ):
            got = f"labels of dtype {labels.dtype}, which are not in classes"
            raise ValueError(problem(caller, argument, got, abbreviated(self.classes.tolist())))
        numbers = np.searchsorted(self.classes, labels)
        numbers = np.minimum(numbers, len(self.classes) - 1)
        is_unseen = self.classes[numbers] != labels
        if is_unseen.any():
            unseen = np.unique(labels[is_unseen]).tolist()
            got = f"the labels {abbreviated(unseen)}, which are not in classes"
            raise ValueError(problem(caller, argument, got, abbreviated(self.classes.tolist())))
        return np.ascontiguousarray(numbers[:, None], dtype=dtype)

    def fold(self, network: _core.Network, parameters: Array) -> Array:
        """Return the parameters: outputs have no units to put back."""
        return parameters.copy()

    def unfold(self, network: _core.Network, parameters: Array) -> Array:
        """Undo `fold`."""
        return parameters.copy()

    def probabilities(self, outputs: Array) -> Array:
        """Probabilities of shape (n_rows, n_classes)."""
        if self.kind == "multilabel":
            return np.asarray(expit(outputs))
        if self.kind == "binary":
            positive = expit(outputs)
            return np.hstack([1 - positive, positive])
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def log_probabilities(self, outputs: Array) -> Array:
        """Logarithms of `probabilities`, exact where those round to zero."""
        if self.kind == "multilabel":
            return np.asarray(-np.logaddexp(0, -outputs))
        if self.kind == "binary":
            return np.asarray(-np.logaddexp(0, np.hstack([outputs, -outputs])))
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

    def predict(self, outputs: Array) -> Array:
        """Labels of shape (n_rows, 1), or zeros and ones of shape (n_rows, n_labels)."""
        probabilities = self.probabilities(outputs)
        if self.kind == "multilabel":
            return (probabilities > 0.5).astype(np.int64)
        labels: Array = self.classes[np.argmax(probabilities, axis=1)]
        return labels[:, None]

    def score(self, rows: Array, predicted: Array, weights: Array | None) -> float:
        """Accuracy: the share of rows whose labels are all right."""
        is_right = (rows == predicted).all(axis=1)
        return float(np.average(is_right, weights=weights))


def check_labels(rows: Array, caller: str, argument: str) -> None:
    """Raise ValueError unless the rows are zeros and ones."""
    if rows.dtype.kind not in "biuf" or not np.isin(rows, (0, 1)).all():
        got = f"{rows.shape[1]} columns that are not all 0 or 1 (Unknown label type)"
        expected = "one column of labels, or zeros and ones for several labels"
        raise ValueError(problem(caller, argument, got, expected))


def classification_task(
    rows: Array, caller: str, classes: Any = None, argument: str = "y"
) -> ClassificationTask:
    """Tell the task from the targets, or from ``classes`` if they are given."""
    if rows.shape[1] > 1:
        check_labels(rows, caller, argument)
        return ClassificationTask("multilabel", np.arange(rows.shape[1]))
    labels = rows[:, 0] if classes is None else np.asarray(classes)
    check_finite(labels, caller, argument if classes is None else "classes")
    if labels.dtype.kind == "c":
        got = f"dtype {labels.dtype} (Complex data not supported)"
        raise ValueError(problem(caller, argument, got, "labels"))
    try:
        check_classification_targets(labels)
        seen = np.unique(labels)
    except (TypeError, ValueError) as error:
        got = f"labels of dtype {labels.dtype}: {error}"
        raise type(error)(problem(caller, argument, got, "classes of one kind")) from error
    return ClassificationTask("binary" if len(seen) == 2 else "multiclass", seen)


def factors_of_rows(
    class_weight: Any,
    task: ClassificationTask,
    training: Iterable[tuple[Array, Any]],
    caller: str,
) -> Callable[[Array], NDArray[np.float64]]:
    """Return a function that tells factors for the weights of rows from their classes.

    "balanced" counts the rows of ``training``, which come in parts, with their weights.
    """
    check_has_classes(class_weight, task, caller)

    def numbers_of(rows: Array) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = task.encode(rows, np.dtype(np.int64), caller, "y")[:, 0]
        return numbers

    counts = np.zeros(len(task.classes))
    if not isinstance(class_weight, Mapping):
        for rows, weights in training:  # one after another: sums do not depend on cuts
            np.add.at(counts, numbers_of(rows), 1.0 if weights is None else weights)
    factors = class_factors(class_weight, task, counts, caller)
    return lambda rows: factors[numbers_of(rows)]


def check_has_classes(class_weight: Any, task: ClassificationTask, caller: str) -> None:
    """Raise ValueError where a row has no class of which there could be a weight."""
    if task.kind == "multilabel":
        got = f"{abbreviated(class_weight)}"
        raise ValueError(problem(caller, "class_weight", got, "None for several labels"))


def class_counts(
    task: ClassificationTask, numbers: NDArray[np.int64], weights: Array | None
) -> NDArray[np.float64]:
    """How often each class comes among these numbers of classes, or its weight."""
    counts = np.bincount(numbers, weights, minlength=len(task.classes))
    return np.asarray(counts, dtype=np.float64)


def class_factors(
    class_weight: Any, task: ClassificationTask, counts: NDArray[np.float64], caller: str
) -> NDArray[np.float64]:
    """Weight of each class; "balanced" makes classes that come ``counts`` times weigh alike."""
    factors = np.ones(len(task.classes))
    if isinstance(class_weight, Mapping):
        _read_class_weight(class_weight, task, factors, caller)
    else:
        present = counts > 0
        factors[present] = counts.sum() / (np.count_nonzero(present) * counts[present])
    return factors


def _read_class_weight(
    class_weight: Mapping[Any, Any],
    task: ClassificationTask,
    factors: NDArray[np.float64],
    caller: str,
) -> None:
    known = {label: i for i, label in enumerate(task.classes.tolist())}
    unknown = [label for label in class_weight if label not in known]
    missing = [label for label in known if label not in class_weight]
    if unknown or missing:
        got = f"the classes {abbreviated(list(class_weight))}"
        raise ValueError(problem(caller, "class_weight", got, abbreviated(list(known))))
    for label, factor in class_weight.items():
        if isinstance(factor, bool) or not np.isreal(factor) or not 0 <= factor < np.inf:
            got = f"{factor!r} for class {label!r}"
            raise ValueError(problem(caller, "class_weight", got, "finite weights of at least 0"))
        factors[known[label]] = factor
