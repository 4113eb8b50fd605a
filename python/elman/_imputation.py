"""A fit of an imputer, and what it leaves behind: one value that never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._exceptions import diverged
from elman._fills import Fills, Rows
from elman._gappy import Calendar, GappySeries
from elman._gaps import Bools, GapShapes
from elman._model import FittedModel
from elman._pieces import PieceDraws, Pieces, covering_pieces, joined
from elman._sequences import InputForm
from elman._spread import Spread, fitted_spread
from elman._training import TrainingState

ROWS_PER_BLOCK = 2**15
ROWS_OF_HIDDEN_VALUES, MOST_TIMES_HIDDEN = 2**14, 16
WARMUP = 1 / 30
PARAMETER_AVERAGE = 0.99


class ScaledUnits:
    """Parameters of a fit are those of its training: both are for scaled values."""

    def unfold(self, network: Any, parameters: Array) -> Array:
        """Return parameters of training."""
        return parameters.copy()


@dataclass(frozen=True)
class ImputationModel(FittedModel):
    """Networks that fill gaps, and what has to be known beside them.

    Parameters
    ----------
    method : Mixture or Brits
        What goes in and out of the networks.
    parameters : ndarray of shape (n_parameters,)
        Their parameters, for scaled values; read-only.
    inputs : InputForm
        How X looked.
    calendar : Calendar or None
        The times of X.
    window : int
        Steps that are looked at together.
    season_length : int or None
        Steps of a season.
    gaps : GapShapes
        In what shapes values were hidden.
    center, scale : ndarray of shape (n_channels,)
        Mean and standard deviation of the channels.
    spread : Spread or None
        Standard deviations of fills; None before training.
    training : TrainingState
        How training went.
    """

    method: Any
    parameters: Array
    inputs: InputForm
    calendar: Calendar | None
    window: int
    season_length: int | None
    gaps: GapShapes
    center: Array
    scale: Array
    spread: Spread | None
    training: TrainingState

    @property
    def task(self) -> ScaledUnits:
        """The units in which parameters are told."""
        return ScaledUnits()

    def network(self) -> Any:
        """Make the networks; they hold shapes only."""
        return self.method.network()

    def with_training(self, training: TrainingState) -> ImputationModel:
        """Return this model with the parameters of a training state."""
        parameters = training.parameters.copy()
        parameters.flags.writeable = False
        return replace(self, parameters=parameters, training=training)

    def fill(self, series: GappySeries, n_threads: int) -> tuple[Array, Array]:
        """Estimate what is missing.

        Parameters
        ----------
        series : GappySeries
            The series.
        n_threads : int
            Never changes a bit.

        Returns
        -------
        estimates, std : ndarray of shape (n_rows, n_channels)
            In the units of X; they mean nothing where a value is observed.
        """
        assert self.spread is not None
        values = self.scaled(series.values)
        pieces = covering_pieces(series.offsets, self.window)
        has_gap = np.asarray(np.isnan(values).any(axis=1))
        is_needed = np.add.reduceat(has_gap[pieces.rows], pieces.offsets[:-1], dtype=np.int64) > 0
        pieces = pieces.take(np.flatnonzero(is_needed))
        estimates, std = [], []
        step = max(1, ROWS_PER_BLOCK // self.window)
        for start in range(0, len(pieces), step):
            block = pieces.take(slice(start, start + step))
            fills = Fills(values[block.rows], block.offsets)
            positions = series.positions[block.rows]
            of_block = self.method.estimate(self.parameters, fills, positions, n_threads)
            estimates.append(of_block)
            std.append(self.spread.std(fills, of_block))
        n_rows, n_channels = values.shape
        empty = np.zeros((0, n_channels))
        whole = joined(np.concatenate([empty, *estimates]), pieces, n_rows)
        whole_std = joined(np.concatenate([empty, *std]), pieces, n_rows)
        return whole * self.scale + self.center, whole_std * self.scale

    def scaled(self, values: Array) -> Array:
        """Take off the mean of each channel, and divide by its standard deviation."""
        return ((values - self.center) / self.scale).astype(self.inputs.dtype)


@dataclass
class ImputationTraining:
    """One call of `fit`.

    Parameters
    ----------
    model : ImputationModel
        Where to begin; never changed.
    series : GappySeries
        What is trained on.
    settings : dict
        The estimator's parameters.
    n_threads : int
        Never changes a bit.
    caller : str
        Class and method, for messages.
    """

    model: ImputationModel
    series: GappySeries
    settings: Mapping[str, Any]
    n_threads: int
    caller: str

    def __post_init__(self) -> None:
        self._values = self.model.scaled(self.series.values)
        has_value = np.asarray(~np.isnan(self._values).all(axis=1))
        self._draws = PieceDraws(
            self.series.offsets,
            self.model.window,
            has_value,
            self.model.training.random_state,
        )

    def run(
        self,
        before_update: Callable[[], None],
        after_update: Callable[[ImputationModel], bool],
    ) -> ImputationModel:
        """Train on mini-batches in which values are hidden anew; then measure the spread.

        Parameters
        ----------
        before_update, after_update : callable
            Called around every mini-batch; a true answer of ``after_update`` ends the training.

        Returns
        -------
        model : ImputationModel
            The end.
        """
        method = self.model.method.prepared(*self._hidden_values())
        model, n_pieces = replace(self.model, method=method), int(self.settings["batch_size"])
        trainer = model.method.training(model.parameters, self._options())
        state = model.training
        for n_iter in range(1, self.settings["max_iter"] + 1):
            before_update()
            pieces, is_hidden = self._draw(n_pieces)
            rows = pieces.rows
            positions = self.series.positions[rows]
            try:
                loss = trainer.update(self._values[rows], pieces.offsets, positions, is_hidden)
            except _core.Diverged as error:
                place = f"in mini-batch {n_iter}"
                raise diverged(error, self.caller, place, n_iter) from error
            state = replace(
                state,
                parameters=trainer.parameters,
                n_iter=n_iter,
                t=n_iter * n_pieces,
                loss_curve=(*state.loss_curve, loss),
                best_loss=min(loss, state.best_loss),
            )
            if after_update(model.with_training(state)):
                break
        model = model.with_training(state)
        fills, positions, values, is_hidden = self._hidden_values()
        estimates = method.estimate(model.parameters, fills, positions, self.n_threads)
        return replace(model, spread=fitted_spread(fills, estimates, values, is_hidden))

    def _draw(self, n_pieces: int) -> tuple[Pieces, Bools]:
        """Draw windows, and which of their values are hidden."""
        pieces = self._draws.draw(n_pieces)
        is_observed = ~np.isnan(self._values[pieces.rows])
        random_state = self._draws.random_state
        return pieces, self.model.gaps.hide(is_observed, pieces.offsets, random_state)

    def _hidden_values(self) -> tuple[Fills, Rows, Array, Bools]:
        """Draw many windows without their hidden values; positions, values, which are hidden."""
        n_rows = min(ROWS_OF_HIDDEN_VALUES, MOST_TIMES_HIDDEN * len(self._values))
        pieces, is_hidden = self._draw(max(1, n_rows // self.model.window))
        values = self._values[pieces.rows]
        fills = Fills(np.where(is_hidden, values.dtype.type(np.nan), values), pieces.offsets)
        return fills, self.series.positions[pieces.rows], values, is_hidden

    def _options(self) -> dict[str, Any]:
        """Arguments of the core's trainer."""
        options, n_updates = self.settings, self.settings["max_iter"]
        return {
            "solver": "adamw",
            "learning_rate": options["learning_rate_init"],
            "schedule": "cosine",
            "warmup_steps": int(WARMUP * n_updates),
            "total_steps": n_updates,
            "alpha": options["alpha"],
            "clip_norm": options["clip_norm"],
            "parameter_average": PARAMETER_AVERAGE,
            "dropout": options["dropout"],
            "seed": self.model.training.dropout_seed,
            "n_threads": self.n_threads,
        }
