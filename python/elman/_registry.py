"""What may stand in a model file: a fixed table of classes, and what each may hold.

A class is told by what is kept of its objects and a `Rule` for each part; what the parts must be
together is a function beside it. To register one is to add a line to `_KINDS`. The functions there
import what they need when a file names it, so that a service loads what its model consists of.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from elman import _fleet_kinds, _forecast_kinds, _imputer_kinds, _panel_kinds, _scalar_kinds
from elman._exceptions import abbreviated
from elman._kinds import (
    DICT,
    FLAG,
    LABELS,
    OUTPUT,
    TEXT,
    EstimatorKind,
    array,
    check_sorted,
    dataclass_kind,
    expect,
    instance,
    integer,
)
from elman._network_kinds import model, seq2seq_model, training_state
from elman._parameters import Rule, number, one_of, or_none
from elman._plain import Kind, Mismatch


def _random_state() -> Kind:
    def take(generator: np.random.RandomState) -> dict[str, Any]:
        state: Any = generator.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            got = f"a RandomState of {state['bit_generator']}"
            raise Mismatch("", got, "one of MT19937, as numpy.random.RandomState(seed) makes it")
        return {
            "key": state["state"]["key"],
            "position": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        }

    def make(values: dict[str, Any]) -> np.random.RandomState:
        names = ("key", "position", "has_gauss", "gauss")
        generator = np.random.RandomState(0)
        generator.set_state(("MT19937", *(values[name] for name in names)))
        return generator

    rules = {
        "key": Rule(
            lambda value: array("uint32").passes(value) and len(value) == 624,
            "624 integers of 32 bits",
        ),
        "position": integer(0, 624),
        "has_gauss": integer(0, 1),
        "gauss": Rule(lambda value: type(value) is float and math.isfinite(value), "a number"),
    }
    return Kind(np.random.RandomState, rules, take, make)


def _input_form() -> Kind:
    from elman._sequences import InputForm

    def check(form: Any) -> None:
        n, n_channels, n_tokens = form.n_features, form.n_channels, form.n_tokens
        if form.layout != "table":
            expect("n_features", n, n_channels)
        elif n % n_channels:
            raise Mismatch("n_features", str(n), f"a multiple of {n_channels}")
        if form.layout == "tokens":
            expect("n_channels", n_channels, 1)
        if form.layout == "features":
            expect("n_tokens", n_tokens, n)
        if (n_tokens > 0) != (form.layout in ("tokens", "features")):
            raise Mismatch("n_tokens", str(n_tokens), f"what goes with {form.layout!r}")
        if form.feature_names is not None:
            expect("feature_names", len(form.feature_names), n)

    return dataclass_kind(
        InputForm,
        check=check,
        layout=one_of("sequences", "table", "vector", "tokens", "features"),
        n_features=integer(1),
        n_channels=integer(1),
        dtype=Rule(_is_float_dtype, "float32 or float64"),
        shape=TEXT,
        feature_names=or_none(Rule(_are_names, "an array of strings")),
        n_tokens=integer(0, 2**31 - 1),
    )


def _is_float_dtype(value: Any) -> bool:
    return isinstance(value, np.dtype) and value.name in ("float32", "float64")


def _are_names(value: Any) -> bool:
    return array("O", "U").passes(value) and all(isinstance(name, str) for name in value.tolist())


def _target_form() -> Kind:
    from elman._targets import TargetForm

    return dataclass_kind(
        TargetForm, per_step=FLAG, is_list=FLAG, has_output_axis=FLAG, n_outputs=integer(1)
    )


def _check_units(task: Any) -> None:
    expect("scale", task.scale.shape, task.mean.shape)
    if not len(task.mean) or not (task.scale > 0).all():
        raise Mismatch("scale", abbreviated(task.scale), "one or more positive numbers")


def _regression_task() -> Kind:
    from elman._regression import LOSSES, RegressionTask

    return dataclass_kind(
        RegressionTask,
        check=_check_units,
        name=one_of(*LOSSES),
        loss_parameter=number(0),
        mean=array("float64"),
        scale=array("float64"),
    )


def _values_task() -> Kind:
    from elman._seq2seq_regressor import ValuesTask

    return dataclass_kind(
        ValuesTask,
        check=_check_units,
        mean=array("float64"),
        scale=array("float64"),
        may_stop=FLAG,
    )


def _classification_task() -> Kind:
    from elman._classification import ClassificationTask

    def check(task: Any) -> None:
        check_sorted("classes", task.classes)
        if not len(task.classes) or (task.kind == "binary" and len(task.classes) != 2):
            raise Mismatch("classes", f"{len(task.classes)} of them", f"those of {task.kind!r}")

    return dataclass_kind(
        ClassificationTask,
        check=check,
        kind=one_of("binary", "multiclass", "multilabel"),
        classes=array(*LABELS),
    )


def _vocabulary() -> Kind:
    from elman._vocabulary import Vocabulary

    return dataclass_kind(
        Vocabulary,
        check=lambda words: check_sorted("tokens", words.tokens),
        tokens=array("i", "U"),
        kind=one_of("text", "list", "array"),
    )


def _tokens_task() -> Kind:
    from elman._seq2seq_translator import TokensTask
    from elman._vocabulary import Vocabulary

    return dataclass_kind(
        TokensTask, source=or_none(instance(Vocabulary)), target=instance(Vocabulary)
    )


def _network_estimator(cls: Any, model: type, task: type) -> EstimatorKind:
    def check(state: dict[str, Any]) -> None:
        if not isinstance(state["model"].task, task):
            raise Mismatch("model.task", f"{type(state['model'].task).__name__}", task.__name__)

    return EstimatorKind(
        cls,
        cls._rules,
        {"model": instance(model)},
        {"model": "_model"},
        lambda estimator: estimator._attributes(estimator._model),
        check,
    )


def _regressor() -> EstimatorKind:
    from elman._model import Model
    from elman._regression import RegressionTask
    from elman._regressor import RNNRegressor

    return _network_estimator(RNNRegressor, Model, RegressionTask)


def _classifier() -> EstimatorKind:
    from elman._classification import ClassificationTask
    from elman._classifier import RNNClassifier
    from elman._model import Model

    return _network_estimator(RNNClassifier, Model, ClassificationTask)


def _seq2seq_regressor() -> EstimatorKind:
    from elman._seq2seq import Seq2SeqModel
    from elman._seq2seq_regressor import Seq2SeqRegressor, ValuesTask

    return _network_estimator(Seq2SeqRegressor, Seq2SeqModel, ValuesTask)


def _seq2seq_translator() -> EstimatorKind:
    from elman._seq2seq import Seq2SeqModel
    from elman._seq2seq_translator import Seq2SeqTranslator, TokensTask

    return _network_estimator(Seq2SeqTranslator, Seq2SeqModel, TokensTask)


def _scaler() -> EstimatorKind:
    from elman._scaler import SequenceScaler
    from elman._sequences import InputForm

    def check(state: dict[str, Any]) -> None:
        n_channels = state["form"].n_channels
        for name in ("center", "scale"):
            if state[name] is not None:
                expect(name, state[name].shape, (n_channels,))
        if (state["scale"] is None) != (state["center"] is None):
            raise Mismatch("scale", "center or scale alone", "both or none of them")
        if state["scale"] is not None and not (state["scale"] > 0).all():
            raise Mismatch("scale", abbreviated(state["scale"]), "positive numbers")

    def derived(estimator: Any) -> dict[str, Any]:
        form = estimator._form
        names = {} if form.feature_names is None else {"feature_names_in_": form.feature_names}
        return {"n_features_in_": form.n_features, **names}

    return EstimatorKind(
        SequenceScaler,
        SequenceScaler._rules,
        {
            "form": instance(InputForm),
            "center": or_none(array("float64")),
            "scale": or_none(array("float64")),
            "output": or_none(OUTPUT),
        },
        {
            "form": "_form",
            "center": "center_",
            "scale": "scale_",
            "output": "_sklearn_output_config",
        },
        derived,
        check,
    )


def _window() -> EstimatorKind:
    from elman._window import SlidingWindow

    return EstimatorKind(
        SlidingWindow,
        SlidingWindow._rules,
        {"n_features": integer(1)},
        {"n_features": "n_features_in_"},
    )


def _sequencer() -> EstimatorKind:
    from elman._sequencer import RULES, TokenSequencer

    def check(state: dict[str, Any]) -> None:
        numbers = state["vocabulary"]
        if not numbers or not all(isinstance(token, str) for token in numbers):
            raise Mismatch("vocabulary", abbreviated(list(numbers)), "strings, one or more")
        if not all(type(number) is int for number in numbers.values()):
            raise Mismatch("vocabulary", abbreviated(numbers), "numbers of tokens")
        if list(numbers.values()) != list(range(len(numbers))):
            expected = "the tokens in the order of their numbers"
            raise Mismatch("vocabulary", abbreviated(numbers), expected)

    return EstimatorKind(
        TokenSequencer,
        RULES,
        {"vocabulary": DICT},
        {"vocabulary": "vocabulary_"},
        check=check,
    )


def _count_ratio_encoder() -> EstimatorKind:
    from elman._count_ratios import _RULES, CountRatioEncoder

    def check(state: dict[str, Any]) -> None:
        n_classes, codes = len(state["classes"]), state["codes"]
        check_sorted("classes", state["classes"])
        check_sorted("codes", codes)
        if n_classes < 2 or not len(codes) or codes[0] < 0:
            raise Mismatch("codes", abbreviated(codes), "those of tokens of two classes or more")
        n_columns = 1 if n_classes == 2 else n_classes
        expect("ratios", state["ratios"].shape, (len(codes), n_columns))

    return EstimatorKind(
        CountRatioEncoder,
        _RULES,
        {
            "classes": array(*LABELS),
            "n_tokens": integer(1, 2**31 - 1),
            "codes": array("int64"),
            "ratios": array("float64", n_axes=2),
        },
        {
            "classes": "classes_",
            "n_tokens": "n_tokens_",
            "codes": "_codes",
            "ratios": "_all_ratios",
        },
        check=check,
    )


def _hidden_states() -> EstimatorKind:
    from elman._hidden_states_kind import hidden_state_transformer

    return hidden_state_transformer()


def _fit_progress() -> Kind:
    from elman._checkpoint import FitProgress
    from elman._training import TrainingState

    def check(progress: Any) -> None:
        state, best = progress.state, progress.best_parameters
        if not state.parameters.size or state.solver_state is None or not state.n_iter:
            raise Mismatch("state", "no parameters, moments or epochs", "all of them")
        if best is not None:
            expect("best_parameters", best.shape, state.parameters.shape)
        if not integer(1).passes(progress.parameters.get("max_iter")):
            raise Mismatch("parameters.max_iter", "no number", "a number of epochs")

    return dataclass_kind(
        FitProgress,
        check=check,
        estimator=TEXT,
        parameters=DICT,
        data=DICT,
        generator=instance(np.random.RandomState),
        state=instance(TrainingState),
        best_parameters=or_none(array("f")),
        is_over=FLAG,
    )


_ESTIMATORS: dict[str, Callable[[], EstimatorKind]] = {
    "CountRatioEncoder": _count_ratio_encoder,
    "HiddenStateTransformer": _hidden_states,
    "LinearForecaster": _forecast_kinds.linear_forecaster,
    "NaiveForecaster": _forecast_kinds.naive_forecaster,
    "RNNClassifier": _classifier,
    "RNNForecaster": _forecast_kinds.rnn_forecaster,
    "RNNImputer": _imputer_kinds.rnn_imputer,
    "RNNRegressor": _regressor,
    "Seq2SeqRegressor": _seq2seq_regressor,
    "Seq2SeqTranslator": _seq2seq_translator,
    "SequenceScaler": _scaler,
    "SlidingWindow": _window,
    "TokenSequencer": _sequencer,
}

_OTHERS: dict[str, Callable[[], Kind]] = {
    "Brits": _imputer_kinds.brits,
    "Calendar": _imputer_kinds.calendar,
    "Calibration": _panel_kinds.calibration,
    "ClassificationTask": _classification_task,
    "Columns": _panel_kinds.columns,
    "FitProgress": _fit_progress,
    "Fleet": _fleet_kinds.fleet,
    "ForecastModel": _forecast_kinds.forecast_model,
    "Frequency": _panel_kinds.frequency,
    "GapShapes": _imputer_kinds.gap_shapes,
    "ImputationModel": _imputer_kinds.imputation_model,
    "InputForm": _input_form,
    "Interval": _scalar_kinds.interval,
    "Mixture": _imputer_kinds.mixture,
    "Model": model,
    "ModelStack": _fleet_kinds.model_stack,
    "Panel": _panel_kinds.panel,
    "PanelForm": _panel_kinds.panel_form,
    "Plan": _forecast_kinds.plan,
    "RandomState": _random_state,
    "RegressionFill": _imputer_kinds.regression_fill,
    "RegressionTask": _regression_task,
    "Scaling": _forecast_kinds.scaling,
    "Seq2SeqModel": seq2seq_model,
    "SeriesReader": _forecast_kinds.reader,
    "Spread": _imputer_kinds.spread,
    "TargetForm": _target_form,
    "Timestamp": _scalar_kinds.timestamp,
    "TokensTask": _tokens_task,
    "TrainingState": training_state,
    "UUID": _scalar_kinds.unique_id,
    "ValuesTask": _values_task,
    "Vocabulary": _vocabulary,
    "date": _scalar_kinds.date,
}

ESTIMATORS = tuple(_ESTIMATORS)
WHOLE = (*ESTIMATORS, "Fleet")
"""What may be a file's whole content."""


@functools.cache
def _estimator(name: str) -> EstimatorKind:
    return _ESTIMATORS[name]()


@functools.cache
def _kind(name: str) -> Kind:
    return _estimator(name).kind() if name in _ESTIMATORS else _OTHERS[name]()


def kind_named(name: str) -> Kind | None:
    """Return the kind of a name, if there is one."""
    return _kind(name) if name in _ESTIMATORS or name in _OTHERS else None


def kind_of(cls: type) -> tuple[str, Kind] | None:
    """Return name and kind of a class, if it is in the table."""
    kind = kind_named(cls.__name__)
    return (cls.__name__, kind) if kind is not None and kind.cls is cls else None


def estimator_kind(cls: type) -> EstimatorKind | None:
    """Return how an estimator, or one that is derived from it, is kept."""
    for base in cls.__mro__:
        if base.__name__ in _ESTIMATORS and _estimator(base.__name__).cls is base:
            return _estimator(base.__name__)
    return None
