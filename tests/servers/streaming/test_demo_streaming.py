"""The streaming demo, as ``make demo-streaming`` runs it. It needs nginx."""

import re
import signal

import pytest
from demos import is_left_alone, processes_of, start

#: Seconds since the run began, at the least, and what happens: two calls that
#: nginx gives up after 2 s, 1 s between them; and a step of 8 s at each of
#: them.
IN_ONE_PIECE = [
    (2, "", "function error", "attempt 0, Your server returned HTTP 504 before"),
    (2, "", "retry scheduled", "attempt 1, in 1.0 s"),
    (5, "", "function error", "attempt 1, Your server returned HTTP 504 before"),
    (5, "", "failed", ""),
    (8, "write-report", "ran all the same", "report of attempt 0"),
    (11, "write-report", "ran all the same", "report of attempt 1"),
]
STREAMED = [
    (8, "write-report", "step ran", "attempt 0"),
    (8, "", "completed", ""),
]


def check_rows(rows, out):
    """Assert that the output has exactly these rows in this order, and that none
    comes early."""
    pattern = "".join(
        r" *(\d+\.\d\d) s +{} +{} +{}.*\n".format(*map(re.escape, columns)) for _, *columns in rows
    )
    found = re.search(pattern, out)
    assert found, out
    for (at_s, *_), text in zip(rows, found.groups()):
        assert at_s - 0.01 <= float(text), out


def answered(out, *statuses):
    """After how many seconds nginx gave these answers."""
    pattern = ", ".join(status + r" after (\d+\.\d+) s" for status in statuses)
    found = re.search("nginx answered +" + pattern + "\n", out)
    assert found, out
    return [float(text) for text in found.groups()]


def test_the_run_fails_in_one_piece_and_completes_streamed(tmp_path):
    demo = start(tmp_path, "demo_streaming.py")
    out, err = demo.communicate(timeout=300)
    assert demo.returncode == 0, out + err
    title, plain, streamed = re.split(r"\n[12]\. ", out)
    assert plain.startswith("In one piece (INNGEST_STREAMING=false)")
    check_rows(IN_ONE_PIECE, plain)
    assert all(seconds >= 2 for seconds in answered(plain, "504", "504"))
    assert re.search("reports +report of attempt 0, report of attempt 1\n", plain)
    assert re.search(r"the server got +HTTP 504, text/html, .*504 Gateway Time-out", plain), plain
    assert streamed.startswith("Streamed (INNGEST_STREAMING=allow)")
    check_rows(STREAMED, streamed)
    assert answered(streamed, "201")[0] >= 8
    assert re.search("reports +report of attempt 0\n", streamed)
    assert 'output                   "written"' in streamed
    assert err == ""
    assert is_left_alone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("when", ["app (gunicorn", "nginx in front", "started", "504 before"])
def test_an_interrupted_demo_leaves_nothing_behind(number, when, tmp_path):
    demo = start(tmp_path, "demo_streaming.py")
    for line in demo.stdout:
        if when in line:
            break
    if when == "started":
        assert any(b"nginx: worker" in command for command in processes_of(tmp_path))
    demo.send_signal(number)
    out, err = demo.communicate(timeout=300)
    assert demo.returncode == 130
    assert "Stopped." in out and "Traceback" not in err
    assert is_left_alone(tmp_path)
