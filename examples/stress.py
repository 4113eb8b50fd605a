"""Which syllables of a word are stressed: a label for each phoneme.

Words are sequences of phonemes, of different lengths, from the CMU Pronouncing Dictionary; the
label of a vowel is its stress (1 the main one, 2 a secondary one, 0 none), that of a consonant is
"-". A bidirectional LSTM reads a word both ways and labels each of its steps. One word in ten is
kept aside, and the model is compared with labelling each vowel as that vowel is most often. Run it
as ``python examples/stress.py``; it takes half a minute on two cores. The dictionary is
downloaded, or read from the folder that the environment variable ELMAN_DATA names.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter, defaultdict

import numpy as np
from elman import RNNClassifier, TokenSequencer
from elman.datasets import fetch_cmudict
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

warnings.filterwarnings("ignore", category=ConvergenceWarning)


def labelled_words():
    """Phonemes of each word in one text, and their labels."""
    texts, labels = [], []
    for several in fetch_cmudict().pronunciations:
        phonemes = several[0]
        texts.append(" ".join(phoneme.rstrip("012") for phoneme in phonemes))
        labels.append(np.array([p[-1] if p[-1] in "012" else "-" for p in phonemes]))
    return texts, labels


def most_frequent(texts, labels):
    """The label that each phoneme has most often."""
    counts = defaultdict(Counter)
    for text, of_text in zip(texts, labels, strict=True):
        for phoneme, label in zip(text.split(), of_text, strict=True):
            counts[phoneme][label] += 1
    return {phoneme: some.most_common(1)[0][0] for phoneme, some in counts.items()}


def report(name, predicted, labels):
    said, truth = np.concatenate(predicted), np.concatenate(labels)
    is_vowel = truth != "-"
    whole = [np.array_equal(a, b) for a, b in zip(predicted, labels, strict=True)]
    print(f"{name:<34}{np.mean((said == truth)[is_vowel]):>10.3f}{np.mean(whole):>14.3f}")


def main():
    X, X_test, y, y_test = train_test_split(*labelled_words(), test_size=0.1, random_state=0)
    model = make_pipeline(
        TokenSequencer(lowercase=False, token_pattern=r"\S+"),
        RNNClassifier(
            input="tokens",
            cell="lstm",
            hidden_layer_sizes=64,
            bidirectional=True,
            embedding_dim=32,
            dropout=0.2,
            learning_rate="cosine",
            learning_rate_init=0.005,
            batch_size=128,
            max_iter=6,
            tol=0,
            random_state=0,
        ),
    )
    start = time.perf_counter()
    model.fit(X, y)
    print(f"{len(X)} words learned in {time.perf_counter() - start:.0f} s\n")
    print(f"{'share of right labels':<34}{'vowels':>10}{'whole words':>14}")
    usual = most_frequent(X, y)
    report("as most often", [np.array([usual[p] for p in x.split()]) for x in X_test], y_test)
    report("bidirectional LSTM(64)", model.predict(X_test), y_test)


if __name__ == "__main__":
    main()
