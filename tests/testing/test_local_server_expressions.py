"""Expressions, compared with what a server makes of them."""

import json
import subprocess
import sys
import types

import pytest
from hypothesis import given, strategies as st
from raw_app import WIRE

from inngest_wsgi.testing._expressions import evaluator, expression, values
from inngest_wsgi.testing._expressions.expression import (
    CHECKED,
    PARSED,
    RESTRICTED,
    UNCHECKED,
    Expression,
    ExpressionError,
    UnsupportedExpression,
)

SERVER = json.loads((WIRE / "server-expressions.json").read_text(encoding="utf-8"))
DATA = SERVER["data"]
ROWS = SERVER["expressions"]

#: A server takes texts out before it parses: so a quote that is not closed
#: closes at the end, and a text may go over two lines. That is not done here.
QUOTES = (
    "'",
    '"',
    "event.data.name == 'a",
    'event.data.name == "a',
    "event.data.name == 'a\"",
    "event.data.name == 'it's'",
    "event.data.name == 'it\\'s",
    "event.data.name == '''a''",
    'event.data.name == """a""',
    "event.data.name == 'a\nb'",
    "event.data.name == r'a\nb'",
    "event.data.name == rb'a'",
)

#: What differs from the server, and why.
DIFFERENT = {
    "event.data.nums.map(x, x > 1, x)": "cel-python has no map() with a condition",
    "b'abc' == b'abc'": "a server takes the quotes for a text, after a name b",
    "'''it's''' == \"it's\"": "a server takes the first two quotes for an empty text",
    "math.greatest(1, 2)": "an unknown name, which a server lets pass in few places",
    "has(event.data.list[7])": "refused where it is evaluated, not where it is parsed",
}

COMPARED = [row for row in ROWS if row[0] not in DIFFERENT and row[0] not in QUOTES]


def value_of(text):
    found = evaluator.evaluate(evaluator.parse(text), DATA, 1730000000.0)
    return "an error" if values.is_error(found) else bare(found)


def bare(value):
    if isinstance(value, (type(None), values.celtypes.BoolType)):
        return None if value is None else bool(value)
    if isinstance(value, list):
        return [bare(element) for element in value]
    if isinstance(value, dict):
        return {str(key): bare(element) for key, element in value.items()}
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise AssertionError(f"{value!r} is not compared")


@pytest.mark.parametrize("text, reads, outcome", COMPARED, ids=[row[0] for row in COMPARED])
def test_what_a_server_takes_is_taken_and_nothing_else(text, reads, outcome):
    for check, accepted in zip((PARSED, CHECKED, RESTRICTED), reads):
        try:
            Expression(text, check)
        except UnsupportedExpression:
            raise
        except ExpressionError:
            assert not accepted
        else:
            assert accepted


@pytest.mark.parametrize(
    "text, outcome",
    [(text, outcome) for text, reads, outcome in COMPARED if reads[0]],
    ids=[text for text, reads, outcome in COMPARED if reads[0]],
)
def test_the_value_is_a_servers(text, outcome):
    found = value_of(text)
    if outcome.get("type") == "bool" and found == "an error":
        found = False  # the server's value of what has none
    wanted = "an error" if "error" in outcome else outcome["value"]
    assert (found, isinstance(found, bool)) == (wanted, isinstance(wanted, bool))
    if "text" in outcome and "async" not in text and "now" not in text:
        assert Expression(text, UNCHECKED).key(DATA["event"]) == outcome["text"]


@pytest.mark.parametrize(
    "text, matches", [row for row in SERVER["waits"] if row[1] is not None], ids=lambda x: str(x)
)
def test_a_wait_ends_where_a_servers_does(text, matches):
    assert Expression(text).matches(DATA["event"], DATA["async"]) is matches


def test_what_is_not_compared_was_recorded():
    assert {*DIFFERENT, *QUOTES} <= {row[0] for row in ROWS}
    assert len(COMPARED) == len(ROWS) - len(DIFFERENT) - len(QUOTES)


def test_a_match_is_the_value_true():
    event = {"data": {"yes": True, "text": "true", "n": 1}}
    assert Expression("event.data.yes").matches(event)
    assert not any(
        Expression(f"event.data.{name}").matches(event) for name in ("text", "n", "gone")
    )
    assert Expression("async.data.a == event.data.n").matches(event, {"data": {"a": 1}})


def test_now_is_the_servers_time():
    assert Expression("now() == date('2024-05-01')").matches({}, None, 1714521600.0)
    assert Expression("date(event.data.at) < now_minus('1h')").matches(
        {"data": {"at": "2024-05-01T00:59:00Z"}}, None, 1714521600.0 + 2 * 3600
    )


def test_nothing_of_the_extra_is_imported_until_it_is_needed():
    code = (
        "import sys, inngest_wsgi.testing as testing\n"
        "with testing.LocalServer(clock=testing.VirtualClock()): pass\n"
        "print({'celpy', 'cronsim', 'lark'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert ran.stdout.split() == [b"set()"]


def test_without_cel_python_an_expression_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, evaluator.__name__)
    monkeypatch.delattr(sys.modules[expression.__package__], "evaluator")
    monkeypatch.setitem(sys.modules, "celpy", None)
    with pytest.raises(UnsupportedExpression, match=r"pip install 'inngest-wsgi\[testing\]'"):
        Expression("true")


def test_another_missing_module_is_not_taken_for_cel_python(monkeypatch):
    monkeypatch.delitem(sys.modules, evaluator.__name__)
    monkeypatch.delattr(sys.modules[expression.__package__], "evaluator")
    monkeypatch.setitem(sys.modules, values.__name__, types.ModuleType("empty"))
    with pytest.raises(ImportError, match="is_error"):
        Expression("true")


@pytest.mark.parametrize(
    "text", ["(" * 300 + "1" + ")" * 300 + " == 1", "!" * 400 + "true", "-" * 9 + "1 == -1"]
)
def test_a_deep_expression_is_evaluated_or_has_no_value(text):
    assert Expression(text, PARSED).matches({}) in (True, False)


@given(st.text("event.data()[]!=&|<>?:'\"+-1a \\", max_size=30))
def test_any_text_compiles_or_raises_an_expression_error(text):
    try:
        found = Expression(text)
    except ExpressionError:
        return
    assert found.matches(DATA["event"], DATA["async"]) in (True, False)
    assert isinstance(found.key(DATA["event"]), str)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_event_has_a_value(value):
    event = {"data": {"a": value}}
    for text in ("event.data.a + 1", "event.data.a < 2", "event.data.a.b == 1", "event.data.a"):
        assert isinstance(Expression(text).key(event), str)
