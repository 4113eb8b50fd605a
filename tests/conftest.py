"""How many random cases hypothesis draws, what Ctrl-C does while tests run, and a cluster."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("default", max_examples=40, derandomize=True, **quiet)
settings.register_profile("nightly", max_examples=1000, **quiet)
settings.load_profile(os.environ.get("ELMAN_HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_interrupts():
    """A shell starts what it puts into the background with SIGINT ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def dask_client():
    """A client of two workers; tests may kill them, for others take their place."""
    from clusters import cluster_of

    with cluster_of(2) as client:
        yield client
