"""Accuracy on public data beside published figures: ``python -m bench.published [set …]``.

Settings were chosen on validation data (told for each), test data are scored once for each of
three starts, of one for encoder-decoders, or on ten folds. The sets that `elman.datasets` fetches
come from there; the others are read from the folder that the environment variable ELMAN_DATA names,
and left out without it.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elman import CountRatioEncoder, RNNClassifier, Seq2SeqTranslator, TokenSequencer
from elman.datasets import (
    fetch_chorales,
    fetch_cmudict,
    fetch_movie_reviews,
    fetch_sentence_pairs,
    fetch_ucr,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from bench.sequence_errors import bleu, error_rates, exact

warnings.filterwarnings("ignore", category=ConvergenceWarning)

SEEDS = (0, 1, 2)
COMMON = {
    "solver": "adamw",
    "alpha": 0.01,
    "learning_rate": "cosine",
    "clip_norm": 1.0,
    "n_iter_no_change": np.inf,
}
REVIEWS = {
    **COMMON,
    "input": "tokens",
    "cell": "gru",
    "bidirectional": True,
    "hidden_layer_sizes": 64,
    "embedding_dropout": 0.5,
    "dropout": 0.5,
    "token_dropout": 0.4,
    "learning_rate_init": 0.002,
    "warmup": 0.0,
    "batch_size": 64,
    "max_iter": 4,
}
TAGS = {
    **COMMON,
    "input": "tokens",
    "cell": "lstm",
    "bidirectional": True,
    "hidden_layer_sizes": 96,
    "token_dropout": "rare",
    "learning_rate_init": 0.003,
    "warmup": 0.04,
    "batch_size": 32,
    "max_iter": 6,
}
SERIES = {
    "cell": "gru",
    "bidirectional": True,
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "clip_norm": 1.0,
    "batch_size": 16,
    "max_iter": 100,
    "n_iter_no_change": np.inf,
}
PHONEMES = {
    "cell": "lstm",
    "hidden_layer_sizes": (160, 160),
    "decoder_layer_sizes": 256,
    "bidirectional": True,
    "attention": "general",
    "embedding_dim": 32,
    "dropout": 0.4,
    "embedding_dropout": 0.1,
    "target_token_dropout": 0.1,
    "solver": "adamw",
    "alpha": 0.001,
    "learning_rate": "cosine",
    "learning_rate_init": 0.004,
    "clip_norm": 2.0,
    "batch_size": 256,
    "max_iter": 12,
    "tol": 0,
}
SENTENCES = {
    "cell": "gru",
    "hidden_layer_sizes": 128,
    "bidirectional": True,
    "dropout": 0.3,
    "embedding_dropout": 0.2,
    "token_dropout": 0.02,
    "solver": "adamw",
    "alpha": 0.01,
    "learning_rate": "cosine",
    "learning_rate_init": 0.004,
    "clip_norm": 1.0,
    "batch_size": 64,
    "max_iter": 8,
    "tol": 0,
}
CHORALES = {
    "cell": "gru",
    "hidden_layer_sizes": 128,
    "dropout": 0.5,
    "recurrent_dropout": 0.3,
    "alpha": 0.0,
    "learning_rate": "cosine",
    "learning_rate_init": 0.004,
    "clip_norm": 1.0,
    "batch_size": 8,
    "max_iter": 120,
    "n_iter_no_change": np.inf,
}


@dataclass
class Row:
    """One line of the table; scores of the folds or starts."""

    name: str
    measure: str
    scores: list
    seconds: float  # of one fit and its scoring
    published: str


def words(texts):
    return [text.split() for text in texts]


def review_model(**settings):
    return make_pipeline(
        TokenSequencer(lowercase=False),
        CountRatioEncoder(random_state=0),
        RNNClassifier(**{**REVIEWS, **settings}, random_state=0),
    )


def cross_validated(name, model, X, y, folds, published):
    start = time.perf_counter()
    scores = cross_val_score(model, X, y, cv=folds)
    seconds = (time.perf_counter() - start) / len(scores)
    return Row(name, "accuracy, folds", list(scores), seconds, published)


def over_seeds(name, measure, score, published):
    start = time.perf_counter()
    scores = [score(seed) for seed in SEEDS]
    return Row(name, measure, scores, (time.perf_counter() - start) / len(SEEDS), published)


def tfidf():
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))


def movie_reviews():
    """Chosen on folds 3 to 5 of the same ten."""
    data = fetch_movie_reviews()
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    published = "CNN-rand 76.1, NBSVM 79.4 (Kim 2014)"
    yield cross_validated(
        "movie reviews", review_model(), words(data.data), data.target, folds, published
    )
    yield cross_validated("  tf-idf", tfidf(), data.data, data.target, folds, "")


def long_reviews():
    """Chosen on folds 3 to 5 of the ten that the files' numbers make."""
    texts, labels, numbers = [], [], []
    for label, name in enumerate(("neg", "pos")):
        for line in lines(f"polarity_v2/{name}.tsv.gz"):
            number, text = line.split("\t")
            texts.append(text)
            labels.append(label)
            numbers.append(int(number[2]))
    folds, y = PredefinedSplit(numbers), np.array(labels)
    model = review_model(hidden_layer_sizes=32, embedding_dim=32, batch_size=32)
    yield cross_validated("long reviews", model, words(texts), y, folds, "linear models win")
    yield cross_validated("  tf-idf", tfidf(), texts, y, folds, "")


