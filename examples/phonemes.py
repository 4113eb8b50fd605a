"""How words are pronounced: letters in, phonemes out.

The words are those of the CMU Pronouncing Dictionary, without the stress of their vowels. One in
twenty is kept aside; of a word with several pronunciations any will do. Printed are the shares of
words that are wrong and of phonemes that are, and what the decoder has looked at in a word. Run it
as ``python examples/phonemes.py``; it takes some six minutes on two cores, ``--quick`` one, with
fewer words and epochs. The dictionary is downloaded, or read from the folder that the environment
variable ELMAN_DATA names.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from elman import Seq2SeqTranslator
from elman.datasets import fetch_cmudict
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

warnings.filterwarnings("ignore", category=ConvergenceWarning)

STRESS = str.maketrans("", "", "012")


def dictionary():
    """Words, and for each the pronunciations that differ in more than stress."""
    data = fetch_cmudict()
    pronunciations = []
    for of_word in data.pronunciations:
        plain = [tuple(phoneme.translate(STRESS) for phoneme in one) for one in of_word]
        pronunciations.append([list(one) for one in dict.fromkeys(plain)])
    return data.words, pronunciations


def edit_distance(a, b):
    """Insertions, deletions and substitutions between two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    words, pronunciations = dictionary()
    train, test = train_test_split(np.arange(len(words)), test_size=0.05, random_state=0)
    train = train[:30_000] if quick else train
    model = Seq2SeqTranslator(
        cell="lstm",
        hidden_layer_sizes=160,
        decoder_layer_sizes=256,
        bidirectional=True,
        attention="general",
        embedding_dim=32,
        dropout=0.3,
        embedding_dropout=0.1,
        target_token_dropout=0.1,
        solver="adamw",
        alpha=0.001,
        learning_rate="cosine",
        learning_rate_init=0.004,
        clip_norm=2.0,
        batch_size=256,
        max_iter=5 if quick else 10,
        tol=0,
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(
        [words[i] for i in train for _ in pronunciations[i]],
        [one for i in train for one in pronunciations[i]],
    )
    print(f"{len(train)} words learned in {time.perf_counter() - start:.0f} s")

    predicted = model.predict([words[i] for i in test])
    errors = np.array(
        [
            min((edit_distance(said, one) / len(one), len(one)) for one in pronunciations[i])
            for said, i in zip(predicted, test, strict=True)
        ]
    )
    print(f"of {len(test)} other words wrong: {np.mean(errors[:, 0] > 0):.3f}")
    print(f"of their phonemes: {np.average(errors[:, 0], weights=errors[:, 1]):.4f}")

    word = "translation"
    phonemes, shares = model.predict([word])[0], model.attention_weights([word])[0]
    print(f"\n{word}: what the decoder looks at most")
    for phoneme, share in zip([*phonemes, "end"], shares, strict=True):
        letters = np.argsort(-share)[:2]
        looks = ", ".join(f"letter {i + 1} ({word[i]}) {share[i]:.0%}" for i in letters)
        print(f"  {phoneme:<5}{looks}")


if __name__ == "__main__":
    main()
