"""Errors, and the one form that their messages have."""

from __future__ import annotations

from typing import Any

from sklearn.exceptions import NotFittedError


class DivergenceError(ValueError):
    """The loss or its gradient stopped being finite while a model was trained.

    Nothing of the training is kept: the estimator is as it was before.

    Parameters
    ----------
    message : str
        What happened, where, and what may help.
    epoch : int
        The epoch in which it happened, from 1.
    batch : int
        The mini-batch of that epoch, from 0.
    learning_rate : float
        The learning rate of the update that was not made.
    gradient_norm : float
        The norm of the gradient before clipping.

    Examples
    --------
    >>> from elman import DivergenceError
    >>> issubclass(DivergenceError, ValueError)
    True
    """

    def __init__(
        self,
        message: str,
        epoch: int = 0,
        batch: int = 0,
        learning_rate: float = 0.0,
        gradient_norm: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.learning_rate = learning_rate
        self.gradient_norm = gradient_norm

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            type(self),
            (str(self), self.epoch, self.batch, self.learning_rate, self.gradient_norm),
        )


class ModelFileError(ValueError):
    """A file, or a pickle, from which no model can be read.

    See Also
    --------
    elman.load : Raises it.

    Examples
    --------
    >>> from elman import ModelCorruptError, ModelFileError
    >>> issubclass(ModelCorruptError, ModelFileError)
    True
    """


class ModelCorruptError(ModelFileError):
    """The bytes are damaged, forged, or those of another format."""


class ModelVersionError(ModelFileError):
    """A newer version wrote it, with something in it that this one does not know."""


class ModelLimitError(ModelFileError):
    """Something in it is larger than is ever written."""


def problem(caller: str, argument: str, got: object, expected: str) -> str:
    """Say which argument of which method was wrong, what came and what was wanted."""
    return f"{caller}: {argument} got {got}, expected {expected}"


def diverged(
    error: Exception, caller: str, place: str, epoch: int, also: str = ""
) -> DivergenceError:
    """Say where a training diverged, for the core's own error, and what may help."""
    _, batch, learning_rate, norm = error.args
    got = (
        f"a loss or gradient that is not finite {place}, at learning rate {learning_rate:g} "
        f"(gradient norm {norm:g})"
    )
    expected = f"finite values: lower learning_rate_init or set clip_norm{also}"
    message = problem(caller, "learning_rate_init", got, expected)
    return DivergenceError(message, epoch, batch, learning_rate, norm)


def not_fitted(caller: str, missing: str) -> NotFittedError:
    """Say that a method was called before `fit`, and what it would have needed."""
    name = caller.split(".")[0]
    return NotFittedError(
        f"{caller}: this {name} instance is not fitted yet, got no {missing}, expected a call of "
        "fit before"
    )


def abbreviated(value: object, length: int = 60) -> str:
    """`repr` of a value, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"
