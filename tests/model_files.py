"""Estimators of each kind that a model file can hold, and files taken apart and put together."""

import hashlib
import json
import warnings
from dataclasses import dataclass, field

import numpy as np
from elman import (
    CountRatioEncoder,
    HiddenStateTransformer,
    LinearForecaster,
    NaiveForecaster,
    RNNClassifier,
    RNNForecaster,
    RNNImputer,
    RNNRegressor,
    Seq2SeqRegressor,
    Seq2SeqTranslator,
    SequenceScaler,
    SlidingWindow,
    TokenSequencer,
    from_torch,
)
from elman._files import from_bytes, to_bytes
from elman._safetensors import Source
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

SOURCE = Source("elman.load", "path")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(24, 5, 2)).round(3)
Y = X[:, :, 0].sum(axis=1)
NAMES = np.array(["a0", "b0", "a1", "b1"], dtype=object)
TOKENS = [RNG.randint(0, 9, size=3 + i % 4).tolist() for i in range(24)]
WORDS = ["stop", "live", "part", "tuba", "pals", "evil"]
RAGGED = [x[: 1 + i % 4, 0] for i, x in enumerate(X)]
TEXTS = ["a moving film", "far too long", "fine, and moving", "λόγος"]
LONG = (20 + RNG.normal(size=(72, 2)).cumsum(axis=0)).round(2)
LONG[[0, 7, 71], [1, 0, 1]] = np.nan
GAPPY = np.where(RNG.random_sample(X.shape) < 0.2, np.nan, X)


def table():
    """A data frame, so that there are feature names."""
    import pandas as pd

    return pd.DataFrame(X[:, :2].reshape(24, 4), columns=NAMES)


def hours():
    """A wide frame of two series in a time zone."""
    import pandas as pd

    index = pd.date_range("2024-10-26", periods=72, freq="h", tz="Europe/Berlin")
    return pd.DataFrame(LONG, index, pd.Index(["north", "süd"], name="shop"))


def long():
    """A long frame of the same, of months."""
    import pandas as pd

    frame = hours().set_axis(pd.period_range("2019-01", periods=72, freq="M"))
    frame = frame.rename_axis("ds").reset_index()
    return frame.melt("ds", var_name="unique_id", value_name="y").dropna(ignore_index=True)


def beside(n_before=72, n_times=72):
    """Covariates of hours: a number with a hole and a category."""
    import pandas as pd

    index = pd.date_range("2024-10-26", periods=144, freq="h", tz="Europe/Berlin")
    price = np.arange(144) % 7 / 2
    price[5] = np.nan
    day = np.where(np.arange(144) % 5 == 0, "off", "on")
    table = pd.DataFrame({"price": price, "day": day}, index)
    return table.iloc[n_before - 72 : n_before - 72 + n_times]


def forecaster(cls, *arguments, horizon=3, **options):
    """A fitted one that has been asked for paths, so that it knows its errors."""
    if cls is RNNForecaster:
        small = {"hidden_layer_sizes": 2, "n_updates": 3, "n_estimators": 1, "random_state": 0}
        options = {**small, **options}
    model = cls(horizon, **options).fit(*arguments)
    model._calibration(int(horizon), "")
    return model


def fit(cls, *arguments, **options):
    if "max_iter" in cls._get_param_names():
        options = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(**options).fit(*arguments)


