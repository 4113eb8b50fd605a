"""RNNImputer as a user meets it."""

import pickle
import warnings

import elman
import matplotlib
import numpy as np
import pandas as pd
import pytest
from elman import ImputationDisplay, RNNImputer, RNNRegressor
from elman._gaps import GapShapes
from elman._imputer import _effort
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

matplotlib.use("Agg")

SMALL = {"hidden_layer_sizes": 8, "max_iter": 10, "random_state": 0}


def waves(n_times, seed=0):
    """Three channels of which two go together, with a day of 12 steps."""
    rng = np.random.RandomState(seed)
    t = np.arange(n_times)
    level = 0.3 * rng.randn(n_times).cumsum()
    day = np.sin(2 * np.pi * t / 12)
    channels = [level + 2 * day, level - day, np.cos(2 * np.pi * t / 12) + 0.1 * rng.randn(n_times)]
    return np.column_stack(channels) * [1, 10, 100] + [0, 5, -50]


def with_gaps(X, share=0.3, seed=1):
    return np.where(np.random.RandomState(seed).random_sample(X.shape) < share, np.nan, X)


def with_runs(X, length=10, every=40, seed=1):
    rng = np.random.RandomState(seed)
    gappy = X.copy()
    for start in range(0, len(X) - every, every):
        first = start + rng.randint(every - length)
        gappy[first : first + length, rng.randint(X.shape[1])] = np.nan
    return gappy


SERIES = waves(240)
GAPPY = with_gaps(SERIES)
SEQUENCES = GAPPY.reshape(12, 20, 3)
RAGGED = [x[: 6 + i] for i, x in enumerate(SEQUENCES)]
DATES = pd.date_range("2024-01-01", periods=240, freq="2h")
FRAME = pd.DataFrame(GAPPY, index=DATES, columns=["load", "heat", "wind"])


