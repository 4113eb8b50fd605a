"""A stream of forecasts says, value by value, what predict says of the history so far."""

import copy
import io
import pickle
import threading

import elman
import numpy as np
import pytest
from elman import LinearForecaster, NaiveForecaster, RNNForecaster, RNNImputer
from sklearn.exceptions import NotFittedError

pd = pytest.importorskip("pandas")

N_FITTED = 120


def network(**parameters):
    defaults = {"horizon": 4, "window": 24, "season_length": 6, "n_updates": 3, "n_estimators": 1}
    defaults |= {"hidden_layer_sizes": 6, "random_state": 0, "n_jobs": 1}
    return RNNForecaster(**{**defaults, **parameters})


def series(n_times, n_series=2, missing=0.1, seed=0):
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(n_times)[:, None] * np.pi / 3 + np.arange(n_series))
    y = 10 + wave + 0.3 * rng.normal(size=(n_times, n_series))
    y[1:][rng.random((n_times - 1, n_series)) < missing] = np.nan
    return y


FORECASTERS = {
    "direct": network(n_estimators=3),
    "recursive": network(strategy="recursive", horizon=7),
    "seq2seq": network(strategy="seq2seq", loss="gaussian_nll"),
    "parallel": network(strategy="parallel", segment_length=2, loss="quantile"),
    "local": network(strategy_panel="local", transform="log"),
    "counts": network(loss="poisson", series_identity=True),
    "auto": network(window="auto", season_length="auto"),
    "linear": LinearForecaster(horizon=4, window=9, season_length=6),
    "linear, a season longer than the window": LinearForecaster(2, window=3, season_length=14),
    "last": NaiveForecaster(horizon=4),
    "mean": NaiveForecaster(horizon=4, strategy="mean"),
    "drift": NaiveForecaster(horizon=4, strategy="drift"),
    "seasonal": NaiveForecaster(horizon=4, strategy="seasonal", season_length=6),
    "seasonal_drift": NaiveForecaster(horizon=4, strategy="seasonal_drift", season_length=6),
}


@pytest.mark.parametrize("name", FORECASTERS)
def test_the_bits_of_predict_over_hundreds_of_steps(name):
    """With gaps of all lengths, some of them longer than the window."""
    y = series(340)
    y[200:240] = np.nan
    y[270:273, 0] = y[290:340:7, 1] = np.nan
    model = copy.deepcopy(FORECASTERS[name]).fit(y[:N_FITTED])
    stream = model.stream()
    for t in range(N_FITTED, 340):
        forecast = stream.step(y[t])
        if t % 11 == 0 or t in range(236, 244):
            np.testing.assert_array_equal(forecast, model.predict(y=y[: t + 1]))
    assert forecast.shape == (model.horizon, 2)


@pytest.mark.parametrize("name", ["direct", "recursive", "linear", "last", "seasonal"])
def test_no_more_is_kept_than_a_forecast_looks_at(name):
    y = series(200, missing=0.0)
    y[150:180] = y[:, 1][::6] = np.nan  # a gap, and a time of the season that has one value
    y[0] = 10.0
    model = copy.deepcopy(FORECASTERS[name]).fit(y[:N_FITTED])
    stream, kept = model.stream(), []
    for y_t in y[N_FITTED:]:
        stream.step(y_t)
        kept.append(stream.state["y"].shape[1])
    most = {"direct": 24, "recursive": 24, "linear": 9 + 2 * 6, "last": 3, "seasonal": 3 * 6}[name]
    # A network's window that knows nothing is filled with the last value before it.
    n_more = sum(n > most for n in kept)
    assert n_more == (8 if name in ("direct", "recursive") else 0)
    assert sorted(kept) == [most] * (80 - n_more) + [most + 1] * n_more


def test_a_day_of_the_week_without_values_is_filled_for_ever_with_the_day_before():
    y = series(200, 1, missing=0.2)[:, 0]
    y[6::7] = np.nan
    for model in (
        LinearForecaster(3, window=4, season_length=7).fit(y[:60]),
        NaiveForecaster(9, strategy="seasonal", season_length=7).fit(y[:60]),
    ):
        stream = model.stream()
        for t in range(60, 200):
            np.testing.assert_array_equal(stream.step(y[t]), model.predict(y=y[: t + 1]))


