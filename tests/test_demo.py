"""The demo, as ``make demo`` runs it."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

DEMO = pathlib.Path(__file__).resolve().parent.parent / "examples" / "demo.py"


def start(app, tmp_path):
    environ = dict(os.environ, HOME=str(tmp_path), TMPDIR=str(tmp_path), INNGEST_DEV="nonsense")
    return subprocess.Popen(
        [sys.executable, "-u", str(DEMO), app],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        env=environ,
    )


def is_left_alone(tmp_path):
    """Whether nothing runs with the demo's temporary folder, and it is empty.
    What was killed takes a moment to be gone."""
    until = time.monotonic() + 5
    while processes_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    return (processes_of(tmp_path), os.listdir(str(tmp_path))) == ([], [])


def processes_of(tmp_path):
    """Command lines of what runs with the demo's temporary folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(tmp_path).encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes())
        except OSError:
            pass
    return found


@pytest.mark.parametrize("app", ["bottle", "pyramid"])
def test_the_run_is_shown_and_each_effect_is_there_once(app, tmp_path):
    demo = start(app, tmp_path)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, out + err
    lines = [
        ("load-order", "step ran", "attempt 0"),
        ("charge", "step error", "attempt 0, GatewayBusy"),
        ("charge", "step ran", "attempt 1"),
        ("wait-for-packing", "sleeping", ""),
        ("wait-for-packing", "woke", ""),
        ("confirm", "step ran", "attempt 0"),
        ("", "completed", ""),
    ]
    pattern = ".*".join(r"\d+\.\d\d s +{} +{} +{}".format(*map(re.escape, line)) for line in lines)
    assert re.search(pattern, out, re.DOTALL), out
    assert 'output: "order 1 (a teapot) is on its way"' in out
    assert "charges:       [(1, 1, 2599)]" in out
    assert "confirmations: [(1, 1, 1)]" in out
    assert err == ""
    assert is_left_alone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("when", ["local server", "sync", "sleeping"])
def test_stopped_early_it_leaves_nothing_behind(number, when, tmp_path):
    demo = start("bottle", tmp_path)
    for line in demo.stdout:
        if when in line:
            break
    demo.send_signal(number)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Stopped." in out and "Traceback" not in err
    assert is_left_alone(tmp_path)
