"""JSON, its canonical form, durations and points in time."""

import contextlib
import datetime
import gc
import json
import sys
import time
import typing as t

import pytest
import rfc8785
from hypothesis import given, strategies as st

import inngest_wsgi as inngest
from inngest_wsgi._codec import durations, jcs, json as _json

UTC = datetime.timezone.utc
CET = datetime.timezone(datetime.timedelta(hours=1))

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=30,
)


@given(json_values)
def test_canonical_form_is_that_of_an_independent_implementation(value):
    assert jcs.canonical(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_canonical_numbers(value):
    assert jcs.canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "\ud800", {"\ud800": 1}])
def test_values_without_a_canonical_form_are_refused(value):
    with pytest.raises(ValueError):
        jcs.canonical(value)


@given(json_values)
def test_json_round_trip(value):
    assert _json.loads(_json.dumps(value)) == value


class Thing:
    pass


def loop():
    found = {"a": []}
    found["a"].append(found)
    return found


def deep():
    found = []
    for _ in range(100000):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value, path, why",
    [
        (Thing(), "$", "Thing"),
        ({"items": [0, 1, 2, {"price": Thing()}]}, "$.items[3].price", "Thing"),
        ([{1, 2}], "$[0]", "set"),
        ({"a": float("nan")}, "$.a", "nan"),
        ([1.0, float("-inf")], "$[1]", "inf"),
        ({"a": {(1, 2): 3}}, "$.a", "tuple"),
        (loop(), "$.a[0]", "itself"),
        (deep(), "$", "nested too deeply"),
        (b"bytes", "$", "bytes"),
    ],
)
def test_a_value_that_is_not_json_is_named_with_its_path(value, path, why):
    with pytest.raises(inngest.OutputError) as caught:
        _json.dumps(value)
    assert str(caught.value).startswith(path + " is not JSON: ")
    assert why in str(caught.value)


MANY = 100_000