def test_numbers_and_arrays():
    y = series(N_FITTED + 9)
    for kind in (y[:, 0], y[:, :1], pd.Series(y[:, 0])):
        model = network().fit(kind[:N_FITTED])
        expected = np.ravel(model.predict(y=kind[: N_FITTED + 1]))
        y_t = y[N_FITTED, 0]
        for number in (float(y_t), y_t, np.array(y_t)):
            assert np.array_equal(model.stream().step(number), expected)
        for array in ([y_t], np.array([y_t])):
            assert np.array_equal(model.stream().step(array), expected[:, None])
    stream = network().fit([y[:N_FITTED, 0], y[20:N_FITTED, 1]]).stream(horizon=9)
    assert (stream.n_series, stream.horizon) == (2, 9)
    assert stream.step(y[N_FITTED]).shape == (9, 2)


def test_arrays_of_different_lengths():
    y = series(200, 3)
    begins = [0, 90, 107]  # of which the last is shorter than the window at first
    y[begins, range(3)] = 9.0
    pieces = [y[begin:N_FITTED, i] for i, begin in enumerate(begins)]
    for model in (network(window="auto"), LinearForecaster(4, window=8, season_length=6)):
        stream = model.fit(pieces).stream()
        for t in range(N_FITTED, 200):
            forecast = stream.step(y[t])
            history = [y[begin : t + 1, i] for i, begin in enumerate(begins)]
            assert np.array_equal(forecast, np.transpose(model.predict(y=history)))


FREQUENCIES = ["h", "MS", "B", "W-SUN"]


@pytest.mark.parametrize("freq", FREQUENCIES)
def test_frames_with_a_calendar(freq):
    y = series(160)
    index = pd.date_range("2020-03-01", periods=160, freq=freq)
    wide = pd.DataFrame(y, index, ["b", "a"])
    wide.iloc[:5, 1] = np.nan
    model = network(calendar=["month", "dayofweek"]).fit(wide[:N_FITTED])
    stream = model.stream()
    for t in range(N_FITTED, 160):
        forecast = stream.step(wide.iloc[t][["a", "b"]] if t % 2 else y[t])
        if t % 9 == 0:
            np.testing.assert_array_equal(forecast, model.predict(y=wide[: t + 1]).to_numpy())
    with pytest.raises(ValueError, match=r"y_t got a Series of \['a', 'c'\], expected one of"):
        stream.step(pd.Series([1.0, 2.0], ["a", "c"]))
    with pytest.raises(ValueError, match=r"y_t got a Series of \['a'\]"):
        stream.step(pd.Series([1.0], ["a"]))
    other = model.stream()
    other.state = stream.state  # which tells the time
    assert np.array_equal(other.step(y[0]), stream.step(y[0]))


def long_frame(y, index, begins):
    parts = [
        pd.DataFrame({"unique_id": name, "ds": index[begin:], "y": y[begin:, i]})
        for i, (name, begin) in enumerate(zip("yx", begins, strict=True))
    ]
    return pd.concat(parts, ignore_index=True)


def test_long_frames_static_columns_and_another_history():
    y = series(150)
    y[[0, 30], [0, 1]] = 9.0
    index = pd.period_range("1990-01", periods=150, freq="M")
    static = pd.DataFrame({"kind": ["p", "q"]}, index=["y", "x"])
    model = network(calendar=["month"])
    model.fit(long_frame(y[:N_FITTED], index[:N_FITTED], [0, 30]), static=static)
    only = long_frame(y, index, [0, 30]).query("unique_id == 'x'")
    streams = {None: model.stream(), "x": model.stream(y=only[only.ds < index[N_FITTED]])}
    for t in range(N_FITTED, 150):
        known = index[: t + 1]
        both = long_frame(y[: t + 1], known, [0, 30])
        expected = model.predict(y=both)["y_pred"].to_numpy().reshape(2, -1).T
        ids = list(model.predict(y=both)["unique_id"].drop_duplicates())
        y_t = pd.Series(y[t], ["y", "x"])
        assert np.array_equal(streams[None].step(y_t), expected)
        assert np.array_equal(streams["x"].step(y_t[["x"]])[:, 0], expected[:, ids.index("x")])
    again = pickle.loads(pickle.dumps(streams["x"]))
    assert np.array_equal(again.step(3.0), streams["x"].step(3.0))