MODELS = {
    "regressor": lambda: fit(RNNRegressor, X.astype("f4"), Y),
    "regressor of a table": lambda: fit(RNNRegressor, table(), Y, n_channels=2, cell="lstm"),
    "regressor of steps": lambda: fit(
        RNNRegressor,
        X,
        X.cumsum(axis=1),
        hidden_layer_sizes=[3, 3],
        residual=True,
        layer_norm=True,
        missing="decay",
        n_iter_no_change=np.inf,
    ),
    "regressor of counts": lambda: fit(
        RNNRegressor, X, np.abs(Y).round(), loss="poisson", solver="sgd", learning_rate="adaptive"
    ),
    "regressor by L-BFGS": lambda: fit(
        RNNRegressor, X, Y, solver="lbfgs", loss="gaussian_nll", alpha=np.float32(0.5)
    ),
    "regressor that was imported": lambda: from_torch(
        {"weight_ih_l0": RNG.normal(size=(9, 2)), "weight_hh_l0": RNG.normal(size=(9, 3))}
    ),
    "regressor of vectors": lambda: fit(RNNRegressor, X[:, 0], X[:, :, 0], input="vector"),
    "classifier of strings": lambda: fit(
        RNNClassifier, list(X), np.where(Y > 0, "up", "down"), bidirectional=True
    ),
    "classifier of integers": lambda: fit(
        RNNClassifier,
        X,
        np.digitize(Y, [-1, 1]),
        random_state=np.random.RandomState(5),
        class_weight={0: 1.0, np.int64(1): 2.0, 2: 0.5},
        early_stopping=True,
    ),
    "classifier of floats": lambda: fit(RNNClassifier, X, np.where(Y > 0, 1.0, 0.0), cell="simple"),
    "classifier of objects": lambda: fit(
        RNNClassifier, X, np.where(Y > 0, "up", "down").astype(object)
    ),
    "classifier of labels": lambda: fit(RNNClassifier, X, (X[:, 0] > 0).astype(int)),
    "classifier of tokens": lambda: fit(
        RNNClassifier,
        TOKENS,
        Y > 0,
        input="tokens",
        embedding=np.full((9, 3), 0.1),
        token_dropout=[0.1] * 9,
        n_tokens=9,
    ),
    "encoder-decoder": lambda: fit(Seq2SeqRegressor, X, X[:, :3, 0], teacher_forcing=(1.0, 0.5)),
    "encoder-decoder, ragged": lambda: fit(Seq2SeqRegressor, X, RAGGED, cell="lstm"),
    "translator": lambda: fit(Seq2SeqTranslator, WORDS, [w[::-1] for w in WORDS], embedding_dim=3),
    "translator of numbers": lambda: fit(
        Seq2SeqTranslator, X[:6], [[1, 5], [5], [], [2], [1], [7]], input="sequence", attention=None
    ),
    "translator of vectors": lambda: fit(
        Seq2SeqTranslator, X[:6, 0], WORDS, input="vector", attention=None, max_length=5
    ),
    "tokens": lambda: fit(TokenSequencer, TEXTS, end_token="</s>"),
    "tokens with features": lambda: fit(TokenSequencer, TEXTS, subwords=(3, 4), features=["case"]),
    "tokens of a set": lambda: fit(TokenSequencer, TEXTS, vocabulary={"a", "film", "long"}),
    "scaler": lambda: fit(SequenceScaler, X),
    "scaler of a table": lambda: fit(SequenceScaler, table(), n_channels=2),
    "scaler by sequence": lambda: fit(SequenceScaler, X, by="sequence"),
    "window": lambda: fit(SlidingWindow, X[0], window=3),
    "count ratios": lambda: fit(CountRatioEncoder, TOKENS, np.digitize(Y, [-1, 1]), cv=3),
    "states": lambda: fit(
        HiddenStateTransformer,
        X,
        Y,
        estimator=RNNRegressor(hidden_layer_sizes=3, max_iter=2, tol=np.float32(0.5)),
        steps="mean",
        random_state=1,
    ),
    "states of a table, frozen": lambda: fit(
        HiddenStateTransformer,
        table(),
        estimator=FrozenEstimator(fit(RNNClassifier, table(), Y > 0, n_channels=2)),
        layer=0,
    ),
    "naive forecaster": lambda: forecaster(NaiveForecaster, LONG, strategy="seasonal_drift"),
    "naive forecaster of months": lambda: forecaster(
        NaiveForecaster, long(), strategy="drift", season_length=(12, 3)
    ),
    "linear forecaster": lambda: forecaster(LinearForecaster, list(LONG[1:].T), window=6),
    "linear forecaster of hours": lambda: forecaster(
        LinearForecaster, hours(), beside(), window=6, season_length=4
    ),
    "recurrent forecaster": lambda: forecaster(
        RNNForecaster,
        LONG[:, 0],
        n_estimators=2,
        loss="quantile",
        quantiles=np.array([0.1, 0.5]),
        window=np.int64(12),
        early_stopping=True,
    ),
    "recurrent forecaster of months": lambda: forecaster(
        RNNForecaster,
        long(),
        None,
        np.array([["big", 3.0], ["small", np.nan]], dtype=object),
        loss="student_t_nll",
        calendar=["month", "quarter"],
        strategy_panel="local",
        series_identity=True,
    ),
    "recurrent forecaster of hours": lambda: forecaster(
        RNNForecaster,
        hours(),
        beside(),
        season_length=6,
        window=24,
        past_covariates=["price"],
        strategy="seq2seq",
        candidates=["mean", ("seasonal", 6)],
        transform="log",
    ),
    "imputer": lambda: fit(RNNImputer, GAPPY, gaps={"points": 1, "length": (1, 3)}),
    "imputer by BRITS": lambda: fit(RNNImputer, list(GAPPY.astype("f4")), method="brits"),
    "imputer of hours": lambda: fit(RNNImputer, hours(), layout="series", window=12),
}


