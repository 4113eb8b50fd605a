"""Short sentences from English into French.

40,000 pairs, in which many English sentences have several translations; one English sentence in
twenty is kept aside, and its translation is right if it is one of those. Printed are the share of
right ones, some translations, and how likely the model finds two that a human has made. Run it as
``python examples/translation.py``; it takes some four minutes on two cores. The pairs are
downloaded, or read from the folder that the environment variable ELMAN_DATA names.
"""

from __future__ import annotations

import re
import time
import warnings

import numpy as np
from elman import Seq2SeqTranslator
from elman.datasets import fetch_sentence_pairs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

warnings.filterwarnings("ignore", category=ConvergenceWarning)


def words(text):
    return re.findall(r"\w+|[^\w\s]", text.lower())


def main():
    pairs = fetch_sentence_pairs()
    translations = {}
    for english, french in zip(pairs.english, pairs.french, strict=True):
        translations.setdefault(english, []).append(words(french))
    train, test = train_test_split(list(translations), test_size=0.05, random_state=0)
    model = Seq2SeqTranslator(
        cell="gru",
        hidden_layer_sizes=128,
        bidirectional=True,
        attention="general",
        dropout=0.3,
        embedding_dropout=0.2,
        token_dropout=0.02,
        solver="adamw",
        alpha=0.01,
        learning_rate="cosine",
        learning_rate_init=0.004,
        clip_norm=1.0,
        batch_size=64,
        max_iter=8,
        tol=0,
        beam_width=5,
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(
        [words(english) for english in train for _ in translations[english]],
        [french for english in train for french in translations[english]],
    )
    print(f"{len(train)} sentences learned in {time.perf_counter() - start:.0f} s")

    predicted = model.predict([words(english) for english in test])
    known = [translations[english] for english in test]
    is_right = [said in some for said, some in zip(predicted, known, strict=True)]
    print(f"of {len(test)} others translated as a human did: {np.mean(is_right):.3f}\n")
    for i in range(0, len(test), len(test) // 10):
        print(f"{test[i]:<26}{' '.join(predicted[i])}")

    texts = ["Je suis fatigué.", "Je suis fatiguée.", "Je suis un chat."]
    log_p = model.predict_log_proba([words("I'm tired.")] * 3, [words(text) for text in texts])
    print("\nI'm tired.")
    for text, one in zip(texts, log_p, strict=True):
        print(f"  {text:<24}log p = {one:.1f}")


if __name__ == "__main__":
    main()
