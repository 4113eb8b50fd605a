"""Times, taken in turn: A B C A B C ..., so that a noisy moment hits everyone."""

import statistics
import time
from dataclasses import dataclass

# Idle threads of BLAS and OpenMP spin for a while after their work, on the next one's core.
PAUSE = 0.1


@dataclass
class Times:
    """Seconds of one call, over the rounds."""

    seconds: list

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def spread(self):
        return spread(self.seconds)

    def over(self, other):
        """How many times as long as the other, in each round."""
        return [a / b for a, b in zip(self.seconds, other.seconds, strict=True)]


def spread(values):
    """Half the range between the quartiles, relative to the median."""
    if len(values) < 3:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / statistics.median(values)


def in_turn(functions, n_rounds, seconds_a_round=0.05):
    """Times of each function of a number of calls, by name; short ones are called often."""
    n_calls = {}
    for name, function in functions.items():
        function(1)  # warm-up, and compilation
        n_calls[name] = enough_calls(function, seconds_a_round)
        function(n_calls[name])
    seconds = {name: [] for name in functions}
    for _ in range(n_rounds):
        for name, function in functions.items():
            time.sleep(PAUSE)
            seconds[name].append(timed(function, n_calls[name]) / n_calls[name])
    return {name: Times(values) for name, values in seconds.items()}


def enough_calls(function, seconds_a_round):
    n_calls = 1
    while (seconds := timed(function, n_calls)) < seconds_a_round / 4:
        n_calls *= 4
    return max(1, round(n_calls * seconds_a_round / seconds))


def timed(function, n_calls):
    start = time.perf_counter()
    function(n_calls)
    return time.perf_counter() - start
