"""Run random programs, each with random interleavings and faults.

Every run ends as the program would without a server, and each step succeeds
once, even if calls are late, made twice, or lost.
"""

import chaos
import pytest
from hypothesis import settings

from inngest_wsgi._execution import checkpoint
from inngest_wsgi._server_api import retry

#: 1,000, unless --hypothesis-profile asks for fewer.
SEEDS = 10 * settings().max_examples
#: The number of tests the seeds are split into, so that workers can share them.
CHUNKS = 20


@pytest.fixture(autouse=True)
def no_waits_between_attempts(monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_RETRY", retry.Retry(attempts=1))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_runs_with_faults_end_as_without_a_server(chunk):
    for seed in range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS):
        chaos.explore(seed)
