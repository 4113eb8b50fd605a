"""How far predicted sequences are from true ones, of which there may be several."""

import math
from collections import Counter

import numpy as np


def edit_distance(a, b):
    """Insertions, deletions and substitutions (Levenshtein, 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def error_rates(predicted, references):
    """Share of sequences that are wrong, and of tokens, each against its nearest reference."""
    n_wrong = n_errors = n_tokens = 0
    for said, several in zip(predicted, references, strict=True):
        distances = [(edit_distance(said, one) / len(one), len(one)) for one in several]
        share, length = min(distances)
        n_wrong += share > 0
        n_errors += share * length
        n_tokens += length
    return n_wrong / len(predicted), n_errors / n_tokens


def exact(predicted, references):
    """Share of sequences that are one of their references."""
    pairs = zip(predicted, references, strict=True)
    return float(np.mean([said in several for said, several in pairs]))


def bleu(predicted, references, longest=4):
    """BLEU of a corpus, 0 to 100 (Papineni et al., 2002)."""
    n_right, n_all = np.zeros(longest), np.zeros(longest)
    n_said = n_wanted = 0
    for said, several in zip(predicted, references, strict=True):
        n_said += len(said)
        n_wanted += min((abs(len(one) - len(said)), len(one)) for one in several)[1]
        for n in range(1, longest + 1):
            most = Counter()
            for one in several:
                most |= n_grams(one, n)
            n_right[n - 1] += (n_grams(said, n) & most).total()
            n_all[n - 1] += max(0, len(said) - n + 1)
    if not n_right.all():
        return 0.0
    brevity = min(0.0, 1 - n_wanted / n_said)
    return 100 * math.exp(float(np.log(n_right / n_all).mean()) + brevity)


def n_grams(tokens, n):
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
