"""Run a demo of the examples, and find what it leaves behind."""

import os
import pathlib
import subprocess
import sys
import time

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def start(tmp_path, script, *arguments):
    """Start a demo that keeps all its files in ``tmp_path``."""
    environ = dict(os.environ, HOME=str(tmp_path), TMPDIR=str(tmp_path), INNGEST_DEV="nonsense")
    return subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLES / script)] + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        env=environ,
    )


def is_left_alone(tmp_path):
    """Return True if no process uses the demo's temporary folder, and the folder
    is empty.

    Waits a moment for killed processes to end.
    """
    until = time.monotonic() + 60
    while processes_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    return (processes_of(tmp_path), os.listdir(str(tmp_path))) == ([], [])


def processes_of(tmp_path):
    """Return the command lines of the processes that use the demo's temporary
    folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            # nginx overwrites its environ, but has a log file open in the folder
            opened = [os.readlink(str(link)) for link in (path / "fd").iterdir()]
            environ = (path / "environ").read_bytes().decode("utf-8", "replace")
            if any(str(tmp_path) in text for text in [environ] + opened):
                found.append((path / "cmdline").read_bytes())
        except OSError:
            pass
    return found
