"""What elman promises about forged files of forecasters and imputers: cases 103-107."""

import numpy as np
from promises.file_cases import CORRUPT, NEWER, edit, value

HOURS = "linear forecaster of hours"
MONTHS = "naive forecaster of months"
NAIVE, LINEAR, NETWORK = "naive forecaster", "linear forecaster", "recurrent forecaster"
LOCAL, BESIDE = "recurrent forecaster of months", "recurrent forecaster of hours"
IMPUTER, BRITS, DATES = "imputer", "imputer by BRITS", "imputer of hours"

# Key, new value, error, what the message says, model.
VALUES = [
    # The calendar.
    (104, "zone", "../../etc/passwd", CORRUPT, "zone got .* the name of a time zone", HOURS),
    (104, "zone", "/etc/passwd", CORRUPT, "zone got .* the name of a time zone", HOURS),
    (104, "zone", "dateutil//etc/passwd", CORRUPT, "zone got .* the name of a time zone", HOURS),
    (103, "zone", "tzlocal()", CORRUPT, "zone got .* the name of a time zone", HOURS),
    (106, "zone", "Mars/Phobos", CORRUPT, "got what makes no Panel", HOURS),
    (106, "zone", "Europe/Berlin", CORRUPT, "zone got .* but of dates", MONTHS),
    (106, "code", "-1h", CORRUPT, "code got '-1h', expected a step of pandas that goes on", HOURS),
    (106, "code", "0h", CORRUPT, "code got '0h', expected a step of pandas that goes on", HOURS),
    (103, "code", "os.system", CORRUPT, "got what makes no Frequency", HOURS),
    (106, "code", "9" * 30 + "D", CORRUPT, "got what makes no Frequency", HOURS),
    (106, "code", "0", CORRUPT, "code got '0', expected an integer of at least 1", NAIVE),
    (106, "unit", "ns", CORRUPT, "unit got 'ns', expected that of dates", MONTHS),
    (106, "unit", None, CORRUPT, "unit got None, expected that of dates", HOURS),
    (103, "kind", "lunar", NEWER, "kind got 'lunar', which is unknown", HOURS),
    (106, "kind", "period", CORRUPT, "zone got", HOURS),
    # The form of y.
    (103, "layout", "cube", NEWER, "layout got 'cube', which is unknown", NAIVE),
    (106, "layout", "list", CORRUPT, "frequency got", HOURS),
    (106, "layout", "series", CORRUPT, "names got 2 of them, expected one", HOURS),
    (106, "library", "polars", CORRUPT, "library got polars", NAIVE),
    (106, "names", {"tuple": ["a", "a"]}, CORRUPT, "names got .* each of them once", MONTHS),
    (106, "names", {"tuple": ["a"]}, CORRUPT, "offsets got .* those of 1 series", MONTHS),
    (106, "names", {"tuple": [[], "b"]}, CORRUPT, "names got", MONTHS),
    (106, "PanelForm.columns", {"tuple": ["a"]}, CORRUPT, "a tuple of 3 names", MONTHS),
    (106, "is_flat", True, CORRUPT, "names got 2 of them, expected one", NAIVE),
    (106, "has_time_column", True, CORRUPT, "layout got 'long'", MONTHS),
    (106, "covariates", None, CORRUPT, "expected both or none", HOURS),
    (106, "Columns.names", {"tuple": ["day", "day"]}, CORRUPT, "each of them once", HOURS),
    (106, "categories", {"dict": [["night", {"tuple": []}]]}, CORRUPT, "by the names", HOURS),
    (106, "categories", {"dict": [["day", {"tuple": []}]]}, CORRUPT, "0 categories", HOURS),
    (106, "names", {"tuple": [{"date": {"day": "x"}}]}, CORRUPT, "makes no date", MONTHS),
    (106, "names", {"tuple": [{"UUID": {"hex": "x"}}]}, CORRUPT, "makes no UUID", MONTHS),
    (
        *(106, "names", {"tuple": [{"Interval": {"left": 2, "right": 1, "closed": "left"}}]}),
        *(CORRUPT, "makes no Interval", MONTHS),
    ),
    (
        *(106, "names", {"tuple": [{"Timestamp": {"number": 1, "unit": "s", "zone": "/etc"}}]}),
        *(CORRUPT, "zone got '/etc'", MONTHS),
    ),
    # The history.
    (106, "may_miss", {"array": "panel.offsets"}, CORRUPT, "infinity, or no floats", NAIVE),
    (106, "may_miss", {"empty": ["float64", [0]]}, CORRUPT, "offsets got .* of 2 series", NAIVE),
    (106, "may_miss", 3, CORRUPT, "infinity, or no floats", NAIVE),
    (106, "offsets", {"array": "panel.starts"}, CORRUPT, "used once|of 2 series", NAIVE),
    (106, "season_lengths", {"tuple": []}, CORRUPT, r"season_lengths got \(\)", NAIVE),
    (106, "season_lengths", {"tuple": [0]}, CORRUPT, r"season_lengths got \(0,\)", NAIVE),
    (106, "calibrations", {"dict": [[3, None]]}, CORRUPT, "errors by horizon", MONTHS),
    # What a model is.
    (106, "window", 7, CORRUPT, r"coef got \(3, 6\), expected \(3, 7\)", LINEAR),
    (106, "n_categories", {"tuple": [0, 3]}, CORRUPT, "scaling.n_categories got", HOURS),
    (103, "transform", "os.system", NEWER, "transform got 'os.system', which is unknown", BESIDE),
    (103, "Plan.loss", "my.loss", NEWER, "loss got 'my.loss', which is unknown", NETWORK),
    (106, "Plan.loss", "absolute", CORRUPT, "levels got", NETWORK),
    (106, "levels", {"tuple": [0.5, 0.1]}, CORRUPT, "levels got", NETWORK),
    (106, "levels", {"tuple": [0.5]}, CORRUPT, "n_outputs got", NETWORK),
    (106, "Plan.window", 10**9, CORRUPT, "window got 1000000000", NETWORK),
    (106, "Plan.window", 13, CORRUPT, "window got 13, expected a multiple", BESIDE),
    (106, "Plan.horizon", 4, CORRUPT, "n_outputs got", NETWORK),
    (106, "Plan.candidates", {"tuple": [{"tuple": ["eval", 1]}]}, CORRUPT, "a season", BESIDE),
    (
        *(106, "Plan.candidates", {"tuple": [{"tuple": ["seasonal", 99]}]}, CORRUPT),
        *("candidates got 'seasonal' of 99, expected some that fit 24", BESIDE),
    ),
    (106, "n_identities", 1, CORRUPT, "n_channels got|n_identities got", BESIDE),
    (106, "past", {"tuple": []}, CORRUPT, "plan.covariate_mean got 2, expected 3", BESIDE),
    (106, "past", {"tuple": ["snow"]}, CORRUPT, "got what makes no RNNForecaster", BESIDE),
    (103, "SeriesReader.calendar", {"tuple": ["os"]}, CORRUPT, "calendar got", LOCAL),
    (106, "SeriesReader.calendar", {"tuple": []}, CORRUPT, "covariate_mean got 4", LOCAL),
    (106, "models", {"tuple": []}, CORRUPT, r"models got 0 of them, expected 1, or 2", BESIDE),
    (106, "weights", {"tuple": []}, CORRUPT, "weights got 0 networks", NETWORK),
    (106, "shortest_series", 0, CORRUPT, "shortest_series got 0", NETWORK),
    (103, "architecture.cell", "os:system", NEWER, "cell got 'os:system', which", NETWORK),
    (103, "architecture.cell", "os:system", NEWER, "cell got 'os:system', which", IMPUTER),
    (106, "architecture.dtype", "float64", CORRUPT, "weights got dtype float32", NETWORK),
    (106, "architecture.n_channels", 2**40, CORRUPT, "parameters or more", NETWORK),
    # What fills gaps.
    (106, "points", 0.9, CORRUPT, "expected shares that sum to one", IMPUTER),
    (106, "length", {"tuple": [3, 1]}, CORRUPT, "two integers that rise", IMPUTER),
    (106, "ImputationModel.window", 0, CORRUPT, "window got 0", IMPUTER),
    (106, "Mixture.n_channels", 3, CORRUPT, "architecture.n_channels got", IMPUTER),
    (106, "Brits.n_channels", 3, CORRUPT, "architecture.n_channels got 2, expected 3", BRITS),
    (106, "head_layer", 2**24, CORRUPT, "parameters or more", IMPUTER),
    (106, "head_inputs", False, CORRUPT, "head.0.W got shape", IMPUTER),
    (
        106,
        "ImputationModel.method",
        None,
        CORRUPT,
        "method got None, expected a Mixture or a Brits",
        IMPUTER,
    ),
    (106, "inputs.layout", "vector", CORRUPT, "expected that of series", IMPUTER),
    (106, "ImputationModel.season_length", 5, CORRUPT, "season_length got 5", IMPUTER),
    (106, "origin", "some day", CORRUPT, "got what makes no Calendar", DATES),
    (106, "gaps", {"dict": [["os", 1]]}, CORRUPT, "parameters.gaps got", IMPUTER),
]
for number, key, new, error, message, model in VALUES:
    value(number, f"{key} of the {model}, {str(new)[:30]}", key, new, error, message, model)


