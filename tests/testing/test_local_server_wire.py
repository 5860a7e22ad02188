"""Parts of the wire format: JSON, signatures, times."""

import json
import sys

import pytest
import rfc8785
from hypothesis import example, given, strategies as st
from raw_app import WIRE, calls_of, recording, signature

from inngest_wsgi.testing._flow.cron import CronUnsupported, Schedule, is_cron
from inngest_wsgi.testing._run.retries import backoff
from inngest_wsgi.testing._wire import times as _times
from inngest_wsgi.testing._wire.canonical import canonical, loads, normalised
from inngest_wsgi.testing._wire.signing import SigningKey

SERVER = json.loads((WIRE / "server-expressions.json").read_text(encoding="utf-8"))

# -- canonical JSON --------------------------------------------------------------

_text = st.text(st.characters(blacklist_categories=["Cs"]))
_values = st.recursive(
    st.none()
    | st.booleans()
    | _text
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(_text, inner),
    max_leaves=20,
)


@given(_values)
@example(1e21)
@example(123456789012345680000.0)
@example(1e-7)
@example(-0.0)
@example(5e-324)
@example(0.1 + 0.2)
@example({"\U0001f600": 1, "\ufb33": 2, "a\u2028": "\x7f\x1f"})
def test_canonical_agrees_with_the_oracle(value):
    assert canonical(value) == rfc8785.dumps(value)
    assert loads(canonical(value)) == normalised(value)


@given(st.integers(-(10**300), 10**300))
def test_big_integers_are_written_as_the_nearest_double(number):
    assert float(canonical(number)) == float(number)
    assert canonical(number) == canonical(float(number)) or abs(number) <= 2**53


def test_numbers_as_recorded():
    assert canonical(12345678901234567890) == b"12345678901234567000"
    assert canonical([1.0, -0.0, 1e21]) == b"[1,0,1e+21]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_numbers_that_are_not_json_are_refused(value):
    with pytest.raises(ValueError):
        canonical([value])


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", "1" * 400, "[" * 100000])
def test_texts_that_are_not_json_are_refused(text):
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("value", [{1: 2}, object(), {"a": {2}}])
def test_values_that_are_not_json_are_refused(value):
    with pytest.raises(TypeError):
        canonical(value)


def test_a_lone_surrogate_is_replaced():
    assert canonical("a\ud800") == '"a\ufffd"'.encode()


def test_recorded_call_bodies_are_canonical():
    for number in ("03", "05", "38", "51"):
        for exchange in calls_of(recording(number)):
            body = exchange["request"]["body"]
            assert canonical(json.loads(body)) == body.encode()


# -- signatures ------------------------------------------------------------------


def test_recorded_signatures():
    recorded = recording(51)
    key = SigningKey(recorded["signing_key"])
    bare = SigningKey(recorded["signing_key"].rsplit("-", 1)[1])
    checked = 0
    for exchange in calls_of(recorded):
        for side in ("request", "response"):
            message = exchange[side]
            headers = {k.lower(): v for k, v in message["headers"].items()}
            header, body = headers["x-inngest-signature"], message["body"].encode()
            stamp = int(header[2:].split("&")[0])
            assert key.sign(body, at=stamp) == bare.sign(body, at=stamp) == header
            assert key.problem(header, body, at=stamp) is None
            assert "match" in str(key.problem(header, body + b" ", at=stamp))
            checked += 1
    assert checked == 4


def test_signatures_that_are_refused():
    secret = "ab" * 32
    key = SigningKey(secret)
    good = signature(secret, b"body", at=1000)
    assert key.problem(good, b"body", at=1000) is None
    assert key.problem(good, b"body", at=1300) is None
    assert key.problem(good, b"body", at=700) is None
    assert "five minutes" in str(key.problem(good, b"body", at=1301))
    assert "five minutes" in str(key.problem(good, b"body", at=699))
    assert "match" in str(key.problem(signature("cd" * 32, b"body", at=1000), b"body", at=1000))
    assert "not signed" in str(key.problem(None, b"body", at=1000))
    for malformed in ("t=1000", "s=" + "0" * 64, "t=x&s=" + "0" * 64, good + "0", good.upper()):
        assert "malformed" in str(key.problem(malformed, b"body", at=1000))


@pytest.mark.parametrize("text", ["", "not hex", "abc", "signkey-test-", "signkey-test-xyz"])
def test_invalid_keys(text):
    with pytest.raises(ValueError) as caught:
        SigningKey(text)
    assert not text or text not in str(caught.value)


# -- durations and dates -----------------------------------------------------------


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("1s", 1),
        ("1s500ms", 1.5),
        ("0.05m", 3),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
        ("0", 0),
        ("-5s", -5),
        ("1.5h", 5400),
        ("500us", 0.0005),
        ("1 s", None),
        ("1y", None),
        ("soon", None),
        ("", None),
        ("5", None),
        ("s", None),
    ],
)
def test_durations(text, seconds):
    assert _times.parse_duration(text) == (seconds and pytest.approx(seconds))


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("1970-01-02", 86400),
        ("1970-01-01T01:00:00Z", 3600),
        ("1970-01-01T01:00:00.25+01:00", 0.25),
        ("1970-01-01t00:00:00-00:30", 1800),
        ("1970-01-01T00:00:00", None),
        ("1970-13-01", None),
        ("1970-01-01 00:00", None),
        ("1h", 3600),
        ("", 0),
    ],
)
def test_sleeps_until(text, seconds):
    assert _times.parse_sleep(text, 0) == seconds


