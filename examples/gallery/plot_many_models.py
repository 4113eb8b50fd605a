"""
A network for each of two hundred series
========================================

Waves of two hundred machines, each with a frequency and a shape of its own. One call trains a small
network for each of them, side by side, and each has the bits that it would have alone.
"""

import elman
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
steps = np.arange(160)
frequency = rng.uniform(0.15, 0.6, size=(200, 1))
phase = rng.uniform(0, 6, size=(200, 1))
waves = np.sin(frequency * steps) + 0.4 * np.sin(2 * frequency * steps + phase)
waves += rng.normal(scale=0.1, size=waves.shape)

X, y = waves[:, None, :-1, None], waves[:, None, 1:, None]  # a sequence for each, a target a step
network = elman.RNNRegressor(
    hidden_layer_sizes=8, learning_rate_init=0.02, max_iter=150, tol=0, random_state=0
)
fleet = elman.fit_many(network, X[:, :, :120], y[:, :, :120])
said = np.array(fleet.predict(X))[:, 0, :, 0]

# %%
# The last forty steps, in which no network was trained; each value is forecast from those before.

fig, axes = plt.subplots(3, 4, figsize=(7.2, 4.0), sharex=True, sharey=True)
for i, ax in enumerate(axes.flat):
    ax.plot(steps[121:], waves[i, 121:], label="came")
    ax.plot(steps[121:], said[i, 120:], "--", label="said a step before")
fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
fig.supxlabel("step", fontsize=11)

# %%

errors = np.abs(said - waves[:, 1:])[:, 120:].mean(axis=1)
naive = np.abs(np.diff(waves))[:, 120:].mean(axis=1)
print(f"better than the last value again: {(errors < naive).sum()} of 200")
