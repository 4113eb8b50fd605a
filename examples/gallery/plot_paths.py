"""
The total of a year, from paths
===============================

Quantiles of single months do not add up to a quantile of their sum. Paths do: each is one way in
which the whole year may go.
"""

import matplotlib.pyplot as plt
import pandas as pd
from elman import LinearForecaster
from elman.datasets import load_air_passengers

months = pd.date_range("1949-01-01", periods=144, freq="MS")
passengers = pd.Series(load_air_passengers().data, months)
train, test = passengers[:-12], passengers[-12:]

forecaster = LinearForecaster(horizon=12).fit(train)
paths = forecaster.sample(1000, random_state=0)  # a column for each path
totals = paths.sum()

fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), width_ratios=(3, 2))
axes[0].plot(paths.iloc[:, :60].to_numpy(), lw=0.6, alpha=0.4, color="C0")
axes[0].plot(test.to_numpy(), color="C1", label="what came")
axes[0].set(title="60 of 1000 paths", xlabel="month of 1960", ylabel="thousands of passengers")
axes[0].legend()
axes[1].hist(totals, bins=15)
axes[1].axvline(test.sum(), color="C1")
axes[1].set(title="Total of the year", yticks=[])

# %%

low, high = totals.quantile([0.05, 0.95])
print(f"nine in ten paths have a total of {low:.0f} to {high:.0f}; it was {test.sum():.0f}")
