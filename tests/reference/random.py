"""Random numbers by counter: number i of a key, in any order (random.hpp).

bits(key, i) is SplitMix64 (Steele et al., 2014); normal numbers after Box & Muller (1958).
"""

import numpy as np


def bits(key, i):
    with np.errstate(over="ignore"):
        z = np.uint64(key) + (np.asarray(i, dtype=np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(key, i):
    return (bits(key, i) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key, i):
    i = np.asarray(i, dtype=np.uint64)
    radius = np.sqrt(-2 * np.log(1 - uniform(key, np.uint64(2) * i)))
    return radius * np.cos(2 * np.pi * uniform(key, np.uint64(2) * i + np.uint64(1)))