def tagged(part):
    """Sentences and their parts of speech."""
    sentences, tags, sentence = [], [], []
    for line in [*lines(f"ewt_pos/{part}.tsv.gz"), ""]:
        if line:
            sentence.append(line.split("\t"))
        elif sentence:
            sentences.append([token[0] for token in sentence])
            tags.append(np.array([token[1] for token in sentence]))
            sentence = []
    return sentences, tags


def parts_of_speech():
    """Chosen on the development part."""
    (X, y), (X_test, y_test) = tagged("train"), tagged("test")
    of_spelling = ("lower", "prefix", "suffix", "shape", "case")
    for name, features, dropouts, published in (
        ("parts of speech, words", ("lower",), (0.4, 0.5), "word-only BiLSTM 92.1"),
        ("parts of speech, affixes", of_spelling, (0.3, 0.4), "UDPipe 94.4, LIMA 95.95"),
    ):
        settings = {**TAGS, "embedding_dropout": dropouts[0], "dropout": dropouts[1]}

        def score(seed, features=features, settings=settings):
            sequencer = TokenSequencer(lowercase=False, features=features)
            model = make_pipeline(sequencer, RNNClassifier(**settings, random_state=seed))
            return model.fit(X, y).score(X_test, y_test)

        yield over_seeds(name, "accuracy, test", score, published)


def with_slopes(x):
    """Channels, and three times their change since the step before."""
    return np.hstack([x, 3 * np.diff(x, axis=0, prepend=x[:1])])


def series():
    """Chosen by 5-fold cross-validation of the training part, twice."""
    for name, settings, prepare, published in (
        (
            "JapaneseVowels",
            {"hidden_layer_sizes": 100, "dropout": 0.5},
            lambda x: x,
            "MLSTM-FCN 1.00, ResNet 99.2",
        ),
        (
            "ItalyPowerDemand",
            {"hidden_layer_sizes": 64, "dropout": 0.3},
            with_slopes,
            "LSTM-FCN 96.2, ROCKET 97.0",
        ),
        (
            "GunPoint",
            {"cell": "lstm", "hidden_layer_sizes": (32, 32), "dropout": 0.3},
            with_slopes,
            "LSTM-FCN 100, 1-NN DTW 90.7",
        ),
    ):
        data = fetch_ucr(name)
        every = np.concatenate(data.X_train)
        mean, deviation = every.mean(axis=0), every.std(axis=0)
        X, X_test = (
            [prepare((x - mean) / deviation).astype(np.float32) for x in part]
            for part in (data.X_train, data.X_test)
        )

        def score(seed, settings=settings, data=data, X=X, X_test=X_test):
            model = RNNClassifier(**{**SERIES, **settings}, random_state=seed)
            return model.fit(X, data.y_train).score(X_test, data.y_test)

        yield over_seeds(name, "accuracy, test", score, published)


def chorales():
    """Chosen on the validation part; nats of the 88 keys for each next step."""
    data = fetch_chorales()
    X = [piece[:-1] for piece in data.train]
    y = [piece[1:].astype(int) for piece in data.train]
    y_test = np.concatenate([piece[1:] for piece in data.test])

    def nats(seed):
        model = RNNClassifier(**CHORALES, random_state=seed).fit(X, y)
        p = np.concatenate(model.predict_proba([piece[:-1] for piece in data.test]))
        p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
        return -np.where(y_test > 0, np.log(p), np.log(1 - p)).sum(axis=1).mean()

    yield over_seeds("chorales", "nats a step, test", nats, "GRU 8.54, 8.43; tuned 8.20")


