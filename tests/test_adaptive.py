"""Intervals of a history that has gone on since the fit: errors that have become known count."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from elman import LinearForecaster, NaiveForecaster, RNNForecaster, load, save
from elman._adaptive import rolling_errors
from elman._conformal import Calibration
from elman._panel import read_panel

DAYS = pd.date_range("2021-01-01", periods=220)
LEVELS = [0.05, 0.3, 0.5, 0.7, 0.95]
SMALL = {"hidden_layer_sizes": 4, "n_estimators": 1, "n_updates": 5, "random_state": 0}


def shops(n_times=220, n_series=3):
    """Series of noise that becomes a walk, with some holes."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=(n_times, n_series))
    y[150:] += rng.normal(size=(n_times - 150, n_series)).cumsum(axis=0)
    y[rng.random(y.shape) < 0.03] = np.nan
    y[0] = 0.0
    return pd.DataFrame(20 + y, DAYS[:n_times], [f"shop {i}" for i in range(n_series)])


def weather():
    rng = np.random.default_rng(8)
    return pd.DataFrame({"rain": rng.random(220), "sun": rng.random(220)}, DAYS)


FORECASTERS = {
    "naive": (NaiveForecaster(6, strategy="mean"), False),
    "linear": (LinearForecaster(6, window=10), False),
    "linear with covariates": (LinearForecaster(6, window=10), True),
    "network": (RNNForecaster(6, window=14, **SMALL), False),
    "network with covariates": (RNNForecaster(6, window=14, **SMALL), True),
    "network with past covariates": (
        RNNForecaster(6, window=14, past_covariates=["sun"], strategy="seq2seq", **SMALL),
        True,
    ),
}


def intervals_of(table, cutoff):
    """Quantiles of a window of a backtest, (horizon, n_series, n_levels)."""
    rows = table[table["cutoff"] == cutoff]
    columns = rows[[f"{level:g}" for level in LEVELS]].to_numpy()
    return columns.reshape(-1, 6, len(LEVELS)).swapaxes(0, 1)


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("step", [1, 4, 6])
def test_a_backtest_says_what_fit_predict_and_update_would_have_said(name, step):
    model, has_covariates = FORECASTERS[name]
    y, X, n_windows = shops(), weather() if has_covariates else None, 9
    table = model.backtest(y, X, step=step, n_windows=n_windows, quantiles=LEVELS)
    at = len(y) - 6 - (n_windows - 1) * step
    model.fit(y[:at], None if X is None else X[:at])
    for window in range(n_windows):
        stop = len(y) - 6 - (n_windows - 1 - window) * step
        if stop > at:
            model.update(y[at:stop], None if X is None else X[at:stop])
        at = stop
        ahead = None if X is None else X[stop : stop + 6]
        got = model.predict_quantiles(LEVELS, X=ahead).to_numpy().reshape(6, 3, len(LEVELS))
        np.testing.assert_array_equal(got, intervals_of(table, DAYS[stop - 1]))


def test_a_backtest_of_series_that_end_apart_says_so_too():
    y = [shops()["shop 0"].to_numpy(), shops()["shop 1"].to_numpy()[:150]]
    model = LinearForecaster(6, window=10)
    table = model.backtest(y, step=5, n_windows=12, coverage=0.8)
    model.fit([z[: len(z) - 6 - 11 * 5] for z in y])
    for window in range(1, 12):
        stops = [len(z) - 6 - (11 - window) * 5 for z in y]
        model.update([z[stop - 5 : stop] for z, stop in zip(y, stops, strict=True)])
        for i, got in enumerate(model.predict_interval(0.8)):
            rows = table[(table["unique_id"] == i) & (table["cutoff"] == stops[i] - 1)]
            np.testing.assert_array_equal(got, rows[["lower", "upper"]])


def test_it_does_not_matter_how_the_history_came_or_what_was_asked():
    y = shops()
    at_once = LinearForecaster(6, window=10).fit(y[:120]).update(y[120:])
    in_parts = LinearForecaster(6, window=10).fit(y[:120])
    for start, stop in ((120, 121), (121, 140), (140, 217), (217, 220)):
        in_parts.predict_interval(0.5)
        in_parts.predict_interval(0.8, horizon=2)
        in_parts.update(y[start:stop])
    expected = at_once.predict_quantiles(LEVELS)
    pd.testing.assert_frame_equal(in_parts.predict_quantiles(LEVELS), expected)
    interval = at_once.predict_interval(0.9).to_numpy().reshape(6, 3, 2)
    of_levels = expected.to_numpy().reshape(6, 3, len(LEVELS))
    np.testing.assert_array_equal(interval, of_levels[..., [0, 4]])
    assert (np.diff(of_levels, axis=2) >= 0).all()


def test_straight_after_the_fit_nothing_has_become_known():
    y = shops()
    model = NaiveForecaster(6, strategy="mean").fit(y[:120])
    calibration = model._calibration(6, "")
    before = model.predict_interval(0.9)
    units = calibration.units(model._panel, np.arange(3), np.full(3, 120))
    half = calibration.bounds(np.array([0.9]))[None, :, 0] * units
    width = before.to_numpy().reshape(6, 3, 2)
    np.testing.assert_allclose(np.ptp(width, axis=2).T, 2 * half)