def covariates(n_times):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "known": rng.normal(size=n_times),
            "holiday": pd.Categorical(rng.choice(["no", "yes"], n_times), ["no", "yes"]),
            "past": np.where(rng.random(n_times) < 0.2, np.nan, rng.normal(size=n_times)),
            "place": 3.0,
        }
    )


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq"])
def test_covariates(strategy):
    y, X = series(200), covariates(210)
    model = network(
        strategy=strategy, past_covariates=["past"], static_covariates=["place"], horizon=5
    )
    model.fit(y[:N_FITTED], X[:N_FITTED])
    stream = model.stream()
    for t in range(N_FITTED, 200):
        forecast = stream.step(y[t], X[t : t + 6])
        if t % 9 == 0:
            expected = model.predict(y=y[: t + 1], X=X[: t + 6])
            np.testing.assert_array_equal(forecast, expected)
    before = stream.state
    assert before["X"].shape == (2, 24, 4)
    for wrong, what in (
        (None, r"X got None, expected the columns \['known', 'holiday', 'past', 'place'\]"),
        (X[:1], r"X got 1 rows, expected 1, as in y and 5 more"),
    ):
        with pytest.raises(ValueError, match=f"ForecastStream.step: {what}"):
            stream.step(y[0], wrong)
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])


def test_what_held_at_the_first_time_holds_for_ever():
    """As in predict, which reads static columns there, although no more than a window is kept."""
    y, X = series(200), covariates(200)[["known", "place"]]
    X.loc[N_FITTED:, "place"] = 7.0
    model = network(past_covariates=["x0"], static_covariates=["x1"])
    X = X.to_numpy()
    model.fit(y[:N_FITTED], X[:N_FITTED])
    stream = model.stream()
    for t in range(N_FITTED, 200):
        forecast = stream.step(y[t], X[t])  # one row is enough: nothing is known ahead
    assert np.array_equal(forecast, model.predict(y=y, X=X))


def test_covariates_by_time_and_by_series():
    y, X = series(150), covariates(160)[["known"]]
    X.index = pd.date_range("2024-01-01", periods=160, freq="D")
    model = LinearForecaster(4, window=9).fit(pd.DataFrame(y, X.index[:150])[:N_FITTED], X[:120])
    stream = model.stream()
    for t in range(N_FITTED, 150):
        forecast = stream.step(y[t], X)  # finds its rows by the times
    expected = model.predict(y=pd.DataFrame(y, X.index[:150]), X=X)
    assert np.array_equal(forecast, expected)
    x = X["known"].to_numpy()
    model = LinearForecaster(4, window=9).fit(list(y[:120].T), [x[:120], -x[:120]])
    stream = model.stream()
    for t in range(N_FITTED, 150):
        forecast = stream.step(y[t], [x[t : t + 5], -x[t : t + 5]])
    expected = model.predict(y=list(y.T), X=[x[:154], -x[:154]])
    assert np.array_equal(forecast, np.transpose(expected))


