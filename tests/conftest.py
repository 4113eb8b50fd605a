"""How many random cases hypothesis draws: some for every change, many more by night."""

import os

from hypothesis import HealthCheck, settings

quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("default", max_examples=40, derandomize=True, **quiet)
settings.register_profile("nightly", max_examples=1000, **quiet)
settings.load_profile(os.environ.get("ELMAN_HYPOTHESIS_PROFILE", "default"))
