"""JSON is the same with orjson and without it, for all that is read and written."""

import collections
import dataclasses
import datetime
import decimal
import enum
import hashlib
import json
import re
import subprocess
import sys
import types
import typing as t
import uuid
from unittest import mock

import pytest
from hypothesis import example, given, settings, strategies as st

import inngest_wsgi as inngest
from inngest_wsgi._codec import json as _json

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]
    FRAGMENTS = []
else:
    FRAGMENTS = [orjson.Fragment(b"{")] if hasattr(orjson, "Fragment") else []

needs_orjson = pytest.mark.skipif(orjson is None, reason="orjson is not installed")


class Text(str):
    pass


class Number(int):
    pass


class Real(float):
    pass


class Table(dict):
    pass


class Row(list):
    pass


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Level(enum.IntEnum):
    LOW = 1


class Named(str, enum.Enum):
    A = "a"


Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Point:
    x: int = 1


#: values that orjson writes in another way, or refuses, or not
ODD = [
    Text("a"),
    Number(5),
    Number(10**30),
    Real(1.5),
    Real("nan"),
    Table(a=1),
    Row([1]),
    Color.RED,
    Color.ONE,
    Level.LOW,
    Named.A,
    Pair(1, 2),
    Point(),
    datetime.datetime(2027, 1, 1),
    datetime.date(2027, 1, 1),
    datetime.time(1),
    uuid.UUID(int=1),
    decimal.Decimal("1.5"),
    collections.OrderedDict(a=1),
    collections.defaultdict(int, a=1),
    types.MappingProxyType({"a": 1}),
    b"bytes",
    bytearray(b"a"),
    {1},
    frozenset(),
    object(),
    range(2),
    1j,
    *FRAGMENTS,
]
KEYS = [Text("a"), Number(1), Level.LOW, Named.A, Color.RED, Real(1.5), uuid.UUID(int=1), b"a"]

integers = st.one_of(
    st.integers(),
    st.integers(-10, 10),
    st.sampled_from([2**53, 2**63, 2**64, -(2**63), 10**30]).flatmap(
        lambda edge: st.integers(edge - 2, edge + 2)
    ),
)
floats = st.one_of(
    st.floats(),
    st.floats(1e-6, 1e-3),
    st.floats(1e14, 1e18),
    st.sampled_from([-0.0, 1e16, 1e-7, 5e-324, 1e-4, 9999999999999998.0, 1e22, 1.5e300]),
)
texts = st.text() | st.text(st.characters(categories=["Cs"])) | st.text('\x00\x1f\x7f"\\/\u2028é')
scalars = st.none() | st.booleans() | integers | floats | texts
keys = texts | st.none() | st.booleans() | integers | floats | st.sampled_from(KEYS)


def values(leaves, keys):
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5),
            st.lists(inner, max_size=5).map(tuple),
            st.dictionaries(keys, inner, max_size=5),
        ),
        max_leaves=12,
    )


def outcome(call, *args):
    """Return what a call returned, such that no two different values are equal, or what it
    raised."""
    try:
        return repr(call(*args))
    except (ValueError, inngest.OutputError) as error:
        return f"{type(error).__name__}: {error}"


def both(call, *args):
    """Return the outcomes without orjson and with it."""
    fast = _json._fast
    try:
        _json._fast = None
        without = outcome(call, *args)
    finally:
        _json._fast = fast
    assert fast is not None
    return without, outcome(call, *args)


# -- the same with orjson --------------------------------------------------------


@needs_orjson
@settings(max_examples=30 * settings().max_examples)
@given(values(scalars, texts) | values(scalars | st.sampled_from(ODD), keys))
@example([0.0, 1e-5])
@example([1, None, 1e-5])
@example([1.5, float("nan")])
@example({"a": float("inf")})
@example([Color.RED])
@example({Color.RED: 1})
@example([[1.5, "a"], [1e16, "b"]])
def test_the_same_is_written_with_orjson(value):
    without, with_orjson = both(_json.dumps, value)
    assert with_orjson == without


@needs_orjson
@pytest.mark.parametrize("value", [[odd] for odd in ODD] + [{key: 1} for key in KEYS])
def test_types_are_written_the_same_with_orjson(value):
    without, with_orjson = both(_json.dumps, value)
    assert with_orjson == without


