"""A server that does not answer a checkpoint does not hold the call up."""

import logging
import time
import typing as t

import mad_server
import pytest
from apps import Endpoint

import inngest_wsgi as inngest
from inngest_wsgi._execution import checkpoint

CTX = {
    "run_id": "01M81766GA504FKZSYRTHG82MA",
    "fn_id": "b5dc1f11-fa9e-50ef-bd42-75b7f3d06a71",
    "qi_id": "MW93dGYyYmdld3BlMTo6ZGVmYXVsdA==",
    "request_id": "01M81766HQ80DA8WECKN4ESNQ2",
    "generation_id": 3,
}

#: It is two seconds, and a loaded machine.
LIMIT_S = 20


def silent(connection, over):
    over.wait(60)


OK = b"HTTP/1.1 200 OK\r\n"

WAYS = {
    "it accepts and never answers": silent,
    "one byte of the status line now and then": mad_server.dripping(b"", b"H"),
    "one byte of a header now and then": mad_server.dripping(OK + b"X-A: ", b"a"),
    "one header now and then": mad_server.dripping(OK, b"X-A: b\r\n", pause_s=0.5),
    "one byte of the body now and then": mad_server.dripping(
        mad_server.head("Content-Length: 100000"), b" "
    ),
    "one chunk of the body now and then": mad_server.dripping(
        mad_server.head("Transfer-Encoding: chunked"), b"1\r\n \r\n"
    ),
    "interim answers now and then": mad_server.dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


def abc(ctx):
    return "".join(ctx.step.run(name, lambda name=name: name) for name in "abc")


def large(ctx):
    # more than the system's buffers take: most of it is never read
    ctx.step.run("a", lambda: "x" * 4_000_000)
    return ctx.step.run("b", lambda: "b")


def timed(function, origin, **options):
    endpoint = Endpoint(function, client={"api_base_url": origin}, **options)
    began = time.monotonic()
    response = endpoint.call(**CTX)
    return response, time.monotonic() - began


@pytest.mark.parametrize("way, function", [(silent, abc), (silent, large)])
def test_a_call_waits_two_seconds_for_an_answer(way, function):
    with mad_server.answering(way) as origin:
        response, took_s = timed(function, origin)
    assert [(op["op"], op["displayName"]) for op in response.get_json()] == [("StepRun", "a")]
    assert 1.9 < took_s < LIMIT_S


@pytest.mark.parametrize("way", list(WAYS))
def test_a_call_does_not_wait_for_an_answer_that_does_not_end(way, monkeypatch):
    monkeypatch.setattr(checkpoint, "DEADLINE_S", 0.3)
    with mad_server.answering(WAYS[way]) as origin:
        response, took_s = timed(abc, origin)
    assert response.status_code == 206
    assert [(op["op"], op["displayName"]) for op in response.get_json()] == [("StepRun", "a")]
    assert took_s < LIMIT_S


def test_a_checkpoint_under_way_and_the_next_one_share_the_time():
    """The timer's checkpoint begins while a step runs."""
    policy = inngest.Checkpointing(buffered_steps=2, max_interval=1)

    def function(ctx):
        ctx.step.run("a", lambda: "a")
        ctx.step.run("b", time.sleep, 0.2)

    with mad_server.answering(silent) as origin:
        response, took_s = timed(function, origin, checkpointing=policy)
    assert [op["displayName"] for op in response.get_json()] == ["a"]
    assert took_s < LIMIT_S


def test_after_two_calls_a_process_does_without_and_says_so_once(caplog, monkeypatch):
    monkeypatch.setattr(checkpoint, "DEADLINE_S", 0.3)
    accepted = []

    def count(connection, over):
        accepted.append(connection)
        over.wait(60)

    with mad_server.answering(count) as origin:
        endpoint = Endpoint(abc, client={"api_base_url": origin})
        with caplog.at_level(logging.WARNING, "inngest_wsgi"):
            names: t.List[t.Any] = []
            for _ in range(4):
                response = endpoint.call(**CTX)
                names.append([op["displayName"] for op in response.get_json()])
                names.append(len(accepted))
    assert names == [["a"], 1, ["a"], 2, ["a"], 2, ["a"], 2]
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    (line,) = [text for text in lines if text.startswith("Checkpointing is off")]
    assert "60 seconds" in line and origin in line
