"""How a panel of series came: what is remembered of y, of X and of `static`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elman._calendar import Frequency
from elman._exceptions import abbreviated, problem

COLUMNS = ("unique_id", "ds", "y")
N_LISTED = 5


@dataclass(frozen=True)
class Columns:
    """Columns of X or of `static`: their names, and the categories behind codes.

    Parameters
    ----------
    names : tuple of str
        The columns.
    categories : dict of tuple
        Categories by name of the column; their code is their place. Other columns are numbers.
    is_named : bool
        Whether the columns came with names.
    """

    names: tuple[str, ...]
    categories: dict[str, tuple[Any, ...]]
    is_named: bool

    def __len__(self) -> int:
        return len(self.names)

    def indices(self, names: Sequence[str], caller: str, argument: str) -> list[int]:
        """Places of some columns; ValueError for a name that is none."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            expected = f"names among the columns {abbreviated(list(self.names))}"
            raise ValueError(problem(caller, argument, abbreviated(unknown[:N_LISTED]), expected))
        return [self.names.index(name) for name in names]


@dataclass(frozen=True)
class PanelForm:
    """How the y of `fit` looked; a later y is read, and forecasts are given back, in its light.

    Parameters
    ----------
    layout : {"array", "list", "series", "wide", "long"}
        The kind of y.
    names : tuple
        The series, in the order of their numbers: the ids of a frame, otherwise 0, 1, ….
    frequency : Frequency
        The step between times.
    library : {"numpy", "pandas", "polars"}
        What y was an object of.
    columns : tuple of str
        Names of the columns of ids, times and values of a frame.
    is_flat : bool
        Whether an array had one dimension.
    has_time_column : bool
        Whether the times of a wide frame stood in a column.
    index_name, label : object
        Name of the index; name of a Series, or of the columns of a frame.
    covariates, static : Columns or None
        The columns of X and of `static`.
    """

    layout: str
    names: tuple[Any, ...]
    frequency: Frequency
    library: str = "numpy"
    columns: tuple[str, str, str] = COLUMNS
    is_flat: bool = False
    has_time_column: bool = False
    index_name: Any = None
    label: Any = None
    covariates: Columns | None = None
    static: Columns | None = None

    @property
    def has_dates(self) -> bool:
        """Whether times are dates or periods."""
        return self.frequency.kind != "integer"

    @property
    def kind(self) -> str:
        """What y was, in words."""
        if self.layout == "array":
            return "an array of shape " + ("(n_times,)" if self.is_flat else "(n_times, n_series)")
        if self.layout == "list":
            return "a list of arrays"
        if self.layout == "series":
            return "a Series"
        return f"a {self.layout} {self.library} frame"
