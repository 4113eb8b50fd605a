"""elman.datasets: the generated series are those of the formula."""

import numpy as np
import pytest
from elman.datasets import generate_time_series
from sklearn.linear_model import LinearRegression


class ConstantDraws(np.random.RandomState):
    """Draws that are all one value."""

    def __init__(self, value):
        super().__init__(0)
        self.value = value

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.full(size, low + (high - low) * self.value)


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5])
def test_series_follow_the_formula(draw):
    t = np.linspace(0, 1, 51)
    expected = (
        0.5 * np.sin((t - draw) * (10 * draw + 10))
        + 0.2 * np.sin((t - draw) * (20 * draw + 20))
        + 0.1 * (draw - 0.5)
    )
    series = generate_time_series(3, 51, random_state=ConstantDraws(draw))
    np.testing.assert_allclose(series[:, :, 0], np.tile(expected, (3, 1)), rtol=0, atol=1e-7)


def test_shape_and_dtype():
    series = generate_time_series(4, 7)
    assert series.shape == (4, 7, 1)
    assert series.dtype == np.float32
    assert series.flags.c_contiguous


def test_each_series_has_its_own_waves_and_each_step_its_own_noise():
    series = generate_time_series(200, 1, random_state=0)
    assert len(np.unique(series)) == 200
    steps = generate_time_series(1, 100_000, random_state=0)[0, :, 0]
    # Neighbours in time share their waves to 1e-3, so their difference is that of two draws of
    # noise, 0.1 wide: its variance is 2 * 0.1 ** 2 / 12.
    assert np.var(np.diff(steps)) == pytest.approx(2 * 0.01 / 12, rel=0.02)


def test_random_state_decides_the_series():
    first = generate_time_series(5, 9, random_state=3)
    np.testing.assert_array_equal(first, generate_time_series(5, 9, random_state=3))
    assert not np.array_equal(first, generate_time_series(5, 9, random_state=4))


def test_the_global_random_state_is_left_alone_by_a_seed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    generate_time_series(5, 9, random_state=3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_naive_and_linear_forecasts_err_as_published():
    # Published are 0.020, and 0.004 for a linear model after 20 epochs of gradient descent, which
    # least squares must beat. No forecast can foresee the noise, of variance 0.1 ** 2 / 12.
    series = generate_time_series(10_000, 51, random_state=0)[:, :, 0]
    X, y = series[:, :-1], series[:, -1]
    naive = np.mean((y - X[:, -1]) ** 2)
    linear = LinearRegression().fit(X[:7000], y[:7000])
    assert 0.018 < naive < 0.022
    assert 0.01 / 12 < np.mean((y[7000:] - linear.predict(X[7000:])) ** 2) < 0.004


@pytest.mark.parametrize("size", [0, -1, 1.5, "8", True, None])
@pytest.mark.parametrize("name", ["batch_size", "n_steps"])
def test_sizes_must_be_positive_integers(name, size):
    with pytest.raises(
        ValueError, match=f"generate_time_series: {name} got .* expected a positive"
    ):
        generate_time_series(**{"batch_size": 2, "n_steps": 3, name: size})
