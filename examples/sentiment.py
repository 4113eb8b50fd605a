"""Tell whether a sentence of a movie review is meant well: words in, a class out.

Sentences have 1 to 59 words. A bidirectional GRU reads each word's vector beside how much more
often the training sentences of one class had it, and is compared on the same ten folds with
logistic regression on tf-idf. Run it as ``python examples/sentiment.py``; it takes about a minute
and a half on two cores. The reviews are downloaded, or read from the folder that the environment
variable ELMAN_DATA names.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from elman import CountRatioEncoder, RNNClassifier, TokenSequencer
from elman.datasets import fetch_movie_reviews
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

# The number of epochs is chosen here, so that it was reached is no news.
warnings.filterwarnings("ignore", category=ConvergenceWarning)

# Chosen on folds 3 to 5.
SETTINGS = {
    "input": "tokens",
    "cell": "gru",
    "hidden_layer_sizes": 64,
    "bidirectional": True,
    "embedding_dropout": 0.5,
    "dropout": 0.5,
    "token_dropout": 0.4,
    "solver": "adamw",
    "alpha": 0.01,
    "learning_rate": "cosine",
    "learning_rate_init": 0.002,
    "warmup": 0.0,
    "clip_norm": 1.0,
    "batch_size": 64,
    "max_iter": 4,
}


def recurrent(random_state=0, count_ratios=True, **settings):
    """From texts to classes; without count ratios only what the network finds by itself."""
    steps = [TokenSequencer(lowercase=False, token_pattern=r"\S+")]
    if count_ratios:
        steps.append(CountRatioEncoder(random_state=random_state))
    model = RNNClassifier(**{**SETTINGS, **settings}, random_state=random_state)
    return make_pipeline(*steps, model)


def main():
    reviews = fetch_movie_reviews()
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    models = {
        "tf-idf of words and pairs, logistic regression": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000)
        ),
        "GRU on word vectors alone": recurrent(
            count_ratios=False, embedding="cooccurrence", token_dropout=0.2
        ),
        "GRU on word vectors and count ratios": recurrent(),
    }
    print(f"{len(reviews.data)} sentences, 10 folds\n")
    print(f"{'model':<50}{'accuracy':>10}{'+-':>8}{'seconds a fold':>16}")
    for name, model in models.items():
        start = time.perf_counter()
        scores = cross_val_score(model, reviews.data, reviews.target, cv=folds)
        seconds = (time.perf_counter() - start) / len(scores)
        error = np.std(scores, ddof=1) / np.sqrt(len(scores))
        print(f"{name:<50}{scores.mean():>10.4f}{error:>8.4f}{seconds:>16.1f}", flush=True)

    model = recurrent().fit(reviews.data, reviews.target)
    texts = ["a moving film with a fine cast .", "too long , and far too loud .", "not bad at all"]
    for text, p in zip(texts, model.predict_proba(texts)[:, 1], strict=True):
        print(f"\n{p:.2f}  {text}", end="")
    print()


if __name__ == "__main__":
    main()