@needs_orjson
@pytest.mark.parametrize("depth", [10, 200, 253, 254, 255, 256, 400, 100_000])
def test_depth_is_written_the_same_with_orjson(depth):
    value: t.Any = 1
    for _ in range(depth):
        value = [value]
    without, with_orjson = both(_json.dumps, value)
    assert with_orjson == without


def loop():
    value = {}
    value["a"] = [value]
    return value


@needs_orjson
def test_a_value_that_contains_itself_is_refused_the_same_with_orjson():
    without, with_orjson = both(_json.dumps, loop())
    assert with_orjson == without and "contains itself" in without


#: pieces from which texts are made that are almost JSON
PIECES = [
    *'[]{}:,"0123456789.-+eE \n\t\r\x0b\xa0',
    *('"a"', '"b":', "null", "true", "NaN", "-Infinity", "1e400", "-0", "-0.0", "5e-324", "1.5"),
    *(
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\udead\\ud83d"',
        '"\\u0000"',
        '"\x01"',
        '"\\x"',
        "\ufeff",
    ),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "1" * 40),
    *("0.1234567890123456789", "9007199254740993.0", "2.2250738585072011e-308", "1e-400"),
]
raws = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map(lambda parts: "".join(parts).encode()),
    values(scalars, texts).map(lambda value: json.dumps(value).encode()),
    values(scalars, texts).map(
        lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    ),
    st.binary(max_size=20),
    st.tuples(values(scalars, texts), st.binary(max_size=3)).map(
        lambda pair: json.dumps(pair[0]).encode() + pair[1]
    ),
)


@needs_orjson
@settings(max_examples=3 * settings().max_examples)
@given(raws)
@example(b'{"a":1,"b":2,"a":3}')
@example(b'\xef\xbb\xbf{"a":1}')
@example(b' \n{"a":1}\r\n ')
@example(b'{"a":1}\x00')
@example(b'"\xed\xa0\x80"')
@example(b'"\xff"')
@example(b"[1,]")
@example(b"")
@example(b"12345678901234567890123")
@example(b"[123456789012345678, 1234567890123456789]")
@example(b"1e400")
def test_the_same_is_read_with_orjson(raw):
    without, with_orjson = both(_json.loads, raw)
    assert with_orjson == without


@needs_orjson
@given(floats)
def test_a_float_is_read_the_same_with_orjson(value):
    for text in (repr(value), f"{value:.20e}", f"{value:.17f}", f"{value:.25g}"):
        without, with_orjson = both(_json.loads, text.encode())
        assert with_orjson == without


@needs_orjson
@pytest.mark.parametrize("depth", [10, 500, 100_000])
@pytest.mark.parametrize("opening, closing", ["[]", ('{"a":', "}")])
def test_depth_is_read_the_same_with_orjson(opening, closing, depth):
    raw = (opening * depth + "1" + closing * depth).encode()
    without, with_orjson = both(_json.loads, raw)
    assert with_orjson == without


@needs_orjson
def test_hashes_of_many_digits_are_read_with_orjson():
    """Of a thousand steps nearly always one has such a hash."""
    hashed = hashlib.sha1(b"page-3116").hexdigest()
    assert re.search("[0-9]{19}", hashed)
    raw = b'{"steps": {"%b": {"data": "%b"}}}' % (hashed.encode(), b"1" * 40)
    with mock.patch.object(_json, "_scan", side_effect=AssertionError("read without orjson")):
        assert _json.loads(raw) == {"steps": {hashed: {"data": "1" * 40}}}


NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,24})?", fullmatch=True
)
PLACES = st.sampled_from(
    ["%s", "-%s", "[%s]", '{"a":%s}', "[1, %s,2]", "\t%s\n", '{"1":[\r\n%s]}']
)


@needs_orjson
@settings(max_examples=10 * settings().max_examples)
@given(PLACES, NUMBERS)
def test_a_number_is_read_the_same_with_orjson(place, number):
    without, with_orjson = both(_json.loads, (place % number).encode())
    assert with_orjson == without


