"""Data to try recurrent networks on."""

from elman.datasets._generate import generate_time_series

__all__ = ["generate_time_series"]
