"""Shapes that a graph computes: which axis each of their numbers is the size of."""

from __future__ import annotations

from elman._onnx._values import Constant, Node, Sizes

Entries = tuple[str | int | None, ...]
MOST_ENTRIES = 16
"""Longer ones are no shapes."""


def sizes_of_axes(node: Node) -> Sizes:
    """Shape: the sizes of all axes, or of some."""
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return Sizes(node.signal().axes[start:end])


def computed_sizes(node: Node) -> Entries | None:
    """Follow sizes through what graphs do with shapes."""
    first, second = entries_of(node, 0), entries_of(node, 1)
    if node.operator == "Concat":
        parts = [entries_of(node, i) for i in range(len(node.inputs))]
        return None if None in parts else tuple(entry for part in parts for entry in part or ())
    if node.operator in ("Cast", "Identity", "Squeeze", "Unsqueeze"):
        return first
    if node.operator == "Reshape":
        return first if second is not None and len(second) == 1 else None
    if first is None:
        return (None,) * len(second) if node.operator == "Gather" and second else None
    if node.operator == "Gather":
        return None if second is None else tuple(_picked(first, index) for index in second)
    if node.operator == "Slice":
        return _cut(node, first)
    if node.operator == "Mul" and second is not None and len(first) == len(second) == 1:
        return (_product(first[0], second[0]),)
    return None


def entries_of(node: Node, i: int) -> Entries | None:
    """Return what is known of the numbers of an input; None if not even their count is."""
    value = node[i]
    if isinstance(value, Sizes):
        return value.entries
    if not isinstance(value, Constant) or value.array.size > MOST_ENTRIES:
        return None
    is_integer = value.array.dtype.kind in "iu"
    return tuple(int(n) if is_integer else None for n in value.array.ravel().tolist())


def _picked(entries: Entries, index: str | int | None) -> str | int | None:
    if isinstance(index, int) and -len(entries) <= index < len(entries):
        return entries[index]
    return None


def _cut(node: Node, entries: Entries) -> Entries | None:
    starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
    steps = node.integers(4, "steps")
    if starts is None or ends is None or len(starts) != 1 or steps not in (None, [1]):
        return None
    return entries[starts[0] : ends[0]]


def _product(first: str | int | None, second: str | int | None) -> str | int | None:
    if isinstance(first, int) and isinstance(second, int):
        return first * second
    return None if first is None or second is None else f"{first}*{second}"
