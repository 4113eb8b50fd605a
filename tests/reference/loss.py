"""Losses of one row: outputs a against targets y, and dl/da (loss.hpp)."""

import numpy as np

from reference.functions import sigmoid


def squared(a, y, parameter):
    return np.mean((a - y) ** 2) / 2, (a - y) / len(a)


def absolute(a, y, parameter):
    return np.mean(np.abs(a - y)), np.sign(a - y) / len(a)


def huber(a, y, delta):
    error = a - y
    inner, outer = error**2 / 2, delta * (np.abs(error) - delta / 2)
    value = np.where(np.abs(error) <= delta, inner, outer)
    return np.mean(value), np.clip(error, -delta, delta) / len(a)


def quantile(a, y, q):
    """Koenker & Bassett, 1978."""
    value = np.where(y > a, q * (y - a), (1 - q) * (a - y))
    return np.mean(value), np.select([y > a, y < a], [-q, 1 - q], 0) / len(a)


def poisson(a, y, parameter):
    return np.mean(np.exp(a) - y * a), (np.exp(a) - y) / len(a)


def gaussian(a, y, parameter):
    """Nix & Weigend, 1994: k means, then k logarithms of standard deviations."""
    mean, log_deviation = np.split(a, 2)
    ratio = (y - mean) ** 2 * np.exp(-2 * log_deviation)
    value = log_deviation + ratio / 2 + np.log(2 * np.pi) / 2
    d_mean = (mean - y) * np.exp(-2 * log_deviation)
    return np.mean(value), np.concatenate([d_mean, 1 - ratio]) / len(y)


def multilabel(a, y, parameter):
    return np.sum(np.logaddexp(0, a) - y * a), sigmoid(a) - y


def multiclass(a, y, parameter):
    label = int(y[0])
    log_sum = np.log(np.sum(np.exp(a - a.max()))) + a.max()
    return log_sum - a[label], np.exp(a - log_sum) - np.eye(len(a))[label]


LOSSES = {
    "squared": squared,
    "absolute": absolute,
    "huber": huber,
    "quantile": quantile,
    "poisson": poisson,
    "gaussian": gaussian,
    "binary": multilabel,
    "multilabel": multilabel,
    "multiclass": multiclass,
}
