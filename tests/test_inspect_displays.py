"""Pictures of the inside: the colours are the numbers."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from elman import (
    AttentionDisplay,
    PermutationImportanceDisplay,
    RNNClassifier,
    RNNRegressor,
    SaliencyDisplay,
    Seq2SeqRegressor,
    Seq2SeqTranslator,
)
from elman.inspect import permutation_importance, saliency
from sklearn.exceptions import NotFittedError

mpl.use("Agg")
from matplotlib import pyplot as plt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(20, 6, 2))
WORDS = [list("abcd"), list("dcb")] * 10


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def fitted(X=X, **parameters):
    y = np.arange(20.0)
    return RNNRegressor(hidden_layer_sizes=4, max_iter=5, random_state=0, **parameters).fit(X, y)


def translator(**parameters):
    model = Seq2SeqTranslator(hidden_layer_sizes=4, max_iter=3, random_state=0, **parameters)
    return model.fit(WORDS, [word[::-1] for word in WORDS])


def texts(labels):
    return [label.get_text() for label in labels]


# Saliency.


@pytest.mark.parametrize("method", ["gradient", "integrated"])
def test_the_saliency_of_a_sequence(method):
    model = fitted()
    display = SaliencyDisplay.from_estimator(
        model, X[3], method=method, channel_names=["wind", "rain"]
    )
    expected = saliency(model, X[3:4], method=method)[0]
    np.testing.assert_array_equal(display.im_.get_array(), expected.T)
    assert display.im_.get_clim() == (-np.abs(expected).max(), np.abs(expected).max())
    assert texts(display.ax_.get_yticklabels()) == ["wind", "rain"]
    assert display.ax_.get_title() == "RNNRegressor"
    assert display.colorbar_.ax.get_ylabel().lower().startswith(method)


def test_the_channels_are_lines_in_their_rows():
    display = SaliencyDisplay.from_estimator(fitted(), X[0], line_kw={"lw": 3})
    for c, line in enumerate(display.lines_):
        y = line.get_ydata()
        assert (y.min(), y.max()) == pytest.approx((c - 0.4, c + 0.4))
        assert np.argmin(y) == np.argmax(X[0, :, c])  # rows count downwards
        assert line.get_linewidth() == 3


def test_words_are_named_and_have_no_lines():
    tokens = [np.arange(i % 4 + 2) for i in range(20)]
    model = RNNClassifier(input="tokens", max_iter=2, random_state=0).fit(tokens, np.arange(20) % 2)
    display = SaliencyDisplay.from_estimator(model, tokens[1], step_names=["a", "fine", "cast"])
    np.testing.assert_array_equal(display.im_.get_array()[0], saliency(model, [tokens[1]])[0])
    assert display.lines_ == []
    assert texts(display.ax_.get_xticklabels()) == ["a", "fine", "cast"]


def test_a_row_of_a_table_and_a_sequence_of_one_channel():
    table = X.reshape(20, 12)
    display = SaliencyDisplay.from_estimator(fitted(table, n_channels=2), table[0])
    assert display.im_.get_array().shape == (2, 6)
    flat = [x[:, 0] for x in X]
    display = SaliencyDisplay.from_estimator(fitted(flat), flat[0])
    assert display.im_.get_array().shape == (1, 6)
    assert len(display.lines_) == 1


def test_a_channel_that_never_moves_is_in_the_middle():
    display = SaliencyDisplay(saliency=np.zeros((3, 1)), sequence=np.full((3, 1), 7.0)).plot()
    assert (display.lines_[0].get_ydata() == 0).all()


def test_names_that_do_not_fit():
    with pytest.raises(ValueError, match="channel_names got 3 names, expected 2 of them"):
        SaliencyDisplay.from_estimator(fitted(), X[0], channel_names="abc")
    with pytest.raises(ValueError, match="step_names got 1 names, expected 6 of them"):
        SaliencyDisplay.from_estimator(fitted(), X[0], step_names="a")
    with pytest.raises(ValueError, match="channel_names got 1 names, expected 2 of them"):
        PermutationImportanceDisplay(
            importances=np.zeros((2, 3)), lags=[(0,), (1,), (2,)], channel_names=["a"]
        ).plot()


# Importances.


def test_the_importances_have_the_last_step_on_the_right():
    model, y = fitted(), np.arange(20.0)
    groups = [(0,), (1, 2), (3, 5)]
    display = PermutationImportanceDisplay.from_estimator(
        model, X, y, lags=groups, n_repeats=2, random_state=0, channel_names=["a", "b"], name="A"
    )
    result = permutation_importance(model, X, y, lags=groups, n_repeats=2, random_state=0)
    np.testing.assert_array_equal(display.im_.get_array(), result.importances_mean[:, ::-1])
    assert texts(display.ax_.get_xticklabels()) == ["3, 5", "1–2", "0"]
    assert texts(display.ax_.get_yticklabels()) == ["a", "b"]
    assert display.ax_.get_title() == "A"


def test_the_numbers_are_written_where_there_is_room():
    importances, lags = np.array([[0.5, -0.004, 1.0]]), [(0,), (1,), (2,)]
    display = PermutationImportanceDisplay(importances=importances, lags=lags)
    assert texts(display.plot().text_[0]) == ["1.00", "0.00", "0.50"]
    assert [text.get_color() for text in display.text_[0]] == ["white", "black", "black"]
    assert display.plot(include_values=False).text_ is None
    many = PermutationImportanceDisplay(importances=np.zeros((9, 9)), lags=[(0,)] * 9).plot()
    assert many.text_ is None


def test_many_lags_have_labels_with_room_between_them():
    lags = [(lag,) for lag in range(50)]
    display = PermutationImportanceDisplay(importances=np.zeros((1, 50)), lags=lags).plot()
    assert texts(display.ax_.get_xticklabels())[-2:] == ["5", "0"]


# Attention.


def test_the_attention_of_a_translation():
    model = translator()
    display = AttentionDisplay.from_estimator(model, list("abc"), list("cb"))
    (expected,) = model.attention_weights([list("abc")], [list("cb")])
    np.testing.assert_array_equal(display.im_.get_array(), expected)
    assert texts(display.ax_.get_xticklabels()) == ["a", "b", "c"]
    assert texts(display.ax_.get_yticklabels()) == ["c", "b", "end"]
    assert display.im_.get_clim() == (0, 1)


def test_the_attention_of_a_prediction():
    model = translator()
    (predicted,) = model.predict([list("abc")])
    display = AttentionDisplay.from_estimator(model, list("abc"))
    assert texts(display.ax_.get_yticklabels()) == [*predicted, "end"]
    model = Seq2SeqRegressor(hidden_layer_sizes=4, max_iter=2, random_state=0).fit(X, X[:, :3])
    display = AttentionDisplay.from_estimator(model, X[0])
    np.testing.assert_array_equal(display.im_.get_array(), model.attention_weights(X[:1])[0])


def test_attention_that_there_is_not():
    with pytest.raises(AttributeError, match="no attention_weights with attention=None"):
        AttentionDisplay.from_estimator(translator(attention=None), list("abc"))
    with pytest.raises(TypeError, match="estimator got a RNNRegressor"):
        AttentionDisplay.from_estimator(fitted(), X[0])
    with pytest.raises(NotFittedError):
        AttentionDisplay.from_estimator(Seq2SeqTranslator(), list("abc"))


# All of them.


def test_axes_that_are_there_and_looks():
    figure, axes = plt.subplots(1, 3)
    displays = [
        SaliencyDisplay(saliency=X[0]).plot(axes[0], im_kw={"cmap": "PuOr"}, name="saliency"),
        PermutationImportanceDisplay(importances=X[0], lags=[(0,), (1,)]).plot(
            axes[1], im_kw={"cmap": "PuOr"}, name="importance"
        ),
        AttentionDisplay(weights=np.abs(X[0])).plot(axes[2], im_kw={"cmap": "PuOr"}, name="a"),
    ]
    for display, ax in zip(displays, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert display.im_.get_cmap().name == "PuOr"
        assert ax.get_title()


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"elman\[plot\]"):
        SaliencyDisplay.from_estimator(fitted(), X[0])
