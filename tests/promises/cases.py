"""What elman promises under bad input, case by case.

A case is what is wrong, the methods that see it, the exception, and what its message says. The
good data are X (12, 5, 2), y (12,) or labels of two classes; ``change`` makes the bad call of them.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy.sparse

N, T, C = 12, 5, 2
FORM = r"^RNN(Regressor|Classifier)\.\w+: "


def good_X():
    return np.random.default_rng(0).normal(size=(N, T, C))


def with_value(value):
    X = good_X()
    X[3, 1, 1] = value
    return X


@dataclass(frozen=True)
class Case:
    number: int
    what: str
    change: dict  # arguments of the call that are bad, by name
    error: type
    message: str
    methods: tuple = ("fit",)
    estimators: tuple = ("regressor", "classifier")
    parameters: dict = field(default_factory=dict)
    has_form: bool = True  # scikit-learn's checks look for their own text otherwise

    @property
    def pattern(self):
        return (FORM if self.has_form else "") + f"(?s:.*){self.message}"


ALL = ("fit", "partial_fit", "predict", "score")
FITS = ("fit", "partial_fit")
REGRESSOR, CLASSIFIER = ("regressor",), ("classifier",)


def bad_X(number, what, X, error, message, methods=ALL, **options):
    return Case(number, what, {"X": X}, error, message, methods, **options)


def ragged(*shapes):
    return [np.ones(shape) for shape in shapes]


X_CASES = [
    bad_X(1, "None", None, ValueError, "X got None"),
    bad_X(1, "a number", 3.0, ValueError, "X got a float.*0-D"),
    bad_X(1, "a string", "abc", ValueError, "X got a str"),
    bad_X(1, "bytes", b"abc", ValueError, "X got a bytes"),
    bad_X(2, "one dimension", np.zeros(N), ValueError, "X .*Reshape your data"),
    bad_X(3, "four dimensions", np.zeros((N, T, C, 1)), ValueError, r"X .*\(12, 5, 2, 1\)"),
    bad_X(
        3,
        "a table after sequences",
        np.zeros((N, T * C)),
        ValueError,
        r"X .*\(12, 10\).*\(12, 5, 2\)",
        ("predict", "score", "continue"),
    ),
    bad_X(4, "no samples", np.zeros((0, T, C)), ValueError, r"X got 0 sample\(s\)"),
    bad_X(5, "no steps", np.zeros((N, 0, C)), ValueError, r"X got 0 time steps at samples \[0, 1"),
    bad_X(
        5,
        "one sequence without steps",
        ragged(*[(3, C)] * 11, (0, C)),
        ValueError,
        r"X got 0 time steps at samples \[11\]",
    ),
    bad_X(
        6,
        "no channels",
        np.zeros((N, T, 0)),
        ValueError,
        r"X got 0 feature\(s\) \(shape=\(12, 5, 0\)\) while a minimum of 1 is required\.",
    ),
    bad_X(
        7,
        "NaN inside a sequence",
        with_value(np.nan),
        ValueError,
        r"X got 1 value of NaN.*\(sample 3, step 1, channel 1\)",
    ),
    bad_X(
        7,
        "NaN in a table",
        with_value(np.nan).reshape(N, T * C),
        ValueError,
        r"X got 1 value of NaN.*\(sample 3, column 3\)",
        ("fit",),
    ),
    bad_X(8, "infinity", with_value(np.inf), ValueError, r"X .*infinity.*\(sample 3, step 1"),
    bad_X(8, "minus infinity", with_value(-np.inf), ValueError, "X .*infinity"),
    bad_X(12, "complex", good_X().astype(complex), ValueError, "X .*Complex data not supported"),
    bad_X(
        13,
        "strings in an object array",
        np.array([["a", "b"]] * N, dtype=object),
        ValueError,
        "X .*could not convert",
    ),
    bad_X(
        13,
        "dicts in an object array",
        np.array([[{}] * 3] * N, dtype=object),
        TypeError,
        "X .*argument must be .* string .* number",
    ),
    bad_X(14, "dates", np.zeros((N, T), "datetime64[s]"), TypeError, r"X .*datetime64.*astype"),
    bad_X(14, "raw memory", np.zeros((N, T), "V4"), TypeError, r"X .*V4.*astype"),
    bad_X(14, "byte strings", np.zeros((N, T), "S3"), TypeError, r"X .*S3.*astype"),
    bad_X(14, "records", np.zeros(N, "f8,i4"), TypeError, "X .*dtype"),
    bad_X(15, "a sparse matrix", scipy.sparse.csr_matrix((N, T)), TypeError, "X .*sparse"),
    bad_X(15, "a sparse array", scipy.sparse.csr_array((N, T)), TypeError, "X .*sparse"),
    bad_X(
        16,
        "masked values",
        np.ma.masked_array(good_X(), good_X() > 1),
        ValueError,
        "X got .* masked values",
    ),
    bad_X(20, "np.matrix", np.asmatrix(np.ones((N, T))), TypeError, "X got np.matrix"),
    bad_X(
        23,
        "another number of channels within a list",
        ragged(*[(3, C)] * 11, (3, 4)),
        ValueError,
        r"X\[11\] got shape \(3, 4\)",
    ),
    bad_X(
        23,
        "one and two dimensions within a list",
        [*ragged(*[(3, C)] * 11), np.ones(3)],
        ValueError,
        r"X\[11\] got shape \(3,\)",
    ),
    bad_X(24, "a dict", {"a": 1}, TypeError, "X got a dict"),
    bad_X(24, "a set", {1, 2}, TypeError, "X got a set"),
    bad_X(24, "a generator", (x for x in ()), TypeError, "X got a generator"),
    bad_X(
        56,
        "another number of channels than in fit",
        np.zeros((N, T, 3)),
        ValueError,
        "X has 3 features, but RNN.* is expecting 2 features as input",
        ("predict", "score", "continue"),
    ),
    bad_X(
        58,
        "a column name twice",
        pd.DataFrame(np.ones((N, 3)), columns=["a", "a", "b"]),
        ValueError,
        "X got the column name 'a' more than once",
        ("fit",),
    ),
    bad_X(
        58,
        "column names of several types",
        pd.DataFrame(np.ones((N, 2)), columns=["a", 1]),
        TypeError,
        "Feature names are only supported if all input features have string names",
        ("fit",),
        has_form=False,
    ),
    bad_X(
        58,
        "a categorical column",
        pd.DataFrame({"a": pd.Categorical(["u"] * N)}),
        TypeError,
        "X .*category.*encode",
        ("fit",),
    ),
    bad_X(
        58,
        "a missing integer",
        pd.DataFrame({"a": pd.array([1] * 11 + [None], dtype="Int64")}),
        ValueError,
        r"X got 1 value of NaN.*\(sample 11, column 0\)",
        ("fit",),
    ),
]


def y_with(value):
    y = np.arange(float(N))
    y[3] = value
    return y


def bad_y(number, what, y, error, message, methods=FITS, **options):
    return Case(number, what, {"y": y}, error, message, methods, **options)


Y_CASES = [
    bad_y(37, "None", None, ValueError, "requires y to be passed, but the target y is None"),
    bad_y(38, "another number of samples", [0, 1, 0], ValueError, "y got 3 samples.*12"),
    bad_y(39, "NaN", y_with(np.nan), ValueError, "y .*NaN.*row 3", estimators=REGRESSOR),
    bad_y(39, "infinity", y_with(np.inf), ValueError, "y .*infinity.*row 3", estimators=REGRESSOR),
    bad_y(39, "NaN", y_with(np.nan), ValueError, "y .*NaN", estimators=CLASSIFIER),
    bad_y(39, "complex", y_with(0) + 1j, ValueError, "y .*Complex", estimators=REGRESSOR),
    bad_y(
        39,
        "strings",
        np.array(["a"] * N, dtype=object),
        ValueError,
        "y .*could not convert",
        estimators=REGRESSOR,
    ),
    bad_y(
        41,
        "targets for another number of steps",
        np.zeros((N, T - 1, 1), int),
        ValueError,
        r"y got shape \(12, 4, 1\), expected \(12,\).*\(12, 5, n_outputs\)",
        ("fit",),
    ),
    bad_y(41, "four dimensions", np.zeros((N, 1, 1, 1), int), ValueError, r"y got shape", ("fit",)),
    Case(
        42,
        "targets for another number of steps within a list",
        {"X": ragged((3, C), (4, C)), "y": [np.zeros(3, int), np.zeros(5, int)]},
        ValueError,
        r"y\[1\] got 5 time steps, expected 4",
    ),
    bad_y(
        43,
        "continuous labels",
        np.linspace(0, 1, N),
        ValueError,
        "Unknown label type",
        ("fit",),
        estimators=CLASSIFIER,
    ),
    bad_y(
        44,
        "a label that the first call did not name",
        [5] * N,
        ValueError,
        r"y got the labels \[5\].*classes",
        ("partial_fit",),
        estimators=CLASSIFIER,
    ),
]


def bad_weight(number, what, weight, message):
    return Case(number, what, {"sample_weight": weight}, ValueError, message, FITS)


WEIGHT_CASES = [
    bad_weight(46, "another number", np.ones(5), r"sample_weight got shape \(5,\).*\(12,\)"),
    bad_weight(46, "two dimensions", np.ones((N, 1)), r"sample_weight got shape \(12, 1\)"),
    bad_weight(46, "three dimensions", np.ones((N, 1, 1)), "sample_weight got shape"),
    bad_weight(47, "NaN", y_with(np.nan), "sample_weight .*NaN.*index 3"),
    bad_weight(47, "infinity", y_with(np.inf), "sample_weight .*infinity.*index 3"),
    bad_weight(48, "a negative weight", y_with(-1), "sample_weight .*negative.*index 3"),
    bad_weight(49, "all zero", np.zeros(N), "sample_weight .*zero"),
    Case(
        50,
        "zero in the whole validation part",
        {"sample_weight": np.r_[np.ones(9), np.zeros(3)]},
        ValueError,
        "sample_weight .*zero in the validation split",
        parameters={
            "early_stopping": True,
            "validation_split": "last",
            "validation_fraction": 0.25,
        },
    ),
    Case(
        52,
        "a weight for a class that is not there",
        {},
        ValueError,
        r"class_weight got the classes \[7\]",
        estimators=CLASSIFIER,
        parameters={"class_weight": {7: 1.0}},
    ),
    Case(
        52,
        "a negative weight of a class",
        {},
        ValueError,
        "class_weight got -1.0 for class 0",
        estimators=CLASSIFIER,
        parameters={"class_weight": {0: -1.0, 1: 1.0}},
    ),
]


def bad_parameter(number, name, value, message="", estimators=("regressor", "classifier")):
    return Case(
        number,
        f"{name}={value!r}",
        {},
        ValueError,
        f"{name} got .*expected {message}",
        FITS,
        estimators,
        {name: value},
    )


PARAMETER_CASES = [
    bad_parameter(31, "cell", "transformer", "one of 'simple', 'gru', 'lstm'"),
    bad_parameter(31, "cell", 3),
    bad_parameter(31, "hidden_layer_sizes", 0),
    bad_parameter(31, "hidden_layer_sizes", (8, -1)),
    bad_parameter(31, "hidden_layer_sizes", 1.5),
    bad_parameter(31, "hidden_layer_sizes", "8"),
    bad_parameter(31, "hidden_layer_sizes", ()),
    bad_parameter(31, "hidden_layer_sizes", True),
    bad_parameter(31, "activation", "selu"),
    bad_parameter(31, "bidirectional", (True, False)),
    bad_parameter(31, "n_channels", 0),
    bad_parameter(31, "solver", "adagrad"),
    bad_parameter(31, "alpha", -1.0),
    bad_parameter(31, "alpha", np.nan),
    bad_parameter(31, "batch_size", 0),
    bad_parameter(31, "batch_size", "all"),
    bad_parameter(31, "learning_rate", "linear"),
    bad_parameter(31, "learning_rate_init", 0),
    bad_parameter(31, "learning_rate_init", np.inf),
    bad_parameter(31, "max_iter", 0),
    bad_parameter(31, "max_iter", 1.5),
    bad_parameter(31, "max_iter", True),
    bad_parameter(31, "tol", -1),
    bad_parameter(31, "momentum", 1.1),
    bad_parameter(31, "beta_1", 1.0),
    bad_parameter(31, "epsilon", 0),
    bad_parameter(31, "clip_norm", 0),
    bad_parameter(31, "dropout", 1.0),
    bad_parameter(31, "recurrent_dropout", -0.1),
    bad_parameter(31, "bptt_steps", 0),
    bad_parameter(31, "bptt_memory", "half"),
    bad_parameter(31, "loss_steps", -1),
    bad_parameter(31, "validation_fraction", 1.0),
    bad_parameter(31, "validation_split", "first"),
    bad_parameter(31, "n_iter_no_change", 0),
    bad_parameter(31, "shuffle", "yes"),
    bad_parameter(31, "head", "mlp"),
    bad_parameter(31, "loss", "hinge"),
    bad_parameter(31, "quantile", 1.0, estimators=REGRESSOR),
    bad_parameter(31, "huber_delta", 0, estimators=REGRESSOR),
    bad_parameter(32, "n_jobs", 0),
    bad_parameter(36, "random_state", "seed"),
    Case(
        64,
        "too few samples to stop early",
        {"X": np.ones((2, T, C)), "y": [0, 1]},
        ValueError,
        "validation_fraction .*early_stopping",
        parameters={"early_stopping": True},
    ),
    Case(
        34,
        "partial_fit of another size than was fitted",
        {},
        ValueError,
        r"hidden_layer_sizes got \[9\], expected \[3\]",
        ("continue",),
        parameters={"hidden_layer_sizes": (9,)},
    ),
]

CASES = [*X_CASES, *Y_CASES, *WEIGHT_CASES, *PARAMETER_CASES]
