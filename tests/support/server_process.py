"""Real WSGI servers, each in a process of its own."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


@contextlib.contextmanager
def process(command, listening, **environ):
    """Run a server as a separate process; yields its origin.

    :param command: a Python module and its arguments
    :param listening: a pattern of the log line that says it listens, with the
        origin as group 1
    :param environ: additional environment variables
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
    env.update(environ)
    env["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1] / "examples")])
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(
            [sys.executable, "-m"] + command, cwd=str(HERE), env=env, stdout=log, stderr=log
        )
        try:
            yield _wait_for(listening, child, log)
        finally:
            child.terminate()
            child.wait(60)


def _wait_for(listening, child, log):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        # the child writes at the offset that we share with it
        text = os.pread(log.fileno(), 100000, 0).decode()
        found = re.search(listening, text)
        if found:
            return found.group(1)
        if child.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError("the server does not listen:\n" + text)
