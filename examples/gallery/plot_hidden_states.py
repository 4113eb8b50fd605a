"""
Hidden states as features
=========================

What a trained network keeps in mind is a row of numbers, which any other estimator takes for
features. Here PCA draws them: each line is a digit while its eight rows are read.
"""

import matplotlib.pyplot as plt
from elman import HiddenStateTransformer, RNNClassifier
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

digits = load_digits(n_class=4)
X, y = digits.images / 16, digits.target
network = RNNClassifier(
    hidden_layer_sizes=32, learning_rate_init=0.005, batch_size=32, max_iter=12, random_state=0
)
states = HiddenStateTransformer(network, steps="all").fit(X, y).transform(X)
pca = PCA(2).fit(states[:, -1])

# %%

fig, ax = plt.subplots(figsize=(5.6, 4.2))
for digit in range(4):
    way = [pca.transform(states[y == digit][:40, step]) for step in range(8)]
    for i in range(40):
        ax.plot(*zip(*(at[i] for at in way), strict=True), color=f"C{digit}", lw=0.6, alpha=0.35)
    ax.scatter(*way[-1].T, s=16, color=f"C{digit}", label=str(digit), zorder=3)
ax.set(xlabel="first component", ylabel="second component", title="States while digits are read")
ax.legend(title="digit")