@pytest.mark.parametrize(
    "text, expected",
    [
        ("TZ=Europe/Paris 0 9 * * 1-5", True),
        ("CRON_TZ=UTC 59 23 31 12 6", True),
        ("TZ=Europe/Paris", False),
        ("TZ=Europe/Paris\t0 9 * * *", False),
        ("TZ=Local  0 9 * * *", True),
        ("TZ= 0 9 * * *", True),
        ("", False),
    ],
)
def test_cron_expressions_with_a_time_zone(text, expected):
    """The others are in tests/checks, with a server's verdicts."""
    assert is_cron(text) is expected


@pytest.mark.parametrize(
    "text, start, times",
    SERVER["crons"],
    ids=[f"{row[0]} after {row[1]}" for row in SERVER["crons"]],
)
def test_a_cron_expression_fires_when_a_server_fires_it(text, start, times):
    schedule, found = Schedule(text), []
    began = _times.parse_date(start)
    assert began is not None
    moment: "float | None" = began.timestamp()
    while moment is not None and len(found) < len(times):
        moment = schedule.after(moment)
        found.append("never" if moment is None else _times.rfc3339(moment).replace(".000Z", "Z"))
    assert found == times


@given(
    st.sampled_from(["*/7 * * * *", "TZ=Europe/Berlin 30 1-3 * * *", "TZ=Asia/Tehran 0 0 * * *"]),
    st.integers(1_500_000_000, 1_800_000_000) | st.floats(1.5e9, 1.8e9),
)
def test_a_cron_expression_fires_after_the_moment_asked_for(text, moment):
    schedule = Schedule(text)
    later = schedule.after(moment)
    assert later is not None and later > moment and later % 60 == 0
    assert schedule.after(later - 0.5) == later
    assert (schedule.after(later) or 0) > later


@pytest.mark.parametrize("missing", ["cronsim", "zoneinfo"])
def test_without_its_library_a_cron_expression_names_the_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, "backports.zoneinfo", None)
    with pytest.raises(CronUnsupported, match=r"pip install 'inngest-wsgi\[testing\]'"):
        Schedule("TZ=Europe/Berlin 0 9 * * *")


def test_retry_after_is_clipped():
    assert _times.parse_retry_after("9999999", 0) == 86400
    assert _times.parse_retry_after("1970-03-01T00:00:00Z", 0) == 86400
    assert _times.parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 0) == 60


def test_the_retry_schedule():
    bases = [15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200]
    for attempt, base in enumerate(bases):
        assert base <= backoff(attempt) <= base + 30
