"""The part of CEL that the local server reads."""

import pytest
from hypothesis import given, strategies as st

from inngest_wsgi.testing._expressions.expression import (
    Expression,
    ExpressionError,
    UnsupportedExpression,
)

EVENT = {
    "name": "shop/order",
    "ts": 17,
    "data": {
        "id": "o1",
        "n": 3,
        "f": 2.5,
        "yes": True,
        "no": False,
        "nothing": None,
        "list": [1, "two", {"three": 3}],
        "with space": "s",
        "nested": {"a": {"b": "deep"}},
    },
}
AWAITED = {"name": "shop/paid", "data": {"id": "o1", "total": 30}}


def holds(text):
    return Expression(text, ("event", "async")).matches(EVENT, AWAITED)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.id == async.data.id",
        'event.data["id"] == "o1"',
        "event.data['with space'] == 's'",
        "event.data.nested.a.b == 'deep'",
        "event.data.list[0] == 1",
        "event.data.list[2].three == 3",
        "event.name == 'shop/order' && event.ts > 16",
        "true",
        "!false",
        "!(1 == 2)",
        "event.data.yes",
        "!event.data.no",
        "event.data.yes == true",
        "event.data.n == 3.0",
        "event.data.n != 4",
        "event.data.f <= 2.5",
        "event.data.f < 3",
        "event.data.n >= 3",
        "event.data.n > -1",
        "1 < 2 && 'a' < 'b'",
        "1e3 == 1000 || true",
        "false || event.data.yes",
        "event.data.nothing == null",
        "event.data.id in ['o0', 'o1']",
        "1 in event.data.list",
        "'id' in event.data",
        "!(5 in event.data.list)",
        "has(event.data.id)",
        "has(event.data.nothing)",
        "!has(event.data.gone)",
        "!has(event.data.list[7])",
        "event.data.id + '-x' == 'o1-x'",
        "event.data.n + 1 + 1.5 == 5.5",
        "(event.data.n > 2 ? 'big' : 'small') == 'big'",
        "event.data.no ? false : event.data.n == 1 ? false : true",
        "(false || true) && (true || false)",
        "[1, 'a'] == [1.0, 'a']",
        r"""'it\'s "q" \u0041\n' == "it's \"q\" A\n" """,
        "null == null",
        "event.data.gone == null",
        "event.data.gone != 'x'",
        "event.data.gone.further == null",
        "event.data.id.further == null",
    ],
)
def test_expressions_that_are_true(text):
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "false",
        "null",
        "1",
        "'true'",
        "event.data",
        "event.data.gone",
        "event.data.n",
        "event.data.gone == async.data.gone",
        "event.data.gone == 'x'",
        "event.data.gone != null",
        "event.data.gone < 5",
        "event.data.gone > 5",
        "event.data.gone <= event.data.gone",
        "'3' == 3",
        "true == 1",
        "event.data.yes == 1",
        "'3' < 4",
        "event.data.id > 1",
        "event.data.yes < 2",
        "1 in event.data.gone",
        "'x' in event.data.id",
        "1 && true",
        "event.data.n || false",
        "'a' + 1 == 'a1'",
        "null < 1",
        "event.data.nothing < 1",
        "[1] == [true]",
        "has(event.gone.data)",
        "event.data.list[9] == 1",
        "event.data.list.x == 1",
    ],
)
def test_expressions_that_are_false(text):
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "event.data.(",
        "(1",
        "1 ==",
        "event.data.a ==",
        "== 1",
        "event.",
        "event.data[",
        "event.data[1",
        "'open",
        "1 2",
        "a b",
        "event.data.x ? 1",
        "event.data.x ? 1 :",
        "#",
        "has(1)",
        "event.data[x]",
        "'a\nb'",
        "[1, ",
        "has(event.data.x",
        "&& true",
        "1 = 1",
    ],
)
def test_invalid_expressions(text):
    with pytest.raises(ExpressionError):
        Expression(text)


@pytest.mark.parametrize(
    "text, what",
    [
        ("size(event.data.list) > 1", "size()"),
        ("event.data.id.startsWith('o')", "startsWith()"),
        ("event.data.n * 2 == 6", "'*'"),
        ("event.data.n - 1 == 2", "'-'"),
        ("event.data.n / 2 == 1", "'/'"),
        ("event.data.n % 2 == 1", "'%'"),
        ("-event.data.n < 0", "'-'"),
        ("{'a': 1}.a == 1", "'{'"),
        ("other.data == 1", "'other'"),
        ("async.data.id == 'x'", "'async'"),
        ("1 < 2 < 3", "in a row"),
        (r"'\d'", "escape"),
        ("(" * 500 + "1" + ")" * 500, "deeply"),
        ("__import__('os').system('true')", "__import__()"),
    ],
)
def test_unsupported_expressions(text, what):
    with pytest.raises(UnsupportedExpression) as caught:
        Expression(text)
    assert what in str(caught.value)


def test_keys():
    def key(text):
        return Expression(text).key(EVENT)

    assert key("event.data.id") == key("'o1'") == '"o1"'
    assert key("event.data.n") == "3" != key("'3'")
    assert key("event.data.nested") == '{"a": {"b": "deep"}}'
    assert key("event.data.yes ? 'vip' : event.data.id") == '"vip"'
    assert key("event.data.gone") == "" != key("event.data.nothing") == "null"
    assert key("event.data.id + '-' + event.name") == '"o1-shop/order"'


@given(st.text("event.data()[]!=&|<>?:'\"+-1a \\", max_size=30))
def test_any_text_compiles_or_raises_an_expression_error(text):
    try:
        expression = Expression(text, ("event", "async"))
    except ExpressionError:
        return
    assert expression.matches(EVENT, AWAITED) in (True, False)
    assert isinstance(expression.key(EVENT), str)
