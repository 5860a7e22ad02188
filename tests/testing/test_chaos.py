"""A thousand random programs, each in a run with random interleavings and
faults: every run ends, as it would without a server, and each step runs well
once, whatever calls come late, twice, or to nothing."""

import chaos
import pytest

from inngest_wsgi._execution import checkpoint
from inngest_wsgi._server_api import retry

SEEDS = 1000
#: In so many tests, for as many workers as there may be.
CHUNKS = 20


@pytest.fixture(autouse=True)
def no_waits_between_attempts(monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_RETRY", retry.Retry(attempts=1))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_runs_end_as_they_have_to_whatever_comes_between(chunk):
    for seed in range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS):
        chaos.explore(seed)
