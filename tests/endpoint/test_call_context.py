"""Context managers entered around each call."""

import contextlib
import json
import threading

import pytest
from apps import Endpoint
from streams import (
    Opened,
    around,
    forced,
    free_slots,
    inner_answer,
    inner_of,
)

import inngest_wsgi as inngest

OURS = "inngest_wsgi run 01RUN"


@pytest.mark.parametrize("raised", [None, ValueError, SystemExit])
def test_call_contexts_are_entered_in_the_functions_thread(raised):
    log, here = [], threading.current_thread().name

    def handler(ctx):
        log.append(("function", threading.current_thread().name))
        if raised:
            raise raised

    inner_answer(handler, call_context=[around(log, "a"), around(log, "b")])
    assert log == [
        ("a", "made", here),
        ("b", "made", here),
        ("a", "entered", OURS),
        ("b", "entered", OURS),
        ("function", OURS),
        ("b", "left", OURS),
        ("a", "left", OURS),
    ]


@pytest.mark.parametrize(
    "fail, steps",
    [
        ("made", ["a made", "b made"]),
        ("entered", ["a made", "b made", "c made", "a entered", "b entered", "a left"]),
        (
            "left",
            ["a made", "b made", "c made", "a entered", "b entered", "c entered", "function"]
            + ["c left", "b left", "a left"],
        ),
    ],
)
def test_errors_in_call_contexts(fail, steps, caplog):
    log = []
    contexts = [around(log, "a"), around(log, "b", fail), around(log, "c")]
    endpoint = forced(lambda ctx: log.append(("function", "")) or 1, call_context=contexts)
    answer = Opened(endpoint.application)
    found = answer.status, answer.headers, answer.read()
    if fail != "made":
        assert answer.status == 201
        found = inner_of(found[2])
    assert [" ".join(entry[:2]).strip() for entry in log] == steps
    status, headers, body = found
    if fail == "left":
        assert (status, body) == (200, b"1")
        assert "call_context raised as it was left" in caplog.text and "KeyError" in caplog.text
    else:
        assert (status, json.loads(body)["code"]) == (500, "call_context_failed")
        assert "KeyError: 'b'" in json.loads(body)["message"]
        assert "X-Inngest-No-Retry" not in headers
    assert free_slots(endpoint) == 64


@pytest.mark.parametrize("streaming", ["allow", False])
def test_call_contexts_surround_calls_in_one_piece(streaming):
    log, here = [], threading.current_thread().name
    endpoint = Endpoint(lambda ctx: 1, streaming=streaming, call_context=[around(log, "a")])
    assert endpoint.call().get_json() == 1
    assert log == [("a", "made", here), ("a", "entered", here), ("a", "left", here)]


def test_a_call_context_cannot_hide_that_a_later_one_failed():
    @contextlib.contextmanager
    def forgiving(environ):
        with contextlib.suppress(Exception):
            yield

    ran = []
    contexts = [forgiving, around([], "b", "entered")]
    status, _, body = inner_answer(ran.append, call_context=contexts)
    assert (status, json.loads(body)["code"], ran) == (500, "call_context_failed", [])


@pytest.mark.parametrize("contexts", ["abc", 1, [None], {"a": 1}, contextlib.suppress])
def test_an_invalid_call_context_is_refused(contexts):
    for streaming in (False, "force"):
        with pytest.raises(inngest.SettingsError, match="call_context"):
            Endpoint(lambda ctx: 1, streaming=streaming, call_context=contexts)