def newest(calibration, model, y, stop, step):
    """The errors that count at a step, in plain loops over origins and series."""
    errors, n = [], np.sum(~np.isnan(calibration.paths[:, step]))
    for age in sorted(set(calibration.ages), reverse=True):
        errors += list(calibration.paths[calibration.ages == age, step])
    panel = read_panel(y, caller="", form=model._panel.form)
    origin, spacing = 120, np.diff(sorted(set(calibration.ages)))[0]
    while origin + step < stop:
        for i in range(y.shape[1]):
            forecast = model.predict(y=y[:origin]).iloc[step, i]
            unit = calibration.units(panel, np.array([i]), np.array([origin]))[0, step]
            errors.append((y.iloc[origin + step, i] - forecast) / unit)
        origin += spacing
    return np.sort([abs(error) for error in errors if not np.isnan(error)][-n:])


@pytest.mark.parametrize("step", [0, 5])
@pytest.mark.parametrize("stop", [121, 133, 190])
def test_the_newest_errors_count(stop, step):
    y = shops()
    model = NaiveForecaster(6, strategy="mean").fit(y[:120])
    calibration = model._calibration(6, "")
    errors = rolling_errors(model, calibration, model.update(y[120:])._panel, 100)
    got = errors.bounds(np.array([stop - 120]), np.array([0.0, 0.4, 0.9]))[0, step]
    expected = newest(calibration, NaiveForecaster(6, strategy="mean").fit(y[:120]), y, stop, step)
    ranks = (len(expected) + 1) * np.array([0.0, 0.4, 0.9])
    np.testing.assert_allclose(
        got, np.interp(ranks, np.arange(len(expected) + 1), [0.0, *expected])
    )
    assert (got[1:] != calibration.bounds(np.array([0.4, 0.9]))[step]).any() == (stop - step > 120)


def test_no_window_looks_ahead():
    y = shops()
    changed = y.copy()
    changed[200:] += 50
    options = {"n_windows": 30, "step": 3, "coverage": 0.9}
    tables = [NaiveForecaster(6, strategy="mean").backtest(z, **options) for z in (y, changed)]
    for cutoff in tables[0]["cutoff"].unique():
        lower, of_changed = (t.loc[t["cutoff"] == cutoff, "lower"] for t in tables)
        assert lower.equals(of_changed) == (cutoff < DAYS[200])