def inputs_of(name):
    """What the method of a model is called with."""
    if "imputer" in name:
        return hours() if "hours" in name else GAPPY
    if "table" in name:
        return table()
    if "tokens" in name and "classifier" not in name:
        return TEXTS
    if "tokens" in name or name == "count ratios":
        return TOKENS
    if "vectors" in name:
        return X[:6, 0]
    return {"translator": [*WORDS, "xyz"], "window": X[0]}.get(name, X)


def outcome(model, name):
    """What a model says, as arrays with their dtypes."""
    if hasattr(model, "predict_interval"):
        return [np.asarray(numbers_of(forecasts)) for forecasts in forecasts_of(model, name)]
    method = getattr(model, "predict_proba", None) or getattr(model, "predict", None)
    result = (method or model.transform)(inputs_of(name))
    return [
        part.toarray() if hasattr(part, "toarray") else np.asarray(part) for part in list(result)
    ]


def forecasts_of(model, name):
    """What a forecaster says, in the container that it chooses."""
    X = beside(144, 3) if name.endswith("forecaster of hours") and "naive" not in name else None
    with warnings.catch_warnings():
        # One has no quantile above the median.
        warnings.filterwarnings("ignore", ".*these stand in", UserWarning)
        quantiles = model.predict_quantiles([0.2, 0.5, 0.7], X=X)
    return model.predict(X=X), quantiles, model.sample(4, X=X, random_state=0)


def numbers_of(forecasts):
    """The numbers of forecasts in any container."""
    if hasattr(forecasts, "columns") and "unique_id" in forecasts.columns:
        forecasts = forecasts.drop(columns=["unique_id", "ds"])
    return np.asarray(forecasts, dtype=np.float64)


def same(a, b):
    """Whether two outcomes are equal to the bit."""
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
        for x, y in zip(a, b, strict=True)
    )


def file_of(model):
    """The bytes that a file of a model has."""
    return to_bytes(model, SOURCE)


def read(data):
    """Load a model from bytes, as from a file."""
    return from_bytes(bytes(data), SOURCE)


def header_and_data(data):
    """Header and the rest of a file, without its checksum."""
    end = 8 + int.from_bytes(data[:8], "little")
    return data[8:end], data[end:-32]


def sealed(header, data):
    """A file with a right checksum."""
    body = len(header).to_bytes(8, "little") + header + data
    return body + hashlib.sha256(body).digest()


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Parts:
    """A file taken apart: what an edit may change before it is put together again."""

    metadata: dict
    content: object
    tensors: dict  # of (dtype, shape, bytes)
    table: dict = field(default_factory=dict)  # entries that replace what would be right

    @classmethod
    def of(cls, data):
        raw, data = header_and_data(data)
        header = json.loads(raw)
        metadata = header.pop("__metadata__")
        header.pop("sha256")
        tensors = {
            name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()
        }
        return cls(metadata, json.loads(metadata.pop("content")), tensors)

    def header(self):
        header = {"__metadata__": {**self.metadata, "content": canonical(self.content)}}
        end = 0
        for name, (dtype, shape, raw) in [
            *self.tensors.items(),
            ("sha256", ("U8", [32], bytes(32))),
        ]:
            offsets = [end, end + len(raw)]
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
            end = offsets[1]
        for name, entry in self.table.items():
            header[name] = {**header.get(name, {}), **entry}
        return header

    def join(self):
        header = canonical(self.header()).encode("utf-8", "surrogatepass")
        header += b" " * (-len(header) % 8)
        return sealed(header, b"".join(raw for _, _, raw in self.tensors.values()))


def places(content, found=None, path=()):
    """Paths to everything within JSON."""
    found = [] if found is None else found
    found.append(path)
    items = content.items() if isinstance(content, dict) else enumerate(content)
    if isinstance(content, (dict, list)):
        for key, value in items:
            places(value, found, (*path, key)) if isinstance(value, (dict, list)) else found.append(
                (*path, key)
            )
    return found


def at(content, path):
    for key in path:
        content = content[key]
    return content


def put(content, path, value):
    at(content, path[:-1])[path[-1]] = value


def find(content, key):
    """The path to the value of a key within JSON, or of a pair in a dict; "a.b" is b within a."""
    start = ()
    for name in key.split("."):
        start += _find(at(content, start), name)
    return start


def _find(content, key):
    for path in sorted(places(content), key=len):
        if path and path[-1] == key:
            return path
        part = at(content, path)
        if isinstance(part, list) and len(part) == 2 and part[0] == key:
            return (*path, 1)
    raise KeyError(key)
