"""The streaming demo, as ``make demo-streaming`` runs it. It needs nginx."""

import re
import signal

import pytest
from demos import is_left_alone, processes_of, start

#: Seconds since the run began, and what happens: two calls that nginx gives
#: up after 2 s, 1 s between them; and a step of 8 s at each of them.
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
    comes early or much too late."""
    pattern = "".join(
        r" *(\d+\.\d\d) s +{} +{} +{}.*\n".format(*map(re.escape, columns)) for _, *columns in rows
    )
    found = re.search(pattern, out)
    assert found, out
    for (at_s, *_), text in zip(rows, found.groups()):
        assert at_s - 0.01 <= float(text) < at_s + 3, out


def test_the_run_fails_in_one_piece_and_completes_streamed(tmp_path):
    demo = start(tmp_path, "demo_streaming.py")
    out, err = demo.communicate(timeout=90)
    assert demo.returncode == 0, out + err
    title, plain, streamed = re.split(r"\n[12]\. ", out)
    assert plain.startswith("In one piece (INNGEST_STREAMING=false)")
    check_rows(IN_ONE_PIECE, plain)
    assert re.search(r"nginx answered +504 after 2\.\d+ s, 504 after 2\.\d+ s\n", plain), plain
    assert re.search("reports +report of attempt 0, report of attempt 1\n", plain)
    assert re.search(r"the server got +HTTP 504, text/html, .*504 Gateway Time-out", plain), plain
    assert streamed.startswith("Streamed (INNGEST_STREAMING=allow)")
    check_rows(STREAMED, streamed)
    assert re.search(r"nginx answered +201 after 8\.\d+ s, 201 after 0\.\d+ s\n", streamed)
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
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Stopped." in out and "Traceback" not in err
    assert is_left_alone(tmp_path)
