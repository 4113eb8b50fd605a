"""The learning rate of update t = 0, 1, ... (schedule.hpp)."""

import numpy as np


def learning_rate(schedule, eta, t, power_t=0.5, warmup_steps=0, total_steps=0):
    if schedule == "invscaling":
        return eta / (t + 1) ** power_t
    if schedule == "cosine":
        if t < warmup_steps:
            return eta * (t + 1) / warmup_steps
        progress = min(1, (t - warmup_steps) / (total_steps - warmup_steps))
        return eta / 2 * (1 + np.cos(np.pi * progress))
    return eta