@pytest.mark.parametrize(
    "imputer",
    [RNNImputer(**SMALL), RNNImputer(**SMALL, method="brits")],
    ids=["mixture", "brits"],
)
def test_scikit_learns_own_checks(imputer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(imputer, expected_failed_checks={}, on_fail=None, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert failed == set()


FORMS = {
    "sequences": (SEQUENCES, {}),
    "a list": (RAGGED, {}),
    "a list of one channel": ([x[:, 0] for x in RAGGED], {}),
    "a table": (SEQUENCES.reshape(12, 60), {"n_channels": 3}),
    "one series": (GAPPY, {"layout": "series"}),
    "one channel": (GAPPY[:, 0], {"layout": "series"}),
    "several series": (SEQUENCES, {"layout": "series"}),
    "float32": (SEQUENCES.astype(np.float32), {}),
    "other memory": (SEQUENCES[:, ::-1].astype(">f8"), {}),
}


@pytest.mark.parametrize("method", ["mixture", "brits"])
@pytest.mark.parametrize("name", FORMS)
def test_observed_values_come_back_as_they_are(name, method):
    X, parameters = FORMS[name]
    before = pickle.dumps(X)
    filled, std = RNNImputer(**SMALL, **parameters, method=method).fit(X).transform(X, True)
    assert pickle.dumps(X) == before
    assert type(filled) is type(std) is type(X)
    for x, whole, error in zip(X, filled, std, strict=True):
        x, whole, error = np.atleast_1d(x), np.atleast_1d(whole), np.atleast_1d(error)
        assert x.shape == whole.shape == error.shape
        assert x.dtype == whole.dtype == error.dtype
        is_missing = np.isnan(x)
        assert whole[~is_missing].tobytes() == x[~is_missing].tobytes()
        assert np.isfinite(whole).all()
        assert not error[~is_missing].any()
        assert (error[is_missing] > 0).all()


def test_frames_and_series_come_back_as_such():
    frame = FRAME.astype({"heat": "float32"}).assign(number=np.arange(240))
    imputer = RNNImputer(**SMALL, layout="series").fit(frame)
    filled, std = imputer.transform(frame, return_std=True)
    assert filled.index.equals(frame.index)
    assert list(filled.columns) == list(std.columns) == list(frame.columns)
    assert filled.dtypes.tolist() == frame.dtypes.tolist()
    pd.testing.assert_frame_equal(filled.where(frame.notna()), frame.astype(filled.dtypes))
    assert filled.notna().all(axis=None)
    assert (std > 0).equals(frame.isna())
    column = FRAME["wind"]
    whole = RNNImputer(**SMALL, layout="series").fit(column).transform(column)
    assert isinstance(whole, pd.Series)
    assert whole.name == "wind"
    pd.testing.assert_series_equal(whole[column.notna()], column[column.notna()], check_freq=False)


def test_a_tail_of_nan_is_a_gap():
    X = SEQUENCES.copy()
    X[3, 8:] = np.nan
    filled = RNNImputer(**SMALL).fit_transform(X)
    assert filled.shape == X.shape
    assert np.isfinite(filled).all()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_dates_tell_the_season_and_where_it_stands():
    imputer = RNNImputer(**SMALL, layout="series", window=48).fit(FRAME)
    assert imputer.season_length_ == 12
    assert RNNImputer(**SMALL, layout="series").fit(GAPPY).season_length_ is None
    assert RNNImputer(**SMALL, layout="series", season_length=6).fit(GAPPY).season_length_ == 6
    # An array begins at the point of the season at which the dates of `fit` did.
    from_midnight = imputer.transform(GAPPY[24:72])
    too_early = imputer.transform(GAPPY[30:78])
    assert np.array_equal(from_midnight, imputer.transform(FRAME.iloc[24:72]).to_numpy())
    assert not np.array_equal(too_early, imputer.transform(FRAME.iloc[30:78]).to_numpy())
    periods = FRAME.set_axis(pd.PeriodIndex(DATES, freq="2h"))
    same = RNNImputer(**SMALL, layout="series", window=48).fit_transform(periods)
    assert np.array_equal(same.to_numpy(), imputer.transform(FRAME).to_numpy())


def test_a_table_in_time_that_is_read_by_its_rows_is_told_of():
    with pytest.warns(UserWarning, match=r"RNNImputer.fit: X got rows of one step .*series"):
        RNNImputer(**SMALL, missing_values=-1.0).fit(FRAME.iloc[:, :1].fillna(1.0))


def test_times_that_are_left_out_are_missing():
    holes = FRAME.copy()
    holes.iloc[100:103] = np.nan
    holes.iloc[170] = np.nan
    imputer = RNNImputer(**SMALL, layout="series", window=24).fit(holes)
    left_out = holes.drop(holes.index[[100, 101, 102, 170]])
    expected = imputer.transform(holes).loc[left_out.index]
    pd.testing.assert_frame_equal(imputer.transform(left_out), expected, check_freq=False)
    again = RNNImputer(**SMALL, layout="series", window=24).fit(left_out)
    pd.testing.assert_frame_equal(again.transform(left_out), expected, check_freq=False)


def test_series_years_apart_share_no_window():
    early = FRAME.iloc[:60]
    apart = pd.concat([early, early.set_axis(early.index + pd.Timedelta(days=3660))])
    imputer = RNNImputer(**SMALL, layout="series", window=24).fit(apart)
    filled = imputer.transform(apart).to_numpy()
    assert np.array_equal(filled[:60], filled[60:])  # in the same phase of the day


def test_another_marker_than_nan():
    marked = np.where(np.isnan(SEQUENCES), -999, SEQUENCES)
    by_nan = RNNImputer(**SMALL).fit_transform(SEQUENCES)
    by_marker = RNNImputer(**SMALL, missing_values=-999).fit_transform(marked)
    assert np.array_equal(by_nan, by_marker)
    integers = np.where(np.isnan(SEQUENCES), -1, SEQUENCES.round() + 1000).astype(int)
    filled = RNNImputer(**SMALL, missing_values=-1).fit_transform(integers)
    assert filled.dtype == np.float64
    assert np.array_equal(filled[integers != -1], integers[integers != -1])


def errors(filled, truth, gappy):
    """Mean absolute error of fills, in standard deviations of the channels."""
    return (np.abs(filled - truth) / truth.std(axis=0))[np.isnan(gappy)].mean()


@pytest.mark.parametrize(
    ("n_windows", "batch_size", "max_iter"),
    [(0, 16, 300), (3, 16, 300), (16, 16, 450), (40, 40, 712), (64, 64, 900), (10_000, 64, 900)],
)
def test_the_effort_follows_the_data(n_windows, batch_size, max_iter):
    told = {"batch_size": batch_size, "max_iter": max_iter}
    assert _effort(n_windows, {"batch_size": "auto", "max_iter": "auto"}) == told
    assert _effort(n_windows, {"batch_size": np.int64(5), "max_iter": 7}) == {
        "batch_size": 5,
        "max_iter": 7,
    }


def test_a_short_series_takes_the_fewest_mini_batches():
    imputer = RNNImputer(hidden_layer_sizes=2, layout="series", window=20, random_state=0)
    imputer.fit(GAPPY[:100, :1])
    assert imputer.n_iter_ == 300
    assert imputer.get_params()["max_iter"] == imputer.get_params()["batch_size"] == "auto"


@pytest.fixture(scope="module")
def trained():
    truth = waves(2400, seed=5)
    gappy = with_runs(with_gaps(truth, 0.1), length=10)
    imputer = RNNImputer(
        hidden_layer_sizes=16,
        layout="series",
        season_length=12,
        window=36,
        max_iter=150,
        batch_size=32,
        random_state=0,
    )
    return imputer.fit(gappy[:1800]), truth, gappy


def test_fills_are_better_than_simple_ones(trained):
    imputer, truth, gappy = trained
    new, truth = gappy[1800:], truth[1800:]
    frame = pd.DataFrame(new)
    simple = {
        "linear": frame.interpolate(limit_direction="both"),
        "last": frame.ffill().bfill(),
        "mean": frame.fillna(pd.DataFrame(gappy[:1800]).mean()),
    }
    ours = errors(imputer.transform(new), truth, new)
    for name, filled in simple.items():
        assert ours < 0.5 * errors(filled.to_numpy(), truth, new), name


@pytest.mark.parametrize("gaps", ["points", "runs", "blocks"])
def test_standard_deviations_are_calibrated(gaps):
    """Of values that are hidden as in training, but are new, two thirds lie within one of them."""
    truth = waves(3600, seed=6).reshape(-1, 30, 3)
    imputer = RNNImputer(
        hidden_layer_sizes=16, season_length=12, gaps=gaps, max_iter=100, random_state=0
    )
    imputer.fit(truth[:80])
    new = truth[80:].reshape(-1, 3)
    shapes = GapShapes(**imputer.gaps_)
    is_hidden = shapes.hide(new == new, np.arange(0, len(new) + 1, 30), np.random.RandomState(0))
    gappy = np.where(is_hidden, np.nan, new).reshape(-1, 30, 3)
    filled, std = imputer.transform(gappy, return_std=True)
    score = np.abs(filled - truth[80:])[np.isnan(gappy)] / std[np.isnan(gappy)]
    assert 0.6 < (score < 1).mean() < 0.76
    assert 0.9 < (score < 2).mean() < 0.98


def test_what_is_filled_depends_on_a_window_only(trained):
    imputer, _, gappy = trained
    changed = gappy[1800:].copy()
    changed[200:] *= 2
    is_far = slice(0, 200 - imputer.window_)
    before, after = imputer.transform(gappy[1800:]), imputer.transform(changed)
    assert np.array_equal(before[is_far], after[is_far])
    assert not np.array_equal(before[:200], after[:200])


@pytest.mark.parametrize("method", ["mixture", "brits"])
def test_rows_do_not_depend_on_rows_beside_them_nor_on_threads(method):
    imputer = RNNImputer(**SMALL, method=method, n_jobs=1).fit(SEQUENCES)
    filled = imputer.transform(SEQUENCES)
    for rows in ([0], [5, 2], range(7)):
        assert np.array_equal(imputer.transform(SEQUENCES[list(rows)]), filled[list(rows)])
    as_list = imputer.transform(list(SEQUENCES))
    assert np.array_equal(np.stack(as_list), filled)
    for n_jobs in (2, 3):
        other = clone(imputer).set_params(n_jobs=n_jobs).fit(SEQUENCES)
        assert np.array_equal(other.transform(SEQUENCES), filled)
        for name, weights in imputer.weights_.items():
            assert np.array_equal(other.weights_[name], weights)
    copied = pickle.loads(pickle.dumps(imputer))
    assert np.array_equal(copied.transform(SEQUENCES), filled)


def test_another_seed_is_another_imputer():
    first, second = (
        RNNImputer(**{**SMALL, "random_state": seed}).fit_transform(SEQUENCES) for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_brits_learns_in_both_directions():
    truth = waves(1200, seed=5)
    gappy = with_runs(with_gaps(truth, 0.1), length=6)
    imputer = RNNImputer(
        method="brits",
        hidden_layer_sizes=16,
        layout="series",
        window=36,
        max_iter=150,
        batch_size=32,
        learning_rate_init=0.01,
        random_state=0,
    )
    filled = imputer.fit_transform(gappy)
    frame = pd.DataFrame(gappy)
    assert errors(filled, truth, gappy) < 0.7 * errors(
        frame.ffill().bfill().to_numpy(), truth, gappy
    )
    weights = imputer.weights_
    assert weights["forward.layers.0.W_hh"].shape == weights["backward.layers.0.W_hh"].shape
    assert not np.array_equal(weights["forward.layers.0.W_hh"], weights["backward.layers.0.W_hh"])
    assert not np.diag(weights["channels.W"]).any()
    assert "backward.head.W" in imputer.summary()


def test_weights_can_be_replaced():
    imputer = RNNImputer(**SMALL).fit(SEQUENCES)
    filled = imputer.transform(SEQUENCES)
    weights = imputer.weights_
    imputer.set_weights({name: 0 * array for name, array in weights.items()})
    assert not np.array_equal(imputer.transform(SEQUENCES), filled)
    imputer.set_weights(weights)
    assert np.array_equal(imputer.transform(SEQUENCES), filled)


def test_what_a_fit_tells():
    imputer = RNNImputer(**SMALL, gaps="runs").fit(RAGGED)
    assert imputer.n_iter_ == len(imputer.loss_curve_) == 10
    assert imputer.loss_ == imputer.loss_curve_[-1]
    assert imputer.n_channels_in_ == imputer.n_features_in_ == 3
    assert imputer.window_ == 17
    assert imputer.gaps_["runs"] == pytest.approx(0.8)
    again = RNNImputer(**{**SMALL, "gaps": imputer.gaps_}).fit(RAGGED)
    assert again.gaps_ == imputer.gaps_
    assert imputer.n_parameters_ == sum(array.size for array in imputer.weights_.values())


@pytest.mark.parametrize(
    ("n_times", "season", "gap", "window"),
    [
        (90, None, 0, 90),
        (300, None, 0, 48),
        (300, 40, 0, 80),
        (300, None, 60, 120),
        (900, None, 400, 256),
    ],
)
def test_windows_show_seasons_and_gaps(n_times, season, gap, window):
    series = np.random.RandomState(0).randn(n_times, 1)
    series[20 : 20 + gap] = np.nan
    parameters = {**SMALL, "max_iter": 1, "batch_size": 1}
    imputer = RNNImputer(**parameters, layout="series", season_length=season).fit(series)
    assert imputer.window_ == window


def test_pipelines_names_and_containers():
    table = pd.DataFrame(SEQUENCES[:, :, 0], columns=[f"t{i}" for i in range(20)])
    y = np.arange(12.0)
    model = make_pipeline(RNNImputer(**SMALL), RNNRegressor(max_iter=60, tol=1, random_state=0))
    assert model.fit(table, y).predict(table).shape == (12,)
    assert model.fit(SEQUENCES, y).predict(SEQUENCES).shape == (12,)
    imputer = RNNImputer(**SMALL).set_output(transform="pandas").fit(table)
    assert list(imputer.get_feature_names_out()) == list(table.columns)
    assert list(imputer.transform(table).columns) == list(table.columns)
    wide = RNNImputer(**SMALL, layout="series").set_output(transform="polars").fit(FRAME)
    assert wide.transform(FRAME).columns == list(FRAME.columns)
    sequences = RNNImputer(**SMALL).set_output(transform="pandas").fit(SEQUENCES)
    with pytest.raises(ValueError, match=r"\(12, 20, 3\), and set_output\(transform='pandas'\)"):
        sequences.transform(SEQUENCES)


def test_before_fit_there_is_nothing_to_fill_with():
    with pytest.raises(NotFittedError, match=r"RNNImputer\.transform"):
        RNNImputer().transform(SEQUENCES)
    assert not hasattr(RNNImputer(), "weights_")


def test_a_loss_that_is_not_finite_is_told():
    imputer = RNNImputer(**{**SMALL, "max_iter": 60}, learning_rate_init=1e30, clip_norm=None)
    with pytest.raises(elman.DivergenceError, match=r"mini-batch .* learning rate"):
        imputer.fit(SEQUENCES.astype(np.float32))
    assert not hasattr(imputer, "n_iter_")


def test_progress_is_shown(capsys):
    RNNImputer(**SMALL, verbose=True).fit(SEQUENCES)
    assert "10/10" in capsys.readouterr().err


def test_a_picture_shows_gaps_and_their_fills():
    imputer = RNNImputer(**SMALL, layout="series").fit(FRAME)
    truth = pd.DataFrame(SERIES, index=DATES, columns=FRAME.columns)
    display = ImputationDisplay.from_estimator(imputer, FRAME, channel="heat", actual=truth)
    is_missing = FRAME["heat"].isna().to_numpy()
    observed = display.observed_.get_ydata()
    assert np.array_equal(np.isnan(observed), is_missing)
    filled = imputer.transform(FRAME)["heat"].to_numpy()
    assert np.array_equal(display.filled_.get_ydata()[is_missing], filled[is_missing])
    assert np.array_equal(display.actual_.get_ydata(), truth["heat"])
    assert display.ax_.get_ylabel() == "heat"
    assert display.figure_ is display.ax_.figure
    assert display.plot(display.ax_) is display
    matplotlib.pyplot.close(display.figure_)


@pytest.mark.parametrize("name", FORMS)
def test_pictures_of_every_form(name):
    X, parameters = FORMS[name]
    imputer = RNNImputer(**SMALL, **parameters).fit(X)
    sample = 0 if name in ("one series", "one channel") else 3
    display = ImputationDisplay.from_estimator(imputer, X, sample=sample)
    expected = (np.asarray(X if sample == 0 else X[sample]).reshape(-1, imputer.n_channels_in_))[
        :, 0
    ]
    np.testing.assert_array_equal(display.observed_.get_ydata(), expected)
    matplotlib.pyplot.close(display.figure_)


def test_pictures_that_cannot_be():
    imputer = RNNImputer(**SMALL, layout="series").fit(FRAME)
    with pytest.raises(ValueError, match="channel got 'rain', expected a number from 0 to 2, or"):
        ImputationDisplay.from_estimator(imputer, FRAME, channel="rain")
    with pytest.raises(ValueError, match="sample got 1, expected 0: there is one series"):
        ImputationDisplay.from_estimator(imputer, FRAME, sample=1)
    with pytest.raises(ValueError, match="sample got 12, expected a number from 0 to 11"):
        ImputationDisplay.from_estimator(imputer, SEQUENCES, sample=12)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_nested_list_is_the_series_that_an_array_is(n_channels):
    rng = np.random.default_rng(4)
    x = np.arange(60.0)[:, None] + rng.normal(size=(60, n_channels))
    x[30:33] = np.nan
    imputer = RNNImputer(layout="series", hidden_layer_sizes=4, max_iter=5, random_state=0)
    expected = imputer.fit_transform(x)
    np.testing.assert_array_equal(imputer.transform(x.tolist()), expected)
    np.testing.assert_array_equal(clone(imputer).fit_transform(x.tolist()), expected)


def test_times_are_told_from_those_of_fit():
    y = np.sin(np.arange(60) / 3)
    y[20:23] = np.nan
    imputer = RNNImputer(layout="series", hidden_layer_sizes=4, max_iter=5, random_state=0)
    imputer.fit(pd.Series(y, pd.period_range("2010-01", periods=60, freq="M")))
    for frequency in ("D", "Q", "2M"):
        other = pd.Series(y, pd.period_range("2010-01", periods=60, freq=frequency))
        with pytest.raises(ValueError, match=r"the index of X got periods of .*'M' as in fit"):
            imputer.transform(other)
    # What comes before them is counted back from them.
    days = pd.date_range("2020-01-05", periods=100, freq="W")
    long = pd.Series(np.r_[y, y[:40]], days)
    imputer.fit(long[50:])
    whole = imputer.transform(long)
    np.testing.assert_array_equal(imputer.transform(long[:40])[:10], whole[:10])