@pytest.mark.parametrize("installed", ["yes", "no"])
def test_orjson_is_used_if_it_is_there(installed):
    if installed == "yes" and orjson is None:
        pytest.skip("orjson is not installed")
    code = (
        "import sys\n"
        f"if {installed!r} == 'no': sys.modules['orjson'] = None\n"
        "from inngest_wsgi._codec import json\n"
        "print(json._fast is not None, json.dumps([json.loads(b'1.5')]))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    assert found.stdout.decode().split() == [str(installed == "yes"), "b'[1.5]'"]


# -- with and without it -------------------------------------------------------


@pytest.fixture(params=["with orjson", "without orjson"])
def way(request, monkeypatch):
    if request.param == "without orjson":
        monkeypatch.setattr(_json, "_fast", None)
    elif orjson is None:
        pytest.skip("orjson is not installed")


both_ways = pytest.mark.usefixtures("way")


LARGE = {"rows": [{"n": n, "t": "é\u2028\U0001f600", "f": n / 8} for n in range(300)]}


@both_ways
@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**70), 1.5, -0.0, 1e16, 1e-7, "", 'é\x00\x1f\x7f"\\\n', [], {}, LARGE]
    + [[], [[], {}], (1, (2,)), {"a": {"b": [1, None]}}, {1: 2}, {None: 1}, {True: 1}, {1.5: 1}]
    + [Text("a"), Level.LOW, Named.A, Pair(1, 2), Table(a=Row([Real(1.5), Number(3)]))],
    ids=repr,
)
def test_a_value_is_written_as_the_standard_library_writes_it(value):
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert _json.dumps(value) == written
    assert _json.loads(written) == json.loads(written)


@both_ways
@pytest.mark.parametrize(
    "raw, value",
    [
        (b" \r\n\t[1 , 2]\n", [1, 2]),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"[18446744073709551616]", [2**64]),
        (b'"\\ud800"', "\ud800"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_values_that_are_read(raw, value):
    assert repr(_json.loads(raw)) == repr(value)


@both_ways
@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"{", b"[1,]", b"1 2", b"NaN", b"[Infinity]", b"-Infinity", b"'a'", b"nul"]
    + [b"\xef\xbb\xbf1", b"\xff", b'"\xed\xa0\x80"', b'"\x01"', b"1\x00", b"01", b"+1", b"1."]
    + [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000],
)
def test_what_is_not_json_is_refused(raw):
    with pytest.raises(ValueError):
        _json.loads(raw)


# -- keys that become equal ------------------------------------------------------


@both_ways
@pytest.mark.parametrize(
    "value, path, key",
    [
        ({1: "a", "1": "b"}, "$", '"1"'),
        ({"1": "b", 1: "a"}, "$", '"1"'),
        ({"null": 1, None: 2}, "$", '"null"'),
        ({True: 1, "true": 2}, "$", '"true"'),
        ({1.5: 1, "1.5": 2}, "$", '"1.5"'),
        ({"a": [0, {"b": {2: 0, "2": 0}}]}, "$.a[1].b", '"2"'),
        ([({3: 0, "3": 0},)], "$[0][0]", '"3"'),
        (dict([("\ud800", 1), ("\udfff", 2)]), "$", '"\ufffd"'),
        (dict([("\ud800", 1), ("\ufffd", 2)]), "$", '"\ufffd"'),
        ([{"a": 1}, {"\ud83d\ude00": 1, "\U0001f600": 2}], "$[1]", '"\U0001f600"'),
    ],
)
def test_keys_that_become_equal_are_refused(value, path, key):
    with pytest.raises(inngest.OutputError) as caught:
        _json.dumps(value)
    assert str(caught.value) == f"{path} is not JSON: two of its keys become {key}"


@both_ways
@pytest.mark.parametrize(
    "value",
    [
        {1: 1, 2: 2, "3": 3, None: 4, False: 5, 1.5: 6},
        {"\ud800": 1, "\ufffe": 2},
        {Level.LOW: 1, "LOW": 2},
        [{"a": 1}, {"a": 1}],
        {"a": {"a": {"a": 1}}},
    ],
)
def test_keys_that_stay_different_are_written(value):
    text = _json.dumps(value).decode()
    pairs = []
    json.loads(text, object_pairs_hook=lambda found: pairs.append(found) or dict(found))
    assert all(len(found) == len(dict(found)) for found in pairs)