@pytest.mark.parametrize("name", ["direct", "linear", "drift"])
def test_files_pickles_copies_and_states_go_on_by_themselves(name, tmp_path):
    y = series(200)
    model = copy.deepcopy(FORECASTERS[name]).fit(y[:N_FITTED])
    elman.save(model, tmp_path / "model.safetensors")
    stream = model.stream()
    of_file = elman.load(tmp_path / "model.safetensors").stream()
    for y_t in y[N_FITTED:150]:
        assert np.array_equal(of_file.step(y_t), stream.step(y_t))
    with_state = model.stream()
    with_state.state = stream.state
    others = [copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    for y_t in y[150:]:
        expected = stream.step(y_t)
        for other in (*others, with_state):
            assert np.array_equal(other.step(y_t), expected)
    for each in (stream, others[2]):
        each.reset()
        assert np.array_equal(each.step(y[120]), model.predict(y=y[:121]))


def test_a_pickle_does_not_grow_with_the_history():
    y = series(3000)
    short, long = (network().fit(y[-n:]).stream() for n in (200, 3000))
    assert len(pickle.dumps(long)) < len(pickle.dumps(short)) + 2000
    assert io.BytesIO(pickle.dumps(long)).getbuffer().nbytes < 100_000


def test_states_are_copies():
    y = series(200)
    stream = network().fit(y[:N_FITTED]).stream()
    state = stream.state
    expected = stream.step(y[N_FITTED])
    stream.state = state
    state["y"][...] = 0.0
    assert np.array_equal(stream.step(y[N_FITTED]), expected)
    stream.state["y"][...] = 0.0
    stream.state = None
    assert np.array_equal(stream.step(y[N_FITTED]), expected)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"y": np.zeros((1, 24))}, r"y got float64 of shape \(1, 24\), expected float64 of shape"),
        ({"y": np.zeros((2, 24), np.float32)}, "y got float32"),
        ({"y": np.full((2, 24), np.inf)}, "infinity"),
        ({"y": np.zeros((2, 0))}, "y got"),
        ({"y": np.float64(0.0)}, "y got"),
        ({"lengths": np.array([24, 25])}, r"lengths got .*, expected from 24 to 24"),
        ({"lengths": np.array([24, 0])}, r"lengths got"),
        ({"lengths": np.array([24.0, 24.0])}, r"lengths got float64"),
        ({"starts": np.array([0])}, r"starts got"),
        ({"X": np.zeros((2, 24, 1))}, r"state got the names \['X', 'lengths', 'starts', 'y'\]"),
    ],
)
def test_states_that_do_not_fit(change, what):
    y = series(200)
    stream = network().fit(y[:N_FITTED]).stream()
    before = stream.state
    for wrong, message in ((before | change, what), ([], "state got a list, expected a dict of")):
        with pytest.raises(ValueError, match=rf"ForecastStream.state: .*{message}"):
            stream.state = wrong
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_of_times_that_are_none():
    y = pd.Series(series(200, 1)[:, 0], pd.date_range("2020-01-01", periods=200, freq="MS"))
    stream = network().fit(y).stream()
    for starts in (np.iinfo(np.int64).min, stream.state["starts"][0] + 1):
        with pytest.raises(ValueError, match=r"starts got .*, expected times on the grid of"):
            stream.state = stream.state | {"starts": np.array([starts])}


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (1.0, r"shape \(\), expected \(2,\)"),
        (np.zeros((1, 2)), r"shape \(1, 2\)"),
        ([1.0, np.inf], r"infinity, the first at \(series 1\)"),
        (["a", "b"], "dtype"),
        (np.zeros(2) * 1j, "complex"),
        (None, "None"),
    ],
)
def test_what_does_not_fit_changes_nothing(wrong, what):
    y = series(200)
    model = network().fit(y[:N_FITTED])
    stream = model.stream()
    with pytest.raises((ValueError, TypeError), match=f"ForecastStream.step: y_t got .*{what}"):
        stream.step(wrong)
    with pytest.raises(ValueError, match=r"ForecastStream.step: X got a ndarray, expected None"):
        stream.step(y[0], np.zeros(1))
    assert np.array_equal(stream.step(y[N_FITTED]), model.predict(y=y[: N_FITTED + 1]))


def test_a_value_that_has_no_logarithm_changes_nothing():
    y = series(200)
    model = network(transform="log").fit(y[:N_FITTED])
    stream = model.stream()
    with pytest.raises(ValueError, match=r"y got"):
        stream.step([-1.0, 1.0])
    assert np.array_equal(stream.step(y[N_FITTED]), model.predict(y=y[: N_FITTED + 1]))


def test_a_later_fit_or_update_changes_nothing():
    y = series(200)
    model = network().fit(y[:N_FITTED])
    expected, stream = model.predict(y=y[: N_FITTED + 1]), model.stream()
    model.set_params(n_jobs=2).update(y[:9])
    model.fit(-y)
    assert np.array_equal(stream.step(y[N_FITTED]), expected)


def test_it_begins_after_an_update():
    y = series(200)
    model = network().fit(y[:N_FITTED]).update(y[N_FITTED:150])
    assert np.array_equal(model.stream().step(y[150]), model.predict(y=y[:151]))


