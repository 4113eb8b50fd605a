"""Hidden states as features: the very numbers that the head of the network reads."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from elman import (
    HiddenStateTransformer,
    ModelFileError,
    RNNClassifier,
    RNNRegressor,
    load,
    save,
)
from model_files import Parts, canonical, file_of, read
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5, 2))
RAGGED = [x[: 2 + i % 4] for i, x in enumerate(X)]
NUMBERS = X.sum(axis=(1, 2))


def regressor(**parameters):
    return RNNRegressor(
        **{"hidden_layer_sizes": (6, 4), "max_iter": 5, "random_state": 0, **parameters}
    )


def fitted(X=X, y=NUMBERS, **parameters):
    return regressor(**parameters).fit(X, y)


def states_of(model, X, **parameters):
    return HiddenStateTransformer(FrozenEstimator(model), **parameters).fit(X).transform(X)


CHECKS = parametrize_with_checks(
    [
        HiddenStateTransformer(),
        HiddenStateTransformer(regressor(hidden_layer_sizes=4), steps="mean"),
    ],
    expected_failed_checks=lambda estimator: {},
)


@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"cell": "lstm", "bidirectional": True},
        {"bidirectional": [True, False], "merge_mode": "sum"},
        {"hidden_layer_sizes": (4, 4, 4), "residual": True},
        {"layer_norm": True, "dropout": 0.5, "recurrent_dropout": 0.5},
        {"missing": "mask"},
        {"missing": "decay"},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", [X, RAGGED], ids=["array", "list"])
def test_the_head_is_a_function_of_the_last_states(parameters, data):
    model = fitted(data, **parameters)
    states, weights = states_of(model, data), model.weights_
    predicted = states @ weights["head.W"] + weights["head.b"]
    np.testing.assert_allclose(predicted[:, 0], model.predict(data), rtol=1e-9)


@pytest.mark.parametrize("layer", [0, 1, -2, -1])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_layer(layer, cell):
    model = fitted(cell=cell)
    _, states = model.predict(X, return_state=True)
    got = states_of(model, X, layer=layer)
    assert np.array_equal(got, states[f"layers.{layer % 2}.h"])


def test_both_directions_side_by_side():
    model = fitted(bidirectional=True)
    transformer = HiddenStateTransformer(FrozenEstimator(model), steps="all").fit(X)
    states = transformer.transform(X)
    assert states.shape == (30, 5, 8)
    _, final = model.predict(X, return_state=True)
    assert np.array_equal(states[:, -1, :4], final["layers.1.h"])
    assert np.array_equal(states[:, 0, 4:], final["layers.1.reverse.h"])
    names = transformer.get_feature_names_out().tolist()
    assert names == [f"layer1_{half}{u}" for half in ("h", "reverse_h") for u in range(4)]
    last = states_of(model, X)
    assert np.array_equal(last, np.hstack([states[:, -1, :4], states[:, 0, 4:]]))
    transformer = HiddenStateTransformer(
        FrozenEstimator(fitted(bidirectional=True, merge_mode="mean"))
    )
    assert transformer.fit(X).get_feature_names_out().tolist() == names[:4]


def test_states_of_all_steps_and_their_mean():
    model = fitted(RAGGED)
    steps = states_of(model, RAGGED, steps="all")
    assert [part.shape for part in steps] == [(len(x), 4) for x in RAGGED]
    assert np.array_equal([part[-1] for part in steps], states_of(model, RAGGED))
    means = [part.mean(axis=0) for part in steps]
    np.testing.assert_allclose(states_of(model, RAGGED, steps="mean"), means, rtol=1e-12)
    for i in range(4):  # whoever is beside it
        assert np.array_equal(
            states_of(model, [RAGGED[i]], steps="mean")[0],
            states_of(model, RAGGED, steps="mean")[i],
        )
    padded = np.full(X.shape, np.nan)
    for i, x in enumerate(RAGGED):
        padded[i, : len(x)] = x
    result = states_of(model, padded, steps="all")
    assert np.isnan(result).any(axis=2).sum() == np.isnan(padded).any(axis=2).sum()
    assert np.array_equal(result[1, :3], steps[1])


@pytest.mark.parametrize("steps", ["last", "mean", "all"])
def test_tokens_and_targets_for_each_step(steps):
    tokens = [RNG.integers(0, 7, len(x)) for x in RAGGED]
    model = fitted(tokens, [x[:, 0] for x in RAGGED], input="tokens", embedding_dim=3)
    states = states_of(model, tokens, steps=steps)
    if steps == "all":
        weights = model.weights_
        for part, predicted in zip(states, model.predict(tokens), strict=True):
            expected = part @ weights["head.W"] + weights["head.b"]
            np.testing.assert_allclose(expected[:, 0], predicted, rtol=1e-4, atol=1e-6)
    else:
        assert states.shape == (30, 4)


def test_fit_trains_a_clone():
    model = regressor()
    transformer = HiddenStateTransformer(model).fit(X, NUMBERS)
    assert not hasattr(model, "n_iter_")
    assert np.array_equal(transformer.transform(X), states_of(fitted(), X))
    weighted = HiddenStateTransformer(model).fit(X, NUMBERS, sample_weight=np.arange(30.0))
    expected = regressor().fit(X, NUMBERS, sample_weight=np.arange(30.0))
    assert np.array_equal(weighted.transform(X), states_of(expected, X))
    other = HiddenStateTransformer(model, random_state=1).fit(X, NUMBERS)
    assert np.array_equal(other.transform(X), states_of(fitted(random_state=1), X))
    default = HiddenStateTransformer().fit(X, NUMBERS)
    assert default.transform(X).shape == (30, 32)


def test_a_frozen_estimator_is_not_trained():
    model = fitted()
    transformer = clone(HiddenStateTransformer(FrozenEstimator(model)))
    assert transformer.fit(X[:3]).estimator_ is model


def test_searches_and_pipelines():
    labels = np.where(NUMBERS > 0, "up", "down")
    network = RNNClassifier(hidden_layer_sizes=4, max_iter=20, random_state=0)
    pipeline = make_pipeline(
        HiddenStateTransformer(network), StandardScaler(), LogisticRegression()
    )
    assert len(cross_val_score(pipeline, X, labels, cv=3)) == 3
    grid = {
        "hiddenstatetransformer__steps": ["last", "mean"],
        "hiddenstatetransformer__estimator__hidden_layer_sizes": [2, 3],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, labels)
    best = search.best_params_["hiddenstatetransformer__estimator__hidden_layer_sizes"]
    assert search.best_estimator_[-1].n_features_in_ == best


def test_tables_with_names():
    table = pd.DataFrame(X.reshape(30, 10), columns=[f"lag {i}" for i in range(10)])
    transformer = HiddenStateTransformer(regressor(n_channels=2)).set_output(transform="pandas")
    states = transformer.fit(table, NUMBERS).transform(table)
    assert states.columns.tolist() == [f"layer1_h{u}" for u in range(4)]
    assert transformer.feature_names_in_.tolist() == table.columns.tolist()
    with pytest.warns(UserWarning, match="HiddenStateTransformer was fitted with feature names"):
        transformer.transform(table.to_numpy())
    transformer.fit(table.to_numpy(), NUMBERS)
    assert not hasattr(transformer, "feature_names_in_")


def test_pickles():
    transformer = HiddenStateTransformer(regressor(), steps="mean").fit(X, NUMBERS)
    again = pickle.loads(pickle.dumps(transformer))
    assert np.array_equal(again.transform(X), transformer.transform(X))


def test_what_is_refused():
    for parameters, message in (
        ({"steps": "first"}, "steps got 'first', expected one of"),
        ({"layer": 2}, "layer got 2, expected one of the 2 layers"),
        ({"layer": -3}, "layer got -3, expected one of the 2 layers"),
        ({"layer": 0.5}, "layer got 0.5, expected an integer"),
    ):
        transformer = HiddenStateTransformer(regressor()).fit(X, NUMBERS)
        before = transformer.transform(X)
        transformer.set_params(**parameters)
        for call in (lambda t=transformer: t.fit(X, NUMBERS), lambda t=transformer: t.transform(X)):
            with pytest.raises(ValueError, match=message):
                call()
        transformer.set_params(steps="last", layer=-1)
        assert np.array_equal(transformer.transform(X), before)
    with pytest.raises(ValueError, match="estimator got StandardScaler"):
        HiddenStateTransformer(StandardScaler()).fit(X, NUMBERS)
    with pytest.raises(NotFittedError):
        HiddenStateTransformer(regressor()).transform(X)
    with pytest.raises(NotFittedError):
        HiddenStateTransformer(FrozenEstimator(regressor())).fit(X)
    with pytest.raises(ValueError, match=r"HiddenStateTransformer\.fit: X has 3 features"):
        HiddenStateTransformer(FrozenEstimator(fitted())).fit(np.zeros((2, 5, 3)))


def test_a_file_holds_its_network_once(tmp_path):
    model = fitted()
    transformer = HiddenStateTransformer(FrozenEstimator(model)).fit(X)
    save(transformer, tmp_path / "states")
    save(model, tmp_path / "model")
    sizes = [(tmp_path / name).stat().st_size for name in ("states", "model")]
    assert sizes[0] < sizes[1] + 1000
    again = load(tmp_path / "states")
    assert again.estimator.estimator is again.estimator_
    assert np.array_equal(again.transform(X), transformer.transform(X))
    default = HiddenStateTransformer(random_state=0).fit(X, NUMBERS)
    save(default, tmp_path / "default")
    assert load(tmp_path / "default").estimator is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('[["RNNRegressor",', '[["RNNClassifier",', "got 'RNNClassifier', expected 'RNNRegressor'"),
        ('[["RNNRegressor",', '[["SequenceScaler",', "expected None, 'frozen' or the parameters"),
        ('["max_iter",5]', '["max_iter",-5]', "estimator.max_iter got -5"),
    ],
)
def test_files_that_do_not_go_together(old, new, message):
    parts = Parts.of(file_of(HiddenStateTransformer(regressor()).fit(X, NUMBERS)))
    text = canonical(parts.content)
    assert old in text
    parts.content = json.loads(text.replace(old, new, 1))
    with pytest.raises(ModelFileError, match=message):
        read(parts.join())
