"""The trace headers (W3C Trace Context) of a call are sent with the requests that
it causes."""

import json
import typing as t

import pytest
from apps import Endpoint, call_body
from stub_server import Scripted, serving

import inngest_wsgi as inngest

TRACE = {
    "traceparent": "00-7375fe368c3f160aab2d4a1ba9eb2e95-6091f92dec6b2c32-01",
    "tracestate": "inngest@traceref=%7B%22tp%22%3A%22%22%7D,other=1",
}
OK = (200, {"ids": ["01A"], "status": 200, "data": {"run_id": "01B"}})


def send_event(ctx):
    return ctx.step.send_event("send", inngest.Event(name="a"))


def send_signal(ctx):
    return ctx.step.send_signal("tell", signal="s")


def nothing(ctx):
    return None


#: The endpoint of the test that runs.
current: t.Any = None


def send_by_the_client(ctx):
    return current.inngest.send(inngest.Event(name="a"))


@pytest.mark.parametrize("streaming", [False, "force"])
@pytest.mark.parametrize("trace", [TRACE, {"traceparent": TRACE["traceparent"]}, {}])
@pytest.mark.parametrize(
    "handler, use_api, answers, paths",
    [
        (send_event, False, [OK], ["/e/NO_EVENT_KEY_SET"]),
        (send_by_the_client, False, [OK], ["/e/NO_EVENT_KEY_SET"]),
        (send_signal, False, [OK], ["/v1/signals"]),
        (
            nothing,
            True,
            [(200, [{"name": "a"}]), (200, {})],
            ["/v0/runs/01RUN/batch", "/v0/runs/01RUN/actions"],
        ),
    ],
)
def test_trace_headers_are_passed_on(handler, use_api, answers, paths, trace, streaming):
    global current
    server = Scripted(*answers)
    with serving(server) as origin:
        current = endpoint = Endpoint(
            handler,
            client={"api_base_url": origin, "event_api_base_url": origin},
            streaming=streaming,
        )
        body = call_body(use_api=use_api)
        if use_api:
            body.update(events=None, steps=None, use_api=True)
        endpoint.request(body=json.dumps(body).encode(), headers=trace).get_data()
    assert [request.path for request in server.requests] == paths
    for request in server.requests:
        passed = {name: request.headers[name] for name in TRACE if name in request.headers}
        assert passed == trace
