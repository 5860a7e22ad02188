"""A process that is killed loses no step that was stored."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest
import urllib3

from inngest_wsgi.testing import LocalServer

WORKER = pathlib.Path(__file__).resolve().parents[1] / "support" / "killed_worker.py"


@contextlib.contextmanager
def restarted(*arguments):
    """Run a process, and another one whenever it has ended; yields the list of
    exit codes, and an event that is set once the first one listens."""
    codes, listens, over = [], threading.Event(), threading.Event()
    running = []

    def supervise():
        while not over.is_set():
            child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE)
            running.append(child)
            assert child.stdout is not None
            if child.stdout.readline():
                listens.set()
            child.stdout.close()
            codes.append(child.wait())
            listens.set()

    thread = threading.Thread(target=supervise)
    thread.start()
    try:
        assert listens.wait(60)
        yield codes
    finally:
        over.set()
        running[-1].kill()
        thread.join(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals")
@pytest.mark.parametrize(
    "buffered, deaths, twice",
    [
        # before the step has an effect, after it, before it is sent, and once it is stored
        (1, ["before b", "after b", "unsent c", "stored d"], ["b", "c"]),
        # the buffer is lost as a whole: all three of a, b, c
        (3, ["unsent c", "stored f"], ["a", "b", "c"]),
    ],
)
def test_a_step_runs_again_only_if_it_was_not_stored(buffered, deaths, twice, tmp_path):
    (tmp_path / "deaths").write_text("\n".join(deaths))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with LocalServer(retry_interval=1) as server:
        arguments = [str(WORKER), str(tmp_path), server.url, str(port), str(buffered)]
        with restarted(*arguments) as codes:
            urllib3.PoolManager().request("PUT", f"http://127.0.0.1:{port}/api/inngest")
            (event_id,) = server.send({"name": "test/event"})
            run = server.wait_for_run(event_id, timeout=100)
            died = list(codes)
    assert (run.status, run.output) == ("Completed", "abcdef")
    assert died == [-9] * len(deaths)
    effects = (tmp_path / "effects").read_text().split()
    assert sorted(effects) == sorted([*"abcdef", *twice])