def parts_of(items):
    """85 % to train on, 5 % to choose settings on, 10 % for the test, at random."""
    items = [items[i] for i in np.random.RandomState(0).permutation(len(items))]
    ends = round(0.85 * len(items)), round(0.90 * len(items))
    return items[: ends[0]], items[ends[0] : ends[1]], items[ends[1] :]


def translated(name, settings, sources, targets, test, references, measures):
    """A fit, and measures of greedy answers and those of a beam; settings chosen on 5 %."""
    start = time.perf_counter()
    model = Seq2SeqTranslator(**settings, random_state=0).fit(sources, targets)
    seconds = time.perf_counter() - start
    for beam_width in (1, 4):
        predicted = model.set_params(beam_width=beam_width).predict(test)
        for measure, (of_all, published) in measures.items():
            score = of_all(predicted, references)
            yield Row(f"{name}, beam {beam_width}", measure, [score], seconds, published)


def phonemes():
    """Settings chosen on the first 2,000 words of their part."""
    data = fetch_cmudict()
    stress = str.maketrans("", "", "012")
    known = {}
    for word, several in zip(data.words, data.pronunciations, strict=True):
        plain = [tuple(phoneme.translate(stress) for phoneme in one) for one in several]
        known[word] = [list(one) for one in dict.fromkeys(plain)]
    train, _, test = parts_of(data.words)
    yield from translated(
        "phonemes",
        PHONEMES,
        [word for word in train for _ in known[word]],
        [one for word in train for one in known[word]],
        test,
        [known[word] for word in test],
        {
            "WER, test": (
                lambda *of: error_rates(*of)[0],
                "LSTM 2 x 256-512 31, Transformer 30.2, WFST 33.9",
            ),
            "PER, test": (lambda *of: error_rates(*of)[1], ""),
        },
    )


def sentence_pairs():
    """The English sides are dealt out; any of a side's translations is right."""
    data, known = fetch_sentence_pairs(), {}
    for english, french in zip(data.english, data.french, strict=True):
        known.setdefault(english, []).append(re.findall(r"\w+|[^\w\s]", french.lower()))
    train, _, test = parts_of(sorted(known))

    def tokens(sides):
        return [re.findall(r"\w+|[^\w\s]", side.lower()) for side in sides]

    for attention in ("general", None):
        yield from translated(
            f"sentences, {attention}",
            {**SENTENCES, "attention": attention},
            tokens(side for side in train for _ in known[side]),
            [french for side in train for french in known[side]],
            tokens(test),
            [known[side] for side in test],
            {"BLEU, test": (bleu, "none agreed"), "exact, test": (exact, "none agreed")},
        )


def lines(name):
    with gzip.open(Path(os.environ["ELMAN_DATA"], name), "rt", encoding="utf-8") as file:
        return file.read().splitlines()


SETS = {
    "movie_reviews": movie_reviews,
    "long_reviews": long_reviews,
    "parts_of_speech": parts_of_speech,
    "series": series,
    "chorales": chorales,
    "phonemes": phonemes,
    "sentence_pairs": sentence_pairs,
}
ONLY_IN_THE_FOLDER = {"long_reviews": "polarity_v2", "parts_of_speech": "ewt_pos"}


def main(names):
    print(f"{'set':<26}{'measure':<20}{'mean':>9}{'+-':>9}{'seconds':>9}  published")
    for name in names or SETS:
        folder = ONLY_IN_THE_FOLDER.get(name)
        if folder and not Path(os.environ.get("ELMAN_DATA", "/nowhere"), folder).is_dir():
            print(f"{name}: left out, ELMAN_DATA names no folder with {folder}")
            continue
        for row in SETS[name]():
            n = len(row.scores)
            error = np.std(row.scores, ddof=1) / np.sqrt(n) if n > 1 else np.nan
            print(
                f"{row.name:<26}{row.measure:<20}{np.mean(row.scores):>9.4f}{error:>9.4f}"
                f"{row.seconds:>9.1f}  {row.published}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
