"""
Naive, linear, and a deep network
=================================

The fifty-first value of a noisy series, from the fifty before it. Two stacked recurrent layers of
twenty units, beside the last value said again and a line through all fifty values.
"""

import matplotlib.pyplot as plt
import numpy as np
from elman import RNNRegressor
from elman.datasets import generate_time_series
from sklearn.linear_model import LinearRegression

series = generate_time_series(8000, 51, random_state=0)
X, y = series[:, :50], series[:, 50, 0]
X_train, y_train, X_test, y_test = X[:7000], y[:7000], X[7000:], y[7000:]

linear = LinearRegression().fit(X_train[:, :, 0], y_train)
deep = RNNRegressor(
    cell="simple",
    hidden_layer_sizes=(20, 20),
    batch_size=32,
    max_iter=20,
    random_state=0,
).fit(X_train, y_train)
forecasts = {
    "naive": X_test[:, -1, 0],
    "linear": linear.predict(X_test[:, :, 0]),
    "deep RNN": deep.predict(X_test),
}
errors = {name: np.mean((y_test - said) ** 2) for name, said in forecasts.items()}

# %%
# One of the series, and the mean over a thousand of them. The noise alone gives an error of 0.0008,
# below which nothing can be.

fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.0), width_ratios=(3, 2))
axes[0].plot(range(30, 50), X_test[4, 30:, 0])
axes[0].plot(50, y_test[4], "o", color="C0", label="what came")
for marker, (name, said) in zip("^sx", forecasts.items(), strict=True):
    axes[0].plot(50, said[4], marker, ms=8, ls="", mfc="none", mew=2, label=name)
axes[0].set(xlabel="step", title="The end of one series", xlim=(29, 61))
axes[0].legend(loc="center right")
bars = axes[1].bar(list(errors), list(errors.values()), color=["C1", "C2", "C3"])
axes[1].bar_label(bars, fmt="%.4f")
axes[1].set(title="Mean squared error", yticks=[])
