"""A sync that the server refuses says which function it may mean."""

import logging

import pytest
import recordings
from stub_server import Scripted, serving
from werkzeug.test import Client

import inngest_wsgi as inngest
from inngest_wsgi._endpoint import suspicions

REFUSED = (400, {"error": "At least one function is invalid", "data": None, "status": 400})
EVENT = inngest.TriggerEvent(event="shop/order.placed")


def handler(ctx):
    return None


def app(server, *declared, **options):
    """Return an endpoint with some functions, each a dict of options."""
    options.setdefault("is_production", False)
    client = inngest.Inngest(app_id="shop", api_base_url=server, **options)
    functions = [
        client.create_function(**dict({"trigger": EVENT}, **one))(handler) for one in declared
    ]
    return inngest.serve(client, functions, serve_origin="http://localhost:3000")


def sync(application):
    return Client(application).put("/api/inngest", base_url="http://localhost:3000")


@pytest.mark.parametrize("note, settings, accepted", recordings.verdicts("functions"))
def test_what_the_server_refuses_is_suspected(note, settings, accepted):
    function = {"id": "shop-f", "triggers": [{"event": "a"}], **settings}
    said = suspicions.summary([function])
    assert ("What may be wrong: function 'shop-f': " in said) is not accepted
    assert ("the log of the Inngest server" in said) is accepted


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("doubtful_expressions", lambda x: {"triggers": [{"event": "a", "expression": x}]}),
        ("cancel_expressions", lambda x: {"cancel": [{"event": "a", "if": x}]}),
    ],
)
def test_a_doubtful_expression_is_suspected(kind, settings):
    for expression, accepted in recordings.verdicts(kind):
        try:
            inngest.TriggerEvent(event="a", expression=expression)
        except ValueError:
            assert not accepted
            continue  # nobody can register it
        function = {"id": "shop-f", "triggers": [{"event": "a"}], **settings(expression)}
        suspected = "What may be wrong" in suspicions.summary([function])
        assert suspected is not accepted, expression


def test_the_answer_and_the_log_name_the_functions(caplog):
    with serving(Scripted(REFUSED)) as origin:
        application = app(
            origin,
            {"fn_id": "good"},
            {"fn_id": "twice", "trigger": [EVENT, EVENT]},
            {
                "fn_id": "stop",
                "cancel": [inngest.Cancel(event="a", if_exp="size(event.data.l) > 1")],
                "rate_limit": inngest.RateLimit(limit=1, period="1s", key="data.id"),
            },
        )
        with caplog.at_level(logging.ERROR, "inngest_wsgi"):
            response = sync(application)
    assert response.status_code == 500
    message = response.get_json()["message"]
    assert message == (
        "At least one function is invalid. What may be wrong: function 'shop-twice': two "
        "triggers are the same: 'shop/order.placed'. function 'shop-stop': if_exp of a Cancel "
        "'size(event.data.l) > 1': the condition of a cancel may not call a function, as size; "
        "key of rate_limit 'data.id': data is no name that it can use: event.data has the "
        "event's data."
    )
    assert message in caplog.text


def test_without_a_suspicion_the_servers_log_is_named():
    with serving(Scripted(REFUSED)) as origin:
        message = sync(app(origin, {"fn_id": "good"})).get_json()["message"]
    assert message == (
        "At least one function is invalid. This application finds nothing wrong with any of "
        'them; the log of the Inngest server says what is, in its line "error registering '
        'functions".'
    )


def test_a_stranger_is_not_told(caplog):
    with serving(Scripted(REFUSED)) as origin:
        application = app(
            origin,
            {"fn_id": "secret-name", "trigger": [EVENT, EVENT]},
            is_production=True,
            signing_key="signkey-test-" + "ab" * 16,
        )
        response = sync(application)
    assert response.status_code == 500
    assert "secret-name" not in response.get_data(as_text=True)
    assert "'shop-secret-name': two triggers are the same" in caplog.text


def test_other_refusals_stay_as_they_are():
    said = "Invalid request: time: invalid duration"
    with serving(Scripted((400, {"error": said}))) as origin:
        assert sync(app(origin, {"fn_id": "f"})).get_json()["message"] == said


@pytest.mark.parametrize(
    "timeout, wire",
    [
        ("1d", "24h"),
        ("1d2h30m", "26h30m"),
        (90061001, "25h1m1s1ms"),
        ("59m", "59m"),
        ("1w", "168h"),
    ],
)
def test_the_timeout_of_a_batch_is_registered_without_days(timeout, wire):
    """The server reads it with another function than all other durations."""
    server = Scripted((200, {"ok": True, "modified": True}))
    with serving(server) as origin:
        batch = inngest.Batch(max_size=2, timeout=timeout)
        sync(app(origin, {"fn_id": "f", "batch_events": batch}))
    (request,) = server.requests
    (function,) = request.get_json()["functions"]
    assert function["batchEvents"]["timeout"] == wire
