"""A picture in, a sentence about it out, letter by letter.

The pictures are the handwritten digits that come with scikit-learn, 8 by 8 pixels. What their
captions say is computed from the pixels, so that the truth is known: which digit, whether its
stroke is thin or thick, and which way it leans,

    a seven, thin, leaning right

and a caption is right if each of its letters is. Run it as ``python examples/captions.py``; it
takes about ten seconds on two cores.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from elman import Seq2SeqTranslator
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

warnings.filterwarnings("ignore", category=ConvergenceWarning)

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def slant(images):
    """How far the ink moves to the right for each row that it moves up."""
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    ink = images / images.sum(axis=(1, 2), keepdims=True)
    x = x - (ink * x).sum(axis=(1, 2), keepdims=True)
    y = y - (ink * y).sum(axis=(1, 2), keepdims=True)
    return -(ink * x * y).sum(axis=(1, 2)) / (ink * y * y).sum(axis=(1, 2))


def captions(images, digits):
    thick = np.where(images.mean(axis=(1, 2)) > 4.9, "thick", "thin")
    leaning = np.select(
        [slant(images) > 0.0, slant(images) < -0.1], ["leaning right", "leaning left"], "upright"
    )
    articles = np.where(digits == 8, "an", "a")
    return [
        f"{article} {NAMES[digit]}, {stroke}, {lean}"
        for article, digit, stroke, lean in zip(articles, digits, thick, leaning, strict=True)
    ]


def part_of(caption, i):
    """The i-th thing that a caption says, if it says as many."""
    parts = caption.split(", ")
    return parts[i] if i < len(parts) else ""


def main():
    digits = load_digits()
    texts = captions(digits.images, digits.target)
    X = (digits.data / 16).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(X, texts, test_size=500, random_state=0)
    model = Seq2SeqTranslator(
        input="vector",
        attention=None,
        hidden_layer_sizes=(128,),
        embedding_dim=16,
        dropout=0.2,
        solver="adamw",
        learning_rate="cosine",
        learning_rate_init=0.01,
        batch_size=32,
        max_iter=60,
        tol=0,
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(X_train, y_train)
    print(f"{len(X_train)} pictures learned in {time.perf_counter() - start:.1f} s\n")
    predicted = model.predict(X_test)
    for caption, truth in list(zip(predicted, y_test, strict=True))[:5]:
        print(f"{caption:<34}{'right' if caption == truth else truth}")
    print(f"\nof {len(X_test)} captions right in every letter: {model.score(X_test, y_test):.3f}")
    for i, name in enumerate(["digit", "stroke", "slant"]):
        said, truth = ([part_of(text, i) for text in texts] for texts in (predicted, y_test))
        print(f"  in the {name}: {accuracy_score(truth, said):.3f}")


if __name__ == "__main__":
    main()
