"""CEL expressions, compared with a server's verdicts."""

import pytest
import recordings
from hypothesis import given, strategies as st

import inngest_wsgi as inngest

EVENT = inngest.TriggerEvent(event="shop/order.placed")
WRONG = "event.data.name == 'a"


def handler(ctx):
    return None


@pytest.mark.parametrize("expression, accepted", recordings.verdicts("expressions"))
def test_a_trigger_takes_what_the_server_takes_and_nothing_else(expression, accepted):
    if accepted:
        inngest.TriggerEvent(event="a", expression=expression)
    else:
        with pytest.raises(ValueError, match="expression of a TriggerEvent must be a CEL"):
            inngest.TriggerEvent(event="a", expression=expression)


@pytest.mark.parametrize("expression, accepted", recordings.verdicts("doubtful_expressions"))
def test_nothing_that_the_server_takes_is_refused(expression, accepted):
    if accepted:
        inngest.TriggerEvent(event="a", expression=expression)
        inngest.Cancel(event="a", if_exp=expression)


@pytest.mark.parametrize("key, accepted", recordings.verdicts("concurrency_keys"))
@pytest.mark.parametrize(
    "make",
    [
        lambda key: inngest.Concurrency(limit=1, key=key),
        lambda key: inngest.Singleton(mode="skip", key=key),
        lambda key: inngest.Throttle(limit=1, period="1s", key=key),
    ],
)
def test_keys_whose_texts_the_server_takes_out_may_hold_any_backslash(key, accepted, make):
    # a quote that does not close is refused all the same: the server would
    # take everything after it for text
    if accepted and "+ 'b" not in key:
        make(key)
    else:
        with pytest.raises(ValueError, match="key of a .*must be a CEL"):
            make(key)


@pytest.mark.parametrize(
    "make, place",
    [
        (lambda: inngest.Batch(max_size=2, key=WRONG), "key of a Batch"),
        (lambda: inngest.Batch(max_size=2, if_exp=WRONG), "if_exp of a Batch"),
        (lambda: inngest.Cancel(event="a", if_exp=WRONG), "if_exp of a Cancel"),
        (lambda: inngest.Debounce(period="1s", key=WRONG), "key of a Debounce"),
        (lambda: inngest.Priority(run=WRONG), "run of a Priority"),
        (lambda: inngest.RateLimit(limit=1, period="1s", key=WRONG), "key of a RateLimit"),
    ],
)
def test_every_expression_is_checked_where_it_is_declared(make, place):
    with pytest.raises(ValueError, match=f"{place} must be .*character 20 is not closed"):
        make()


def test_the_idempotency_of_a_function_is_checked():
    client = inngest.Inngest(app_id="shop", is_production=False)
    with pytest.raises(inngest.FunctionConfigError, match="'f': idempotency must .*not closed"):
        client.create_function(fn_id="f", trigger=EVENT, idempotency="(event.data.id")(handler)


@pytest.mark.parametrize(
    "expression, advice",
    [
        ("event.data.a == 'it's'", "the quote ' at character 22 is not closed"),
        ('event.data.a == """a"', 'the quote """ at character 17'),
        ("event.data.a == 'a\nb'", "the quote ' at character 17"),
        ("event.data.a.matches('\\d')", "Write \\\\\\\\ for a backslash, or r before the quote"),
        ("(event.data.a", r"\( at character 1 is not closed: \) is missing"),
        ("event.data.a)", r"\) at character 13 closes nothing"),
        ("(event.data.l[0)", r"\) at character 16 cannot close the \[ at character 14"),
        ("event.data.a = 1", "to compare, write =="),
        ("event.data.a & event.data.b", "write && for and"),
        ("event.data.a == \u201ca\u201d", "is no part of CEL"),
    ],
)
def test_the_error_says_what_is_wrong(expression, advice):
    with pytest.raises(ValueError, match=advice):
        inngest.TriggerEvent(event="a", expression=expression)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(TEXT, min_size=1, max_size=4), st.text("()[]{}'\"/\\ ab", max_size=6))
def test_texts_that_are_quoted_rightly_are_never_refused(texts, inside):
    """Any text, in each way to quote it, with brackets around."""
    escaped = [x.replace("\\", "\\\\").replace("'", "\\'") for x in [*texts, inside]]
    lines = [f"'''{x}'''" for x in escaped]
    single = [f"'{x}'" for x in escaped if "\n" not in x and "\r" not in x]
    raw = [f"r'{x}'" for x in texts if not set(x) & set("'\n\r")]
    comment = "// it's (a comment\n"
    expression = f"event.data.a in [{', '.join(lines + single + raw)}] {comment} && ({{}} == {{}})"
    inngest.TriggerEvent(event="a", expression=expression)


@given(st.text("ab()[]{}'\"\\/=&\n ", max_size=30))
def test_a_refusal_is_always_a_value_error(expression):
    try:
        inngest.TriggerEvent(event="a", expression=expression)
    except ValueError as problem:
        assert str(problem).startswith("expression of a TriggerEvent must be")
