"""
Gaps filled, and how sure that is
=================================

Five gaps of four months are cut into a series that is known. What was not cut comes back as it was.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from elman import ImputationDisplay, RNNImputer
from elman.datasets import load_air_passengers

months = pd.date_range("1949-01-01", periods=144, freq="MS")
truth = pd.DataFrame({"passengers": load_air_passengers().data}, months)
gappy = truth.copy()
for start in (20, 50, 77, 101, 125):
    gappy.iloc[start : start + 4] = np.nan

imputer = RNNImputer(layout="series", max_iter=20, random_state=0).fit(gappy)

fig, ax = plt.subplots()
ImputationDisplay.from_estimator(imputer, gappy, actual=truth, ax=ax)
ax.set_title("Five gaps of four months")

# %%

is_gap = gappy["passengers"].isna()
for name, filled in (("linear", gappy.interpolate()), ("network", imputer.transform(gappy))):
    print(f"{name:<8} off by {(filled - truth)[is_gap].abs().to_numpy().mean():.1f}")
