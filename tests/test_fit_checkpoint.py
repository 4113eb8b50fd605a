"""A fit that is killed and called again ends with the bits of one that nobody killed."""

import copy
import os

import elman
import numpy as np
import pytest
from elman import (
    ModelCorruptError,
    RNNClassifier,
    RNNRegressor,
    Seq2SeqRegressor,
    Seq2SeqTranslator,
)
from elman._parameters import InvalidParameterError
from elman._training import Training
from fault_loops import killed_fits
from model_files import RAGGED, TOKENS, WORDS, X, Y, file_of
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LABELS = np.where(Y > 0, "up", "down")
HOLES = np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.1, np.nan, X)
HOLES[:, 0] = 0.0

FITS = {
    "dropout": (RNNRegressor, {"dropout": 0.2, "hidden_layer_sizes": (4, 3)}, (X, Y)),
    "early stopping": (
        RNNRegressor,
        {"early_stopping": True, "n_iter_no_change": 7, "tol": 0.05, "solver": "sgd"},
        (X.astype("f4"), Y),
    ),
    "an adaptive rate": (
        RNNRegressor,
        {"learning_rate": "adaptive", "solver": "sgd", "tol": 0.2},
        (X, Y),
    ),
    "a generator of one's own": (
        RNNRegressor,
        {"random_state": np.random.RandomState(7), "learning_rate": "invscaling"},
        (X, Y),
    ),
    "holes": (RNNRegressor, {"missing": "decay", "solver": "rmsprop"}, (HOLES, Y)),
    "labels": (RNNClassifier, {"learning_rate": "cosine", "solver": "nadam"}, (list(X), LABELS)),
    "tokens": (
        RNNClassifier,
        {"input": "tokens", "token_dropout": "rare", "embedding_dropout": 0.1, "embedding_dim": 4},
        (TOKENS, LABELS),
    ),
    "values": (Seq2SeqRegressor, {"teacher_forcing": (1.0, 0.3)}, (X, RAGGED)),
    "translations": (
        Seq2SeqTranslator,
        {"early_stopping": True, "target_token_dropout": 0.2, "embedding_dim": 3},
        (WORDS * 3, [word[::-1] for word in WORDS] * 3),
    ),
}


def model_of(name="dropout", **options):
    cls, own, _ = FITS[name]
    defaults = {"hidden_layer_sizes": (3,), "max_iter": 12, "random_state": 0, "batch_size": 7}
    return cls(**{**defaults, **copy.deepcopy(own), **options})


class Killed(Exception):
    pass


