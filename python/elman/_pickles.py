"""Pickles whose contents are checked as those of a model file are."""

from __future__ import annotations

from typing import Any

from elman._plain import NO_VALUES, Mismatch
from elman._safetensors import Source

_KEY = "_fitted"


class CheckedPickleMixin:
    """Let a pickle carry what a fit has found as the bytes of a model file.

    A pickle is a program, and runs when it is read: load none that you do not trust. But damage, or
    a newer version, is found here as it is in a file.
    """

    def __getstate__(self) -> dict[str, Any]:
        from elman._files import to_bytes
        from elman._registry import estimator_kind

        inherited: Any = super().__getstate__()
        state: dict[str, Any] = dict(inherited)
        kind = estimator_kind(type(self))
        if kind is None or not kind.is_fitted(self):
            return state
        for name in kind.state_attributes(self):
            state.pop(name, None)
        source = Source(f"{type(self).__name__}.__getstate__", "estimator")
        return {**state, _KEY: to_bytes(kind.take_state(self), source)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from elman._files import from_bytes
        from elman._registry import estimator_kind

        source = Source(f"{type(self).__name__}.__setstate__", "state")
        if not isinstance(state, dict):
            raise source.corrupt(f"a {type(state).__name__}", "a dict")
        state = dict(state)
        data = state.pop(_KEY, None)
        kind = estimator_kind(type(self))
        if kind is not None:
            bare = [name for name in kind.attributes.values() if name in state]
            if bare:
                raise source.corrupt(f"{bare} that nothing has checked", "bytes of a model file")
        super().__setstate__(state)  # type: ignore[misc]
        if kind is None or data is None:
            return
        fitted = from_bytes(data, source)
        if not isinstance(fitted, dict):
            raise source.corrupt(f"a {type(fitted).__name__}", "a dict of what fit has found")
        try:
            kind.put_state(self, fitted)
        except Mismatch as error:
            raise source.corrupt(error.got, error.expected, error.part) from error
        except NO_VALUES as error:
            got = f"what makes no {type(self).__name__} ({error})"
            raise source.corrupt(got, "values that go together") from error
