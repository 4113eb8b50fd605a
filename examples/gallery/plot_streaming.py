"""
Sure before the end
===================

A stream takes a step and answers at once. Rows of a digit come in one by one; after each of them
the classifier says how likely every class is by now.
"""

import matplotlib.pyplot as plt
import numpy as np
from elman import RNNClassifier
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images / 16, digits.target, stratify=digits.target, random_state=0
)
model = RNNClassifier(
    hidden_layer_sizes=48, learning_rate_init=0.005, batch_size=32, max_iter=12, random_state=0
).fit([x[:n] for x in X_train for n in (4, 6, 8)], np.repeat(y_train, 3))

# %%

stream = model.stream(method="predict_proba")
fig, axes = plt.subplots(2, 4, figsize=(7.2, 3.4), height_ratios=(2, 3))
for (above, below), digit in zip(axes.T, (0, 3, 7, 9), strict=True):
    x = X_test[y_test == digit][1]
    stream.reset()
    said = np.array([stream.step(row) for row in x])
    above.imshow(x, cmap="Greys")
    above.set(xticks=[], yticks=[])
    for k, probability in enumerate(said.T):
        is_right = k == digit
        below.plot(
            range(1, 9), probability, lw=2 if is_right else 0.8, color="C0" if is_right else "0.55"
        )
    below.set(ylim=(0, 1.02), xlabel="rows read", xticks=[2, 4, 6, 8], yticks=[0, 0.5, 1])
axes[1, 0].set_ylabel("probability")
