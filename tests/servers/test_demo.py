"""The demo, as ``make demo`` runs it."""

import re
import signal

import pytest
from demos import is_left_alone, start


@pytest.mark.parametrize("app", ["bottle", "pyramid"])
def test_the_demo_shows_the_run_and_each_effect_happens_once(app, tmp_path):
    demo = start(tmp_path, "demo.py", app)
    out, err = demo.communicate(timeout=300)
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
def test_an_interrupted_demo_leaves_nothing_behind(number, when, tmp_path):
    demo = start(tmp_path, "demo.py", "bottle")
    for line in demo.stdout:
        if when in line:
            break
    demo.send_signal(number)
    out, err = demo.communicate(timeout=300)
    assert demo.returncode == 130
    assert "Stopped." in out and "Traceback" not in err
    assert is_left_alone(tmp_path)
