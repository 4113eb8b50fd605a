"""The order of sequences in a mini-batch (batch.hpp)."""


def sorted_members(members, offsets):
    """By decreasing length; equal lengths stay in order."""
    return sorted(members, key=lambda i: -(offsets[i + 1] - offsets[i]))