def test_intervals_grow_with_the_errors_and_cover_again():
    """A mean misses a walk by more and more, which noise did not tell."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(300, 20))
    noise[200:] = rng.normal(size=(1, 20)) * 4 + rng.normal(size=(100, 20))
    model = NaiveForecaster(1, strategy="mean")
    table = model.backtest(noise, n_windows=100, coverage=0.9)
    inside = table["y"].between(table["lower"], table["upper"])
    days = table["cutoff"].to_numpy()
    at_first, at_last = (
        inside[(days >= a) & (days < b)].mean() for a, b in ((200, 230), (270, 300))
    )
    assert at_first < 0.7
    assert at_last > 0.85


def test_a_series_that_lags_behind_counts_as_far_as_it_is_known():
    y = shops().dropna().rename_axis("ds").reset_index()
    long = y.melt("ds", var_name="unique_id", value_name="y")
    first, later = long[long["ds"] < DAYS[150]], long[long["ds"] >= DAYS[150]]
    model = NaiveForecaster(6, strategy="mean").fit(first)
    before = model.predict_interval(0.8)
    model.update(later[later["unique_id"] != "shop 1"])
    behind = model.predict_interval(0.8)
    is_behind = behind["unique_id"] == "shop 1"
    pd.testing.assert_frame_equal(behind[is_behind], before[is_behind])
    model.update(later[later["unique_id"] == "shop 1"])
    at_once = NaiveForecaster(6, strategy="mean").fit(first).update(later)
    pd.testing.assert_frame_equal(model.predict_interval(0.8), at_once.predict_interval(0.8))


def test_another_history_has_the_errors_of_the_forecasters_own():
    y = shops()
    model = NaiveForecaster(6, strategy="mean").fit(y[:120]).update(y[120:])
    pd.testing.assert_frame_equal(model.predict_interval(y=y), model.predict_interval())


def test_copies_files_and_pickles_keep_what_has_become_known(tmp_path):
    y = shops()
    model = LinearForecaster(6, window=10).fit(y[:120])
    model.predict_interval()
    model.update(y[120:200])
    model.predict_interval()
    save(model, tmp_path / "model")
    others = [load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    others.append(LinearForecaster(6, window=10).fit(y[:120]).update(y[120:200]))
    for stop in (200, 220):
        for other in (model, *others):
            if stop == 220:
                other.update(y[200:])
            pd.testing.assert_frame_equal(other.predict_interval(), model.predict_interval())
            pd.testing.assert_frame_equal(
                other.sample(3, random_state=0), model.sample(3, random_state=0)
            )


def test_a_new_fit_begins_anew():
    y = shops()
    model = LinearForecaster(6, window=10).fit(y[:120]).update(y[120:])
    model.predict_interval()
    again = model.fit(y[:180]).predict_interval()
    expected = LinearForecaster(6, window=10).fit(y[:180]).predict_interval()
    pd.testing.assert_frame_equal(again, expected)


def test_errors_whose_ages_are_not_known_stay():
    """As in files from before."""
    y = shops()
    model = NaiveForecaster(6, strategy="mean").fit(y[:120])
    calibration = model._calibration(6, "")
    model._calibrations[6] = Calibration(calibration.paths, calibration.season_length)
    half = model._calibrations[6].bounds(np.array([0.9]))[:, 0]
    model.update(y[120:])
    units = calibration.units(model._panel, np.arange(3), np.full(3, 220))
    width = np.ptp(model.predict_interval(0.9).to_numpy().reshape(6, 3, 2), axis=2)
    np.testing.assert_allclose(width.T, 2 * half * units)


# What is fitted.


def quarters():
    """A walk with seasons, too short for a network to learn much from."""
    y = np.cumsum(np.random.default_rng(4).normal(size=64)) + 3 * np.sin(np.arange(64) * np.pi / 2)
    return np.exp(y / 20)


def test_errors_of_a_few_short_series_are_those_of_a_fit_at_each_origin():
    """Even at those whose future is known in part."""
    y = quarters()
    model = RNNForecaster(4, season_length=4, random_state=0).fit(y)
    calibration = model._calibration(4, "")
    assert calibration.are_few
    assert calibration.ages.tolist() == list(range(23, 0, -1))
    assert calibration.n_errors.tolist() == [23, 22, 21, 20]
    panel = read_panel(y, caller="")
    for path, age in zip(calibration.paths, calibration.ages, strict=True):
        stop = 64 - age
        forecast = RNNForecaster(4, season_length=4, random_state=0).fit(y[:stop]).predict()
        error = y[stop : stop + 4] - forecast[:age]
        units = calibration.units(panel, np.array([0]), np.array([stop]))[0]
        np.testing.assert_allclose(path[:age], error / units[:age], rtol=1e-9, atol=1e-12)
        assert np.isnan(path[age:]).all()
    given = RNNForecaster(4, season_length=4, random_state=0, n_updates=3).fit(y)
    assert not given._is_fitted_for_each_error(are_few=True)
    assert given._calibration(4, "").n_errors.tolist() == [23, 22, 21, 20]
    assert not RNNForecaster(4, season_length=4, **SMALL).fit(np.tile(y, 9)).plan_["prior"]


def test_a_few_errors_go_with_the_times_too(tmp_path):
    """As far as they overlap is allowed for in files and backtests, too."""
    y, model = quarters(), RNNForecaster(6, season_length=4, random_state=0)
    table = model.backtest(y, step=1, n_windows=5, coverage=0.9)
    model.fit(y[:54])
    before = model.predict_interval()
    save(model, tmp_path / "model")
    for other in (model, load(tmp_path / "model")):
        np.testing.assert_array_equal(other.predict_interval(), before)
        for stop in range(55, 59):
            other.update(y[stop - 1 : stop])
            rows = table.loc[table["cutoff"] == stop - 1, ["lower", "upper"]]
            np.testing.assert_array_equal(other.predict_interval(), rows)
    assert model._calibrations[6].are_few
    plain = replace(model._calibrations[6], are_few=False)
    assert (plain.errors <= model._calibrations[6].errors).all(where=~np.isnan(plain.errors))
    model._calibrations[6] = replace(model._calibrations[6], ages=None)
    save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="ages"):
        load(tmp_path / "model")


@pytest.mark.parametrize(("n_times", "are_few"), [(120, True), (150, True), (400, False)])
def test_a_hundred_origins_are_enough(n_times, are_few):
    """Then only those count whose whole future is known."""
    y = np.random.default_rng(9).normal(size=n_times).cumsum()
    calibration = NaiveForecaster(6).fit(y)._calibration(6, "")
    n_whole = int(0.3 * n_times)
    assert calibration.are_few is are_few
    assert calibration.n_errors.tolist() == [n_whole + (5 - i) * are_few for i in range(6)]


def test_origins_whose_covariates_are_not_all_known_do_not_count():
    X = pd.DataFrame({"sun": np.random.default_rng(8).random(64)})
    model = RNNForecaster(6, season_length=4, random_state=0).fit(quarters(), X)
    calibration = model._calibration(6, "")
    assert calibration.are_few
    assert calibration.ages.min() == 6
    assert (calibration.n_errors == 20).all()


def test_series_of_different_length_are_fitted_as_far_back_as_each_goes():
    rng = np.random.default_rng(5)
    y = [np.exp(rng.normal(size=n).cumsum() / 20) for n in (40, 22)]
    model = RNNForecaster(4, season_length=4, random_state=0).fit(y)
    assert model.plan_["prior"]
    ages = model._calibration(4, "").ages
    assert [np.sum(ages == age) for age in (1, 4, 16, 17, 23)] == [2, 2, 2, 1, 1]