def numbers(number, what, tensor, change, message, model):
    """Add a case in which some numbers of a tensor are others."""

    @edit(number, what, CORRUPT, message, model)
    def _(parts):
        dtype, shape, raw = parts.tensors[tensor]
        array = np.frombuffer(raw, {"F64": "f8", "I64": "i8", "F32": "f4"}[dtype]).copy()
        change(array)
        parts.tensors[tensor] = (dtype, shape, array.tobytes())


def first(new):
    def change(array):
        array[0] = new

    return change


def last(new):
    def change(array):
        array[-1] = new

    return change


numbers(107, "infinity in a history", "panel.values", last(np.inf), "infinity", NAIVE)
numbers(107, "NaN in weights", "coef", last(np.nan), "NaN or infinity", LINEAR)
numbers(107, "infinity in errors", "calibrations.3.paths", last(np.inf), "infinity", NAIVE)
numbers(
    106, "a series that begins with a hole", "panel.values", first(np.nan), "begin with a", NAIVE
)
numbers(106, "series of none", "panel.offsets", last(0), "offsets got", NAIVE)
numbers(106, "an end before the beginning", "panel.offsets", first(9), "offsets got", NAIVE)
numbers(106, "another series", "panel.series", last(0), "series got", NAIVE)
numbers(106, "more training than history", "training_lengths", last(99), "of the history", NAIVE)
numbers(106, "training with nothing", "training_lengths", first(0), "of the history", NAIVE)
numbers(106, "no time", "panel.starts", first(-(2**63)), "starts got no time", HOURS)
numbers(106, "series that end apart", "panel.starts", last(0), "that end apart", NAIVE)
numbers(106, "a unit of nothing", "scaling.scale", first(0.0), "scale got .* positive", HOURS)
numbers(106, "a third category", "panel.covariates", last(2.0), "2 categories", HOURS)
numbers(106, "a factor of zero", "model.spread.factors", first(0.0), "positive numbers", IMPUTER)
numbers(106, "a channel without scale", "model.scale", first(0.0), "positive numbers", IMPUTER)
