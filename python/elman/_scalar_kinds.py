"""How single values that people take for ids and categories are kept in a model file."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import numpy as np

from elman._kinds import TEXT, integer
from elman._panel_kinds import UNITS, is_zone
from elman._parameters import Rule, one_of, or_none
from elman._plain import Kind, Mismatch


def date() -> Kind:
    """Return the kind of a day."""
    return Kind(
        datetime.date,
        {"day": TEXT},
        lambda value: {"day": value.isoformat()},
        lambda values: datetime.date.fromisoformat(values["day"]),
    )


def unique_id() -> Kind:
    """Return the kind of a UUID."""
    return Kind(
        uuid.UUID,
        {"hex": TEXT},
        lambda value: {"hex": value.hex},
        lambda values: uuid.UUID(hex=values["hex"]),
    )


def timestamp() -> Kind:
    """Return the kind of a time of pandas."""
    import pandas as pd

    def take(time: Any) -> dict[str, Any]:
        zone = None if time.tz is None else str(time.tz)
        kept = {"number": int(time.asm8.view(np.int64)), "unit": time.unit, "zone": zone}
        if zone is not None and (not is_zone.passes(zone) or make(kept) != time):
            raise Mismatch("zone", repr(zone), is_zone.expected)
        return kept

    def make(values: dict[str, Any]) -> Any:
        time = pd.Timestamp(np.datetime64(values["number"], values["unit"]))
        zone = values["zone"]
        return time if zone is None else time.tz_localize("UTC").tz_convert(zone)

    rules = {
        "number": integer(-(2**63) + 1),
        "unit": one_of(*UNITS),
        "zone": or_none(is_zone),
    }
    return Kind(pd.Timestamp, rules, take, make)


def interval() -> Kind:
    """Return the kind of an interval of pandas, as `pandas.cut` makes them."""
    import pandas as pd

    def take(interval: Any) -> dict[str, Any]:
        left, right = (
            end.item() if isinstance(end, np.generic) else end
            for end in (interval.left, interval.right)
        )
        return {"left": left, "right": right, "closed": interval.closed}

    end = Rule(lambda value: type(value) in (int, float, pd.Timestamp), "a number or a time")
    rules = {
        "left": end,
        "right": end,
        "closed": one_of("left", "right", "both", "neither"),
    }
    return Kind(pd.Interval, rules, take, lambda values: pd.Interval(**values))