def lines_of(call):
    """Return how many lines of Python were run, and what was raised."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    # what is called for objects of other tests as they are freed is not counted
    gc.collect()
    gc.disable()
    sys.settrace(trace)
    try:
        call()
    except Exception as exc:
        return count, exc
    finally:
        sys.settrace(before)
        gc.enable()
    return count, None


FLOATS = [n / 7 for n in range(MANY)]


@pytest.mark.parametrize(
    "value, path",
    [
        (FLOATS + [float("nan")], f"$[{MANY}]"),
        ([float("nan")] + FLOATS, "$[0]"),
        (FLOATS + [float("nan")] + FLOATS, f"$[{MANY}]"),
        ({"rows": [FLOATS, FLOATS + [float("inf")], float("nan")]}, f"$.rows[1][{MANY}]"),
        ([{"a": n} for n in FLOATS] + [{"a": {1}}], f"$[{MANY}].a"),
        ({str(n): n for n in range(MANY)}, None),
        (dict({str(n): n for n in range(MANY)}, last=float("nan")), "$.last"),
        ({n: n for n in [*range(MANY), (1,)]}, "$"),
        ([[FLOATS + [float("nan")], 1], 1], f"$[0][0][{MANY}]"),
        ([[n, n] for n in FLOATS] + [[1, [Thing()]]], f"$[{MANY}][1][0]"),
    ],
)
def test_a_fault_in_a_large_value_is_not_looked_for_item_by_item(value, path):
    lines, error = lines_of(lambda: _json.dumps(value))
    assert (None if error is None else str(error).partition(" is not JSON")[0]) == path
    assert lines < MANY / 10


@given(json_values, st.lists(st.integers(0, 300), max_size=4))
def test_a_fault_is_found_wherever_it_is(value, before):
    path = "$"
    found: t.Any = float("nan")
    for size in before:
        path = f"$[{size}]" + path[1:]
        found = [value] * size + [found, value]
    with pytest.raises(inngest.OutputError) as caught:
        _json.dumps(found)
    assert str(caught.value) == f"{path} is not JSON: nan has no form in JSON"


@pytest.mark.parametrize(
    "value, typ, said",
    [
        (FLOATS, t.List[float], None),
        (FLOATS + [float("nan")], t.List[float], "nan"),
        ({1.5, float("inf")}, t.Set[float], "infinity"),
        ({datetime.date(2027, 1, 1): float("nan")}, t.Dict[datetime.date, float], "nan"),
        ({float("nan"): 1}, t.Dict[float, int], "nan"),
    ],
)
def test_a_serializer_looks_at_each_float_in_c(value, typ, said):
    serializer = inngest.PydanticSerializer()
    # pydantic is imported with the first value, and that does not count
    serializer.serialize([], t.List[float])
    lines, error = lines_of(lambda: serializer.serialize(value, typ))
    assert (said is None and error is None) or said in str(error)
    assert lines < MANY / 10


@pytest.mark.parametrize(
    "value, ms, text",
    [
        (0, 0, "0s"),
        (1, 1, "1ms"),
        (90 * 60 * 1000, 5400000, "1h30m"),
        ("1h30m", 5400000, "1h30m"),
        ("1.1s", 1100, "1s100ms"),
        ("0.3us", 1, "1ms"),
        ("1000000ns", 1, "1ms"),
        ("1w", 604800000, "7d"),
        ("1s1s", 2000, "2s"),
        (datetime.timedelta(days=1, microseconds=1), 86400001, "1d1ms"),
        (datetime.timedelta(seconds=2), 2000, "2s"),
        (datetime.timedelta(microseconds=1), 1, "1ms"),
        (datetime.timedelta.max, 86400000 * 10**9, "1000000000d"),
    ],
)
def test_durations(value, ms, text):
    assert durations.milliseconds(value) == ms
    assert durations.to_timestr(value) == text


@pytest.mark.parametrize(
    "value",
    ["", "1", "soon", "1 s", "-1s", "1y", "1S", "s", "1.s", ".5s", "1e3s", "1h 30m", "١s"]
    + ["9" * 200 + "s"]
    + [-1, 1.5, datetime.timedelta.min, True, None, datetime.timedelta(seconds=-1), float("nan")],
)
def test_invalid_durations_are_refused(value):
    with pytest.raises(ValueError):
        durations.milliseconds(value)


@given(st.integers(0, 400 * 86400 * 1000))
def test_a_duration_as_text_has_the_same_length(ms):
    assert durations.milliseconds(durations.to_timestr(ms)) == ms


@pytest.fixture
def zone(monkeypatch):
    """Set the local time zone."""
    if not hasattr(time, "tzset"):
        pytest.skip("the zone cannot be set")

    def set_zone(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "value, text",
    [
        # winter and summer
        (datetime.datetime(2027, 1, 15, 12), "2027-01-15T17:00:00.000Z"),
        (datetime.datetime(2027, 7, 15, 12), "2027-07-15T16:00:00.000Z"),
        # 02:30 is left out: half an hour after 01:59
        (datetime.datetime(2027, 3, 14, 1, 59), "2027-03-14T06:59:00.000Z"),
        (datetime.datetime(2027, 3, 14, 2, 30), "2027-03-14T07:30:00.000Z"),
        (datetime.datetime(2027, 3, 14, 3, 30), "2027-03-14T07:30:00.000Z"),
        # 01:30 comes twice
        (datetime.datetime(2027, 11, 7, 1, 30), "2027-11-07T05:30:00.000Z"),
        (datetime.datetime(2027, 11, 7, 1, 30, fold=1), "2027-11-07T06:30:00.000Z"),
        # with a zone, the local one does not matter
        (datetime.datetime(2027, 1, 15, 12, tzinfo=UTC), "2027-01-15T12:00:00.000Z"),
        (datetime.datetime(2027, 1, 15, 12, tzinfo=CET), "2027-01-15T11:00:00.000Z"),
    ],
)
def test_a_time_without_a_zone_is_local(value, text, zone):
    zone("America/New_York")
    assert durations.to_rfc3339(value) == text
    wait = durations.within_a_year(value, value.timestamp() - 60)
    assert (wait, durations.retry_after(value)) == (text, text)
    assert durations.to_rfc3339(durations.to_datetime(value)) == text
    assert durations.unix_milliseconds(value) == value.timestamp() * 1000


@given(st.datetimes())
def test_each_time_is_converted_or_refused(value):
    for convert in (durations.to_rfc3339, durations.to_datetime, durations.unix_milliseconds):
        with contextlib.suppress(ValueError):
            convert(value)


@pytest.mark.parametrize("name", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("value", [datetime.datetime.min, datetime.datetime.max])
def test_a_time_out_of_range(value, name, zone):
    zone(name)
    # one end of the calendar for either zone
    for make in (
        lambda: durations.within_a_year(value, 0),
        lambda: inngest.RetryAfterError("m", value),
    ):
        with contextlib.suppress(ValueError):
            make()


class NoOffset(datetime.tzinfo):
    def utcoffset(self, moment):
        return None

    def dst(self, moment):
        return None

    def tzname(self, moment):
        return "nowhere"


def test_a_time_zone_without_an_offset_is_refused():
    value = datetime.datetime(2027, 1, 15, 12, tzinfo=NoOffset())
    for convert in (
        durations.to_rfc3339,
        durations.to_datetime,
        durations.unix_milliseconds,
        lambda moment: durations.within_a_year(moment, 0),
        lambda moment: inngest.RetryAfterError("m", moment),
        lambda moment: inngest.Event(name="a", ts=moment),
    ):
        with pytest.raises(ValueError, match="the time zone of 2027-01-15 12:00:00 has no offset"):
            convert(value)


@pytest.mark.parametrize(
    "value, text",
    [
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime.datetime(2026, 1, 1, 0, 30, tzinfo=CET), "2025-12-31T23:30:00.000Z"),
        (datetime.datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00.000Z"),
    ],
)
def test_points_in_time(value, text):
    assert durations.to_rfc3339(value) == text


@pytest.mark.parametrize(
    "value, header",
    [
        (3000, "3"),
        (3001, "4"),
        (0, "1"),
        ("1m", "60"),
        (datetime.timedelta(hours=1), "3600"),
        (datetime.datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000Z"),
    ],
)
def test_retry_after(value, header):
    error = inngest.RetryAfterError("m", value)
    assert error.header == header
    if not isinstance(value, datetime.datetime):
        ahead = error.retry_after - datetime.datetime.now(UTC)
        assert abs(ahead.total_seconds() - durations.milliseconds(value) / 1000) < 60


@pytest.mark.parametrize("value", [-1, "later", None, 1.5])
def test_a_retry_after_that_cannot_be_read(value):
    with pytest.raises(ValueError):
        inngest.RetryAfterError("m", value)


def test_numbers_as_the_server_writes_them():
    # the first memo of recording 51: what was 12345678901234567890 and -0.0
    wire = '{"big":12345678901234567000,"e":1e+21,"n":1.5,"neg0":0}'
    assert jcs.canonical(json.loads(wire)) == wire.encode()
