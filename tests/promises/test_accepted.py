"""What is accepted, and bit for bit the same as a plain C-ordered array (cases 10-25, 40-60)."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from elman import RNNClassifier, RNNRegressor, _core
from promises.cases import N, T, good_X
from promises.digest import state_digest
from sklearn.exceptions import DataConversionWarning, NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
Y = np.linspace(-1, 1, N)


def fitted(X=None, y=Y, cls=RNNRegressor, **options):
    options = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, **options}
    return cls(**options).fit(good_X() if X is None else X, y)


def strided(X):
    room = np.zeros((N, T, 4))
    room[:, :, ::2] = X
    return room[:, :, ::2]


def unaligned(X):
    room = np.empty(X.nbytes + 1, np.uint8)[1:]
    view = room.view()[: X.nbytes].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memmap(X, folder):
    file = np.lib.format.open_memmap(folder / "X.npy", "w+", X.dtype, X.shape)
    file[...] = X
    file.flush()
    return np.load(folder / "X.npy", mmap_mode="r")


class Subclass(np.ndarray):
    pass


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "negative stride": lambda X: X[::-1].copy()[::-1],
    "transposed": lambda X: X.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    "unaligned": unaligned,
    "big-endian": lambda X: X.astype(">f8"),
    "read-only": read_only,
    "objects": lambda X: X.astype(object),
    "a subclass": lambda X: X.view(Subclass),
    "masked, with nothing masked": np.ma.masked_array,
    "a list of arrays": list,
    "an object array of arrays": lambda X: np.array([*list(X), None], dtype=object)[:-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layouts(layout):
    X = LAYOUTS[layout](good_X())
    before = state_digest(fitted())
    assert np.array_equal(fitted(X).predict(good_X()), fitted().predict(good_X()))
    assert np.array_equal(fitted().predict(X), fitted().predict(good_X()))
    assert state_digest(fitted()) == before


def test_memmap(tmp_path):
    X = memmap(good_X(), tmp_path)
    assert np.array_equal(fitted(X).predict(X), fitted().predict(good_X()))


def test_broadcast():
    X = np.broadcast_to(good_X()[:1], (N, T, 2))
    assert np.array_equal(fitted(X).predict(X), fitted(X.copy()).predict(X.copy()))


@pytest.mark.parametrize("dtype", ["f2", "f4", "g", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "?"])
def test_dtypes_are_cast(dtype):
    X = (10 * np.abs(good_X())).astype(dtype)
    plain = X.astype("f4" if dtype in ("f2", "f4") else "f8")
    assert np.array_equal(fitted(X).predict(X), fitted(plain).predict(plain))
    assert fitted(X).predict(X).dtype == plain.dtype


def test_large_integers_into_float32_warn_once():
    model = fitted(good_X().astype("f4"))
    with pytest.warns(UserWarning, match=r"X got the integer 33554432.*2\*\*24") as record:
        model.predict(np.full((1, T, 2), 2**25))
    assert len(record) == 1


def test_too_large_for_float32():
    model = fitted(good_X().astype("f4"))
    with pytest.raises(ValueError, match="too large for dtype float32"):
        model.predict(np.full((1, T, 2), 1e300))


def test_subnormals():
    X = good_X() * 5e-324
    assert np.isfinite(fitted(X).predict(X)).all()
    assert np.float64(5e-324) * 1 != 0


TABLE = np.arange(36.0).reshape(N, 3) / 36
FRAMES = {
    "pandas": lambda: pd.DataFrame(TABLE, columns=list("abc")),
    "polars": lambda: pl.DataFrame(TABLE, schema=list("abc")),
    "arrow": lambda: pa.table({name: TABLE[:, i] for i, name in enumerate("abc")}),
    "chunked arrow": lambda: pa.concat_tables(
        [
            pa.table({name: half[:, i] for i, name in enumerate("abc")})
            for half in (TABLE[:5], TABLE[5:])
        ]
    ),
}


@pytest.mark.parametrize("frame", FRAMES)
def test_data_frames(frame):
    table = FRAMES[frame]()
    assert np.array_equal(fitted(table).predict(table), fitted(TABLE).predict(TABLE))


def test_polars_nulls_are_nan():
    table = pl.DataFrame({"a": [1.0] * 11 + [None]})
    with pytest.raises(ValueError, match=r"X got 1 value of NaN.*\(sample 11, column 0\)"):
        fitted(table)


def test_frame_then_array_warns_once():
    model = fitted(FRAMES["pandas"]())
    with pytest.warns(UserWarning, match="does not have valid feature names") as record:
        got = model.predict(TABLE)
    assert len(record) == 1
    assert np.array_equal(got, model.predict(FRAMES["pandas"]()))


@pytest.mark.parametrize("columns", [["b", "a", "c"], ["a", "b"], ["a", "b", "d"]])
def test_other_columns_than_in_fit(columns):
    model = fitted(FRAMES["pandas"]())
    before = state_digest(model)
    table = FRAMES["pandas"]().assign(d=1.0)[columns]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table)
    assert state_digest(model) == before


def test_targets_of_one_column():
    assert fitted(y=Y[:, None]).predict(good_X()).shape == (N, 1)
    with pytest.warns(DataConversionWarning) as record:
        model = fitted(y=(Y > 0)[:, None], cls=RNNClassifier)
    assert [warning.category for warning in record].count(DataConversionWarning) == 1
    assert model.predict(good_X()).shape == (N,)


def test_one_class_is_a_constant():
    model = fitted(y=["a"] * N, cls=RNNClassifier)
    assert (model.predict(good_X()) == "a").all()
    assert np.array_equal(model.predict_proba(good_X()), np.ones((N, 1)))


@pytest.mark.parametrize("y", [np.full(N, 3.5), Y * 1e30, np.zeros(N)], ids=["3.5", "1e30", "0"])
def test_extreme_targets(y):
    assert np.isfinite(fitted(y=y).predict(good_X())).all()


def test_a_constant_channel():
    X = good_X()
    X[:, :, 1] = 7
    assert np.isfinite(fitted(X).predict(X)).all()


@pytest.mark.parametrize(
    "kind", [list, pd.Series, lambda w: w.astype(int)], ids=["list", "series", "int"]
)
def test_weights_in_other_forms(kind):
    weights = np.arange(1.0, N + 1)
    expected = fitted()
    expected.fit(good_X(), Y, sample_weight=weights)
    got = fitted()
    got.fit(good_X(), Y, sample_weight=kind(weights))
    assert np.array_equal(got.predict(good_X()), expected.predict(good_X()))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weight_zero_is_removal(solver):
    weights = np.ones(N)
    weights[4] = 0
    kept = np.flatnonzero(weights)
    options = {"hidden_layer_sizes": (3,), "max_iter": 3, "random_state": 0, "shuffle": False}
    weighted = RNNRegressor(solver=solver, scale_targets=False, **options)
    weighted.fit(good_X(), Y, sample_weight=weights)
    removed = RNNRegressor(solver=solver, scale_targets=False, **options)
    removed.fit(good_X()[kept], Y[kept])
    assert np.array_equal(weighted.predict(good_X()), removed.predict(good_X()))


def test_weights_whose_sum_overflows():
    model = fitted(good_X().astype("f4"))
    weights = np.full(N, 3e38)
    assert np.isfinite(model.fit(good_X().astype("f4"), Y, weights).predict(good_X())).all()


def test_batch_size_is_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="batch_size got 99.*clipped"):
        fitted(batch_size=99)


def test_nothing_before_fit():
    model = RNNRegressor()
    for call in (lambda: model.predict(good_X()), lambda: model.score(good_X(), Y), model.summary):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call()
    with pytest.raises(ValueError, match="cell"):
        RNNRegressor(cell="none").fit(good_X(), Y)
    with pytest.raises(NotFittedError):
        model.predict(good_X())


def test_an_old_model_predicts_after_set_params():
    model = fitted()
    expected = model.predict(good_X())
    assert np.array_equal(model.set_params(hidden_layer_sizes=(9,)).predict(good_X()), expected)


def test_unknown_parameter():
    with pytest.raises(ValueError, match=r"Invalid parameter 'foo'.*hidden_layer_sizes"):
        RNNRegressor().set_params(foo=1)


def test_absurd_numbers_of_jobs_are_clamped():
    expected = fitted(n_jobs=1).predict(good_X())
    assert np.array_equal(fitted(n_jobs=10**6).predict(good_X()), expected)
    assert np.array_equal(fitted(n_jobs=-1).predict(good_X()), expected)


@pytest.mark.parametrize("is_fitted", [True, False])
def test_divergence_keeps_the_model(is_fitted):
    model = RNNRegressor(
        cell="simple", activation="identity", solver="sgd", max_iter=100, random_state=0
    )
    if is_fitted:
        model.fit(good_X(), Y)
    model.set_params(learning_rate_init=1e6, clip_norm=None)
    before = state_digest(model)
    message = (
        r"^RNNRegressor\.fit: learning_rate_init .*epoch \d+, batch \d+, at learning rate 1e\+06"
    )
    with pytest.raises(ValueError, match=message) as error:
        model.fit(100 * good_X(), Y)
    assert type(error.value).__name__ == "DivergenceError"
    assert error.value.epoch >= 1
    assert error.value.learning_rate == 1e6
    assert state_digest(model) == before


@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_warning_as_an_error_keeps_the_model(is_fitted):
    model = RNNRegressor(max_iter=2, random_state=0)
    if is_fitted:
        model.fit(good_X(), Y)
    before = state_digest(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning, match="max_iter"):
            model.fit(good_X(), Y)
    assert state_digest(model) == before


def test_sizes_that_overflow_are_refused_before_anything_is_allocated():
    with pytest.raises(ValueError, match=r"out of range|2\^24"):
        _core.Network(
            dtype="float64",
            cell="lstm",
            activation="tanh",
            reset_after=True,
            hidden_layer_sizes=[2**24],
            bidirectional=[False],
            n_channels=2**62,
            n_outputs=1,
            head=True,
        )


STATES = {
    "another number of samples": ({"layers.0.h": np.zeros((3, 3))}, r"\(3, 3\).*\(12, 3\)"),
    "another number of units": ({"layers.0.h": np.zeros((N, 4))}, r"\(12, 4\).*\(12, 3\)"),
    "NaN": ({"layers.0.h": np.full((N, 3), np.nan)}, "NaN"),
    "another model's": ({"layers.0.h": np.zeros((N, 3)), "layers.1.h": 0}, "layers.1.h"),
    "no dict": (np.zeros((N, 3)), "dict"),
}


@pytest.mark.parametrize("name", STATES)
def test_initial_states(name):
    state, message = STATES[name]
    with pytest.raises((ValueError, TypeError), match=f"initial_state.*{message}"):
        fitted(cell="gru").predict(good_X(), initial_state=state)
