"""
Where a decoder looks
=====================

Dates as people write them go in, letter by letter, dates as machines sort them come out. For each
letter that it writes, the decoder weighs the letters that it has read.
"""

import matplotlib.pyplot as plt
import pandas as pd
from elman import AttentionDisplay, Seq2SeqTranslator

days = pd.date_range("1990-01-01", "2029-12-31").to_series().sample(1300, random_state=0)
written = [f"{day.day} {day:%b %Y}" for day in days]
sorted_by = [f"{day:%Y-%m-%d}" for day in days]
translator = Seq2SeqTranslator(
    hidden_layer_sizes=48,
    attention="general",
    learning_rate_init=0.01,
    batch_size=32,
    max_iter=8,
    random_state=0,
).fit(written[:1200], sorted_by[:1200])

said = translator.predict(written[1200:])
right = sum(a == b for a, b in zip(said, sorted_by[1200:], strict=True))
print(f"{right} of 100 new dates, among them {written[1200]} → {said[0]}")

# %%

fig, ax = plt.subplots(figsize=(5.2, 4.6))
AttentionDisplay.from_estimator(
    translator, written[1200], ax=ax, name="What it reads for what it writes"
)