def fit_until(n_epochs, model, *data, **more):
    """Fit, and end in an exception before the epoch that follows."""
    real = Training._epoch

    def epoch(self, trainer, state, number):
        if number > n_epochs:
            raise Killed
        return real(self, trainer, state, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_epoch", epoch)
        with pytest.raises(Killed):
            model.fit(*data, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.safetensors"


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(("n_epochs", "every"), [(0, 1), (1, 1), (5, 2)])
def test_the_bits_are_those_of_a_quiet_fit(name, n_epochs, every, path):
    data = FITS[name][2]
    wanted = file_of(model_of(name).fit(*data)._model)
    options = {"checkpoint": path, "checkpoint_every": every}
    fit_until(n_epochs, model_of(name, **options), *data)
    assert path.exists() == (n_epochs >= every)
    assert file_of(model_of(name, **options).fit(*data)._model) == wanted
    assert file_of(model_of(name, **options).fit(*data)._model) == wanted


def test_epochs_that_were_written_are_not_made_again(path, monkeypatch):
    options = {"checkpoint": path, "checkpoint_every": 2}
    fit_until(5, model_of(**options), X, Y)
    epochs, real = [], Training._epoch

    def epoch(self, trainer, state, number):
        epochs.append(number)
        return real(self, trainer, state, number)

    monkeypatch.setattr(Training, "_epoch", epoch)
    model_of(**options).fit(X, Y)
    assert epochs == list(range(5, 13))
    with pytest.warns(ConvergenceWarning):
        model_of(**options).fit(X, Y)
    assert epochs == list(range(5, 13))


def test_a_fit_without_a_seed_goes_on_and_then_begins_anew(path):
    options = {"random_state": None, "checkpoint": path, "checkpoint_every": 1}
    fit_until(5, model_of(early_stopping=True, **options), X, Y)
    first = elman._files.read_value(path, elman._safetensors.Source("test", "path"))
    again = model_of(early_stopping=True, **options).fit(X, Y)
    assert again.loss_curve_[:5] == list(first.state.loss_curve)
    other = model_of(early_stopping=True, **options).fit(X, Y)
    assert other.loss_curve_[:5] != again.loss_curve_[:5]


def test_a_callers_generator_moves_on_as_it_would_have(path):
    quiet, killed = np.random.RandomState(3), np.random.RandomState(3)
    model_of(random_state=quiet).fit(X, Y)
    options = {"checkpoint": path, "checkpoint_every": 1}
    fit_until(5, model_of(random_state=killed, **options), X, Y)
    model_of(random_state=killed, **options).fit(X, Y)
    assert killed.randint(10**9) == quiet.randint(10**9)


def test_a_warm_start_goes_on_from_the_model_before(path):
    first = model_of().fit(X, Y)
    wanted = file_of(copy.deepcopy(first).set_params(warm_start=True).fit(X, Y)._model)
    options = {"warm_start": True, "checkpoint": path, "checkpoint_every": 1}
    fit_until(3, copy.deepcopy(first).set_params(**options), X, Y)
    assert file_of(copy.deepcopy(first).set_params(**options).fit(X, Y)._model) == wanted
    fit_until(3, copy.deepcopy(first).set_params(**options, alpha=1.0), X, Y)
    other = model_of(max_iter=3).fit(X, Y).set_params(max_iter=12, **options, alpha=1.0)
    with pytest.raises(ValueError, match="of a fit with another model before, expected the same"):
        other.fit(X, Y)


OTHERS = {
    "a parameter": ({"alpha": 0.5}, {}, r"a fit with alpha=0.0001, expected 0\.5 as now; remove"),
    "a seed": ({"random_state": 1}, {}, r"a fit with random_state=0, expected 1 as now"),
    "X": ({}, {"X": X + 1}, "a fit with another X, expected the same X as now; remove the file"),
    "the dtype of X": ({}, {"X": X.astype("f4")}, "a fit with another X"),
    "y": ({}, {"y": Y + 1}, "a fit with another y"),
    "weights": ({}, {"sample_weight": np.full(24, 2.0)}, "a fit with another sample_weight"),
    "groups": ({}, {"groups": np.arange(24)}, "a fit with another groups"),
    "validation data": ({}, {"X_val": X, "y_val": Y + 1}, "a fit with another validation data"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_fit_is_an_error_as_long_as_the_first_is_not_finished(what, path):
    options = {"early_stopping": True, "checkpoint": str(path), "checkpoint_every": 1}
    data = {"X": X, "y": Y}
    if what == "validation data":
        data |= {"X_val": X, "y_val": Y}
    fit_until(3, model_of(**options), **data)
    before = path.read_bytes()
    parameters, change, message = OTHERS[what]
    model = model_of(**{**options, **parameters})
    with pytest.raises(ValueError, match=f"fit: checkpoint got '.*fit.safetensors' of {message}"):
        model.fit(**{**data, **change})
    assert not hasattr(model, "_model")
    assert path.read_bytes() == before
    model_of(**options).fit(**data)
    wanted = model_of(**{**options, **parameters, "checkpoint": None}).fit(**{**data, **change})
    assert file_of(model.fit(**{**data, **change})._model) == file_of(wanted._model)


def test_another_estimator(path):
    options = {"checkpoint": path, "checkpoint_every": 1}
    fit_until(3, model_of("labels", **options), X, LABELS)
    with pytest.raises(ValueError, match="of a fit with a RNNClassifier, expected a RNNRegressor"):
        model_of(**options).fit(X, Y)


def test_what_never_changes_a_bit_may_differ(path):
    wanted = file_of(model_of().fit(X, Y)._model)
    fit_until(3, model_of(checkpoint=path, checkpoint_every=1), X, Y)
    model = model_of(checkpoint=os.fspath(path), checkpoint_every=5, n_jobs=1, verbose=True)
    assert file_of(model.fit(X, Y)._model) == wanted


def test_a_saved_model_or_damage_is_not_written_over(path):
    elman.save(model_of().fit(X, Y), path)
    saved = path.read_bytes()
    model = model_of(checkpoint=path)
    with pytest.raises(ValueError, match="a RNNRegressor that was saved, expected a name of its"):
        model.fit(X, Y)
    assert path.read_bytes() == saved
    path.write_bytes(saved[:-1])
    with pytest.raises(ModelCorruptError, match=r"fit: checkpoint '.*' got .*checksum"):
        model.fit(X, Y)
    path.unlink()
    model.fit(X, Y)
    with pytest.raises(ModelCorruptError, match="a file with a FitProgress, expected one with an"):
        elman.load(path)


def test_a_missing_folder_is_told_before_the_first_epoch(tmp_path):
    with pytest.raises(FileNotFoundError):
        fit_until(0, model_of(checkpoint=tmp_path / "nowhere" / "fit"), X, Y)


def test_a_disk_that_is_full_ends_the_fit_and_leaves_the_file(path, monkeypatch):
    options = {"checkpoint": path, "checkpoint_every": 1}
    wanted = file_of(model_of().fit(X, Y)._model)
    fit_until(3, model_of(**options), X, Y)
    before = path.read_bytes()
    model = model_of(**options)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        with pytest.raises(OSError, match="No space left on device") as error:
            model.fit(X, Y)
    assert error.value.filename == str(path)
    assert path.read_bytes() == before
    assert not hasattr(model, "_model")
    assert file_of(model.fit(X, Y)._model) == wanted


def _full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": 3}, "checkpoint got 3, expected None or a path of a file or folder"),
        ({"checkpoint_every": 0}, "checkpoint_every got 0, expected an integer of at least 1"),
        (
            {"checkpoint": "fit", "solver": "lbfgs"},
            "checkpoint got 'fit', expected None with solver",
        ),
    ],
)
def test_parameters_that_may_not_be(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        model_of(**options).fit(X, Y)


def test_partial_fit_takes_no_notice(path):
    model = model_of(checkpoint=path, checkpoint_every=1).partial_fit(X, Y)
    assert not path.exists()
    assert file_of(model._model) == file_of(model_of().partial_fit(X, Y)._model)


def test_a_folder_has_a_file_for_each_fit_of_a_search(tmp_path):
    """A search over parameters that is killed goes on where it was."""
    grid = {"hidden_layer_sizes": [(2,), (3,)], "alpha": [0.1, 0.2]}
    quiet = GridSearchCV(model_of(), grid, cv=3, refit=False).fit(X, Y)
    search = GridSearchCV(
        model_of(checkpoint=tmp_path, checkpoint_every=5),
        grid,
        cv=3,
        refit=False,
        error_score="raise",
    )
    seen, real = [], Training._epoch

    def epoch(self, trainer, state, number):
        seen.append(number)
        if len(seen) == 8 * 12 + 8:
            raise Killed
        return real(self, trainer, state, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_epoch", epoch)
        with pytest.raises(Killed):
            search.fit(X, Y)
        assert len(list(tmp_path.iterdir())) == 8 + 1
        search.fit(X, Y)
    assert len(seen) == (8 * 12 + 8) + (12 - 5) + 3 * 12
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], quiet.cv_results_["mean_test_score"]
    )
    assert len(list(tmp_path.iterdir())) == 12
    assert clone(search.estimator).checkpoint == tmp_path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_fits(tmp_path):
    assert killed_fits(str(tmp_path), 6) >= 6
