"""
A forecast with intervals
=========================

Twelve years of airline passengers; the last two are held back and forecast. The bands should hold
half and nine tenths of what comes.
"""

import pandas as pd
from elman import ForecastDisplay, RNNForecaster
from elman.datasets import load_air_passengers

months = pd.date_range("1949-01-01", periods=144, freq="MS")
passengers = pd.Series(load_air_passengers().data, months, name="passengers")
train, test = passengers[:-24], passengers[-24:]

forecaster = RNNForecaster(horizon=24, random_state=0).fit(train)
display = ForecastDisplay.from_estimator(forecaster, coverage=(0.5, 0.9), actual=test)
display.ax_.set_title("Two years ahead")

# %%
# How far off it is, beside the same month of the last known year:

naive = train[-12:].to_numpy()[[*range(12)] * 2]
print(f"mean absolute error {(forecaster.predict() - test).abs().mean():.1f}")
print(f"seasonal naive      {(test - naive).abs().mean():.1f}")