def test_threads_take_turns():
    """Each value is appended once, whole: in the end the mean is that of all of them."""
    model = NaiveForecaster(strategy="mean").fit([[0.0, 0.0]])
    stream = model.stream()

    def work():
        for _ in range(100):
            stream.step([1.0, 3.0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.state["y"].sum(axis=1).tolist() == [600.0, 1800.0]


def test_what_has_no_stream():
    with pytest.raises(NotFittedError, match=r"RNNForecaster.stream"):
        network().stream()
    y = series(200)
    model = network().fit(y)
    with pytest.raises(ValueError, match=r"RNNForecaster.stream: X got a ndarray, expected None"):
        model.stream(X=y)
    with pytest.raises(ValueError, match=r"RNNForecaster.stream: y got 3 values in series"):
        model.stream(y=y[-3:])
    with pytest.raises(ValueError, match=r"stream: horizon got 0"):
        model.stream(horizon=0)
    with pytest.raises(ValueError, match=r"LinearForecaster.stream: horizon got 5"):
        LinearForecaster(4, window=5).fit(y).stream(horizon=5)
    with pytest.raises(ValueError, match=r"RNNImputer.stream: model got an imputer, which"):
        RNNImputer().stream()


def test_series_end_begin_and_go_back():
    y = series(N_FITTED + 20, 3)
    model = network(window="auto").fit([y[:N_FITTED, i] for i in range(3)])
    stream = model.stream()
    for t in range(N_FITTED, N_FITTED + 5):
        stream.step(y[t])
    stream.drop([0])
    assert list(stream.add([y[:40, 2], y[:50, 0], y[9:60, 1]])) == [2, 3, 4]
    assert stream.n_series == 5
    histories = [y[: N_FITTED + 5, 1], y[: N_FITTED + 5, 2], y[:40, 2], y[:50, 0], y[9:60, 1]]
    places = [1, 2, 0, 1, 2]  # of each among those of fit
    for t in range(3):
        y_t = y[t, [0, 1, 2, 0, 1]]
        histories = [np.append(history, y_t[i]) for i, history in enumerate(histories)]
        forecast = stream.step(y_t)
        for i, (place, history) in enumerate(zip(places, histories, strict=True)):
            whole = [history if j == place else y[:N_FITTED, j] for j in range(3)]
            assert np.array_equal(forecast[:, i], model.predict(y=whole)[place])
    again = pickle.loads(pickle.dumps(stream))
    stream.reset([1, 3])
    start = model.stream()
    start.drop(slice(2))
    expected = start.step(y[0, :1])[:, 0]
    assert np.array_equal(stream.step(y[0, [0, 0, 0, 0, 0]])[:, 1], expected)
    histories[0] = np.append(histories[0], y[0, 0])
    whole = [y[:N_FITTED, 0], histories[0], y[:N_FITTED, 2]]
    assert np.array_equal(again.step(y[0, [0, 0, 0, 0, 0]])[:, 0], model.predict(y=whole)[1])


def test_frames_of_which_series_end_and_begin():
    y = series(160)
    index = pd.date_range("2020-03-01", periods=160, freq="D")
    wide = pd.DataFrame(y, index, ["b", "a"])
    model = network(calendar=["month"]).fit(wide[:N_FITTED])
    stream = model.stream()
    stream.drop(0)
    for t in range(N_FITTED, 150):
        forecast = stream.step(wide.iloc[t][["a"]])
    assert np.array_equal(forecast[:, 0], model.predict(y=wide[:150])["a"])
    stream.add(wide[:150])
    with pytest.raises(ValueError, match="y_t got a Series, expected an array"):
        stream.step(pd.Series([1.0, 2.0, 3.0], ["a", "b", "a"]))
    assert np.array_equal(
        stream.step([y[150, 1], *y[150]]), model.predict(y=wide[:151]).to_numpy()[:, [1, 0, 1]]
    )


def test_an_array_for_the_forecasts():
    y = series(N_FITTED + 9)
    model = network().fit(y[:N_FITTED])
    stream, twin = model.stream(), model.stream()
    out = np.empty((stream.horizon, 2))
    assert stream.step(y[N_FITTED], out=out) is out
    assert np.array_equal(out, twin.step(y[N_FITTED]))
    for wrong in (np.empty((2, stream.horizon)), np.empty(out.shape, np.float32), [[0.0]]):
        with pytest.raises(ValueError, match=r"ForecastStream.step: out got .*expected an array"):
            stream.step(y[N_FITTED + 1], out=wrong)
    assert np.array_equal(stream.step(y[N_FITTED + 1]), twin.step(y[N_FITTED + 1]))


def test_series_that_are_not_there():
    stream = network().fit(series(N_FITTED)).stream()
    for method in (stream.drop, stream.reset):
        with pytest.raises(
            ValueError, match=r"which got 2, expected numbers of series from 0 to 1"
        ):
            method(2)
    with pytest.raises(ValueError, match=r"ForecastStream.add: y"):
        stream.add(np.zeros((9, 3)))
    assert stream.n_series == 2
