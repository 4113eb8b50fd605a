"""Times, taken in turn: A B C A B C ..., so that a noisy moment hits everyone."""

import statistics
import time
from dataclasses import dataclass


@dataclass
class Times:
    """Seconds of one call, over the rounds."""

    seconds: list

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def spread(self):
        """Half the range between the quartiles, relative to the median."""
        if len(self.seconds) < 3:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median


def in_turn(functions, n_rounds, seconds_a_round=0.05):
    """Times of each function, by name; short ones are called often enough to be measured."""
    calls = {}
    for name, function in functions.items():
        function()  # warm-up, and compilation
        start = time.perf_counter()
        function()
        calls[name] = max(1, round(seconds_a_round / (time.perf_counter() - start)))
    seconds = {name: [] for name in functions}
    for _ in range(n_rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            seconds[name].append((time.perf_counter() - start) / calls[name])
    return {name: Times(values) for name, values in seconds.items()}
