"""
A classifier in a grid search
=============================

Digits of 8 × 8 pixels, read row by row: eight steps of eight channels. The network is the last step
of a pipeline, whose parameters a search tries out.
"""

import matplotlib.pyplot as plt
from elman import RNNClassifier
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

X, y = load_digits(return_X_y=True)  # (1797, 64): a row of pixels after another
network = RNNClassifier(n_channels=8, batch_size=32, max_iter=6, random_state=0)
sizes, rates = [8, 16, 32], [0.003, 0.01, 0.03]
search = GridSearchCV(
    make_pipeline(MinMaxScaler(), network),
    {
        "rnnclassifier__hidden_layer_sizes": sizes,
        "rnnclassifier__learning_rate_init": rates,
    },
    cv=3,
).fit(X, y)

# %%

scores = search.cv_results_["mean_test_score"].reshape(len(sizes), len(rates))
fig, ax = plt.subplots(figsize=(4.8, 3.6))
ax.imshow(scores, cmap="Blues", vmin=scores.min() - 0.1, vmax=1.1)
for i, row in enumerate(scores):
    for j, score in enumerate(row):
        ax.text(j, i, f"{score:.3f}", ha="center", va="center", color="#06121c")
ax.set_xticks(range(len(rates)), rates)
ax.set_yticks(range(len(sizes)), sizes)
ax.set(xlabel="learning rate", ylabel="units", title="Accuracy after six epochs")
ax.spines[:].set_visible(False)
