"""What a fit has settled: how windows are cut, what the network reads and what it puts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._forecast.candidates import SIMILAR, candidates
from elman._forecast.distributions import COUNTS, Distribution, distribution
from elman._forecast.history import Floats, History, Integers
from elman._forecast.window import Window, cut, in_own_units

LARGEST_INPUT = 20.0
"""Units of the window; what lies further out is cut off where the network reads it."""


@dataclass(frozen=True)
class Plan:
    """How forecasts are made, apart from the network's weights.

    Parameters
    ----------
    horizon, window, segment_length : int
        Times that are forecast at once, looked at, and read at one step of the network.
    season_lengths : tuple of int
        The shortest first; empty without any.
    transform, centre, scale : str or None
        As of `History` and `cut`.
    candidates : tuple of (name, season length)
        Simple forecasts that are mixed; empty: the network forecasts from zero.
    prior : tuple of float
        Logits with which the mixture of the candidates begins, of one group after the other;
        empty: all weigh alike.
    n_groups : int
        Parts of the outputs of a step that have weights of the mixture of their own.
    sharpness : float
        Of the softmax that makes the weights.
    is_decoding : bool
        Whether the recurrence takes a step for each segment of the horizon, one after the other or
        each from the last state of the window, or that state tells them all.
    reads_holes : bool
        Whether the network is told which values are fillings.
    n_identities : int
        Number of series that the network knows by name; 0 if by none.
    loss : str
        The core's name.
    levels : tuple of float
        Of the quantiles that are put out with the loss "quantile".
    covariate_mean, covariate_scale, past_mean, past_scale, static_mean, static_scale : ndarray
        Units of the covariates.
    scale_of_zeros : float
        The scale of windows that are zero throughout; 1 in files from before.
    """

    horizon: int
    window: int
    segment_length: int
    season_lengths: tuple[int, ...]
    transform: str | None
    centre: str | None
    scale: str | None
    candidates: tuple[tuple[str, int], ...]
    prior: tuple[float, ...]
    n_groups: int
    sharpness: float
    is_decoding: bool
    reads_holes: bool
    n_identities: int
    loss: str
    levels: tuple[float, ...]
    covariate_mean: Floats
    covariate_scale: Floats
    past_mean: Floats
    past_scale: Floats
    static_mean: Floats
    static_scale: Floats
    scale_of_zeros: float = 1.0

    @property
    def least_length(self) -> int:
        """Values that a series must have to be forecast; before them its first one is read."""
        return max(self.mixed_seasons, default=min(self.segment_length, self.window))

    @property
    def mixed_seasons(self) -> tuple[int, ...]:
        """Seasons of the candidates, the shortest first."""
        return tuple(sorted({m for _, m in self.candidates if m > 1}))

    @property
    def n_read(self) -> int:
        """Segments of a window."""
        return self.window // self.segment_length

    @property
    def n_written(self) -> int:
        """Segments of the horizon."""
        return -(-self.horizon // self.segment_length)

    @property
    def n_steps(self) -> int:
        """Steps of the network for one window."""
        return self.n_read + (self.n_written if self.is_decoding else 0)

    @property
    def n_values(self) -> int:
        """Values that one row of outputs forecasts."""
        return self.segment_length if self.is_decoding else self.horizon

    @property
    def n_blocks(self) -> int:
        """Numbers that the network says of each of them."""
        return self.distribution.n_blocks

    @property
    def distribution(self) -> Distribution:
        """What these numbers mean."""
        return distribution(self.loss, self.levels)

    @property
    def mixture(self) -> dict[str, Any]:
        """Arguments of `_core.Trainer` that tell of the candidates."""
        if not self.candidates:
            return {}
        return {
            "n_candidates": len(self.candidates),
            "n_groups": self.n_groups,
            "sharpness": self.sharpness,
        }

    @property
    def n_outputs(self) -> int:
        """Outputs of the network at a step."""
        return self.n_blocks * self.n_values + self.n_groups * len(self.candidates)

    @property
    def n_channels(self) -> int:
        """Inputs of the network at a step."""
        s = self.segment_length
        known = len(self.covariate_mean) * (1 if self.is_decoding else 2)
        per_time = 1 + self.reads_holes + len(self.past_mean) + known
        positions = self.n_written if self.is_decoding else 0
        return s * per_time + len(self.static_mean) + self.n_identities + positions

    def cut(self, history: History, series: Integers, origins: Integers) -> Window:
        """Cut windows that end before some origins."""
        return cut(
            history,
            series,
            origins,
            length=self.window,
            horizon=self.horizon,
            n_ahead=self.n_written * self.segment_length,
            centre=self.centre,
            scale=self.scale,
            season_length=self.season_lengths[0] if self.season_lengths else 1,
            unit=self.scale_of_zeros,
        )

    def inputs(self, history: History, window: Window) -> NDArray[np.float32]:
        """Return what the network reads, float32 (n, n_steps, n_channels)."""
        n, s, n_read = len(window.u), self.segment_length, self.n_read
        parts: list[NDArray[Any]] = [
            np.clip(window.u, -LARGEST_INPUT, LARGEST_INPUT).reshape(n, n_read, s)
        ]
        if self.reads_holes:
            parts.append(window.is_known.reshape(n, n_read, s))
        if len(self.past_mean):
            past = in_own_units(history.past, self.past_mean, self.past_scale, window.rows)
            parts.append(past[:, : self.window].reshape(n, n_read, -1))
        x = np.zeros((n, self.n_steps, self.n_channels), dtype=np.float32)
        end = _put(x[:, :n_read], 0, parts)
        if len(self.covariate_mean):
            known = in_own_units(
                history.covariates, self.covariate_mean, self.covariate_scale, window.rows
            ).reshape(n, n_read + self.n_written, -1)
            shift = 0 if self.is_decoding else self.n_written
            both = [known[:, : self.n_steps]] + ([known[:, shift:]] if shift else [])
            end = _put(x, end, [part[:, : self.n_steps] for part in both])
        static = in_own_units(history.static, self.static_mean, self.static_scale, window.series)
        x[:, :, end : end + static.shape[1]] = static[:, None]
        end += static.shape[1]
        if self.n_identities:
            x[np.arange(n), :, end + history.identities[window.series]] = 1.0
            end += self.n_identities
        if self.is_decoding:
            x[:, n_read:, end:] = np.eye(self.n_written, dtype=np.float32)
        return x

    def in_units(self, window: Window, values: NDArray[Any]) -> Floats:
        """Return forecasts on the scale of the transform; those of counts are there already."""
        return np.asarray(values) if self.loss in COUNTS else window.restored(values)

    def summary(self) -> dict[str, Any]:
        """Return what a user may want to know of it."""
        names = ("window", "segment_length", "season_lengths", "transform", "centre", "scale")
        told = {name: getattr(self, name) for name in (*names, "candidates")}
        return {**told, "prior": tuple(map(float, self.prior))}

    def base(self, history: History, window: Window) -> NDArray[np.float32] | None:
        """Return the candidates, float32 (n_rows, n_candidates * n_values), in units of the window.

        A row is a window, or where there is a step for each segment of the horizon one of those.
        """
        if not self.candidates:
            return None
        length = self.n_written * self.segment_length if self.is_decoding else self.horizon
        known = None
        if any(name == SIMILAR for name, _ in self.candidates):
            known = in_own_units(
                history.covariates, self.covariate_mean, self.covariate_scale, window.rows
            )
        base = candidates(window.u, self.candidates, self.season_lengths, length, known)
        if self.loss in COUNTS:
            base = np.log(np.maximum(window.restored(base.transpose(0, 2, 1)), 1e-3))
            base = base.transpose(0, 2, 1)
        n, k = base.shape[:2]
        base = base.reshape(n, k, -1, self.n_values).transpose(0, 2, 1, 3)
        return base.reshape(-1, k * self.n_values).astype(np.float32, order="C")

    def targets(
        self, history: History, window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the network should say, as rows of the loss, and the weights of the rows."""
        n = len(window.u)
        times = window.rows[:, self.window :]
        y = np.full(times.shape, np.nan)
        y[:, : self.horizon] = history.values[times[:, : self.horizon]]
        if self.loss not in COUNTS:
            y = window.standardised(y)
        y = y[:, : self.n_values * self.n_written if self.is_decoding else self.horizon]
        rows = y.reshape(-1, self.n_values).astype(np.float32)
        weights: NDArray[np.float32] = np.mean(~np.isnan(rows), axis=1, dtype=np.float32)
        base = self.base(history, window)
        if base is not None:
            rows = np.concatenate([rows, base], axis=1)
        if not self.is_decoding:
            return rows, weights
        all_rows = np.zeros((n, self.n_steps, rows.shape[1]), dtype=np.float32)
        all_weights = np.zeros((n, self.n_steps), dtype=np.float32)
        all_rows[:, self.n_read :] = rows.reshape(n, self.n_written, -1)
        all_weights[:, self.n_read :] = weights.reshape(n, -1)
        return all_rows.reshape(-1, rows.shape[1]), all_weights.reshape(-1)


def _put(x: NDArray[Any], start: int, parts: list[NDArray[Any]]) -> int:
    """Write parts beside each other into the last axis; return where they end."""
    for part in parts:
        x[:, :, start : start + part.shape[2]] = part
        start += part.shape[2]
    return start
