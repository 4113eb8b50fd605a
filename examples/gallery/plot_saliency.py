"""
What speaks for a digit
=======================

A classifier reads digits row by row. Integrated gradients tell how much each pixel has moved the
probability of the right class, from an empty page to the digit: red for it, blue against it.
"""

import matplotlib.pyplot as plt
from elman import RNNClassifier
from elman.inspect import saliency
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images / 16, digits.target, stratify=digits.target, random_state=0
)
model = RNNClassifier(
    hidden_layer_sizes=48, learning_rate_init=0.005, batch_size=32, max_iter=12, random_state=0
).fit(X_train, y_train)
print(f"accuracy {model.score(X_test, y_test):.3f}")

# %%

chosen = [2, 3, 4, 5, 8]
fig, axes = plt.subplots(2, len(chosen), figsize=(7.0, 3.1))
for (above, below), digit in zip(axes.T, chosen, strict=True):
    x = X_test[y_test == digit][:1]
    parts = saliency(model, x, output=digit, method="integrated")[0]
    largest = abs(parts).max()
    above.imshow(x[0], cmap="Greys")
    below.imshow(parts, cmap="RdBu_r", vmin=-largest, vmax=largest)
    above.set(xticks=[], yticks=[], title=str(digit))
    below.set(xticks=[], yticks=[])
