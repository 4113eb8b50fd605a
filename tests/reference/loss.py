"""Losses of one row: outputs a against targets y, and dl/da (loss.hpp)."""

import numpy as np
from scipy.special import digamma, gammaln

from reference.functions import sigmoid


def regression(elements):
    """The mean over what is known of y, from a loss of each target (n,) and its gradient.

    ``elements`` gets blocks (k, n) of outputs: k of them are one target's.
    """

    def row(a, y, parameter):
        known = ~np.isnan(y)
        blocks = a.reshape(-1, len(y))
        gradient = np.zeros(blocks.shape)
        if not known.any():
            return 0.0, gradient.ravel()
        value, gradient[:, known] = elements(blocks[:, known], y[known], parameter)
        return np.mean(value), gradient.ravel() / value.size

    return row


@regression
def squared(a, y, parameter):
    return (a - y) ** 2 / 2, a - y


@regression
def absolute(a, y, parameter):
    return np.abs(a - y), np.sign(a - y)


@regression
def huber(a, y, delta):
    error = a - y
    inner, outer = error**2 / 2, delta * (np.abs(error) - delta / 2)
    return np.where(np.abs(error) <= delta, inner, outer), np.clip(error, -delta, delta)


@regression
def quantile(a, y, levels):
    """Koenker & Bassett, 1978: a block of outputs for each level."""
    q = np.reshape(levels, (-1, 1)) * np.ones_like(a)
    value = np.where(y > a, q * (y - a), (1 - q) * (a - y))
    return value, np.select([y > a, y < a], [-q, 1 - q], 0)


@regression
def poisson(a, y, parameter):
    return np.exp(a) - y * a, np.exp(a) - y


@regression
def gaussian(a, y, parameter):
    """Nix & Weigend, 1994: means, then logarithms of standard deviations."""
    mean, log_deviation = a
    ratio = (y - mean) ** 2 * np.exp(-2 * log_deviation)
    value = log_deviation + ratio / 2 + np.log(2 * np.pi) / 2
    return value, np.array([(mean - y) * np.exp(-2 * log_deviation), 1 - ratio])


@regression
def student_t(a, y, parameter):
    """Locations, logarithms of scales, and d of nu = 2 + log(1 + exp(d)) degrees of freedom."""
    location, log_scale, d = a
    nu, z = 2 + np.logaddexp(0, d), (y - location) * np.exp(-log_scale)
    log_tail = np.log1p(z**2 / nu)
    weight = (nu + 1) / (nu + z**2)
    value = (nu + 1) / 2 * log_tail + gammaln(nu / 2) - gammaln((nu + 1) / 2)
    value = value + np.log(np.pi * nu) / 2 + log_scale
    d_nu = log_tail - weight * z**2 / nu + digamma(nu / 2) - digamma((nu + 1) / 2) + 1 / nu
    d_location = -weight * z * np.exp(-log_scale)
    return value, np.array([d_location, 1 - weight * z**2, sigmoid(d) * d_nu / 2])


@regression
def negative_binomial(a, y, parameter):
    """Logarithms of means mu and of dispersions alpha: the variance is mu + alpha mu^2."""
    log_mean, log_dispersion = a
    mu, r = np.exp(log_mean), np.exp(-log_dispersion)
    log_p = y * log_mean + r * np.log(r) - (r + y) * np.log(r + mu)
    value = gammaln(y + 1) + gammaln(r) - gammaln(r + y) - log_p
    d_r = digamma(r) - digamma(r + y) - np.log(r / (r + mu)) - 1 + (r + y) / (r + mu)
    return value, np.array([mu * (r + y) / (r + mu) - y, -r * d_r])


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
    "student_t": student_t,
    "negative_binomial": negative_binomial,
    "binary": multilabel,
    "multilabel": multilabel,
    "multiclass": multiclass,
}
