"""The endpoint of an adapter answers as the one that is mounted beside the framework,
whatever the application does to its other pages."""

import contextlib
import http.client
import json
import threading
import typing as t

import pytest
from adapted import ADAPTED, REWRITTEN
from apps import KEY, call_body, sign
from streams import FN, Opened, comparable, inner_of, wait_until
from stub_server import serving
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi.testing import LocalServer, TestServer, VirtualClock

BODY = json.dumps(call_body()).encode()


def declare(handler, cloud=False):
    client = inngest.Inngest(
        app_id="shop", is_production=cloud, signing_key=KEY if cloud else None
    )
    declared = client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent(event="test/event"), retries=2
    )
    return client, [declared(handler)]


def mounted(client, functions, **settings):
    application = inngest.serve(client, functions, **settings)
    return DispatcherMiddleware(Response("a page"), {"/api/inngest": application})


def fails(ctx):
    def raises():
        raise KeyError("missing")

    return ctx.step.run("fails", raises)


def returns(ctx):
    return {"é": ctx.event.name}


HTML = {"Accept": "text/html", "Host": "localhost"}
#: Requests, each of which is answered otherwise.
REQUESTS: t.List[t.Dict[str, t.Any]] = [
    dict(method="GET"),
    dict(method="GET", headers=HTML),
    dict(method="HEAD"),
    dict(method="OPTIONS"),
    dict(method="DELETE"),
    dict(method="PATCH", data=b"x"),
    dict(method="POST", query_string=FN, data=BODY),
    dict(method="POST", query_string=FN, data=b"{"),
    dict(method="POST", query_string="fnId=shop-other&stepId=step", data=BODY),
    dict(method="POST", query_string="probe=trust"),
    dict(method="PUT", headers={"X-Inngest-Sync-Kind": "in_band"}, data=b"{}"),
    dict(method="POST", query_string=FN, data=BODY, headers={"Accept-Encoding": "gzip"}),
    dict(method="GET", query_string=FN),
]


def tokens_hidden(text):
    """Hide what differs each time in the page of dev mode."""
    head, found, rest = text.partition(b'"token"')
    return head + found + rest[rest.find(b",") :] if found else text


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("handler", [returns, fails])
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("adapted", ADAPTED)
def test_the_answers_are_those_of_a_mounted_endpoint(adapted, end, handler, cloud):
    declared = declare(handler, cloud)
    one, other = Client(adapted(*declared)), Client(mounted(*declared))
    for request in REQUESTS:
        request = dict(request, path="/api/inngest" + end)
        for signed in [True, False] if cloud else [False]:
            headers = dict(request.get("headers", {}))
            if signed:
                headers["X-Inngest-Signature"] = sign(request.get("data", b""))
            found, wanted = [
                client.open(**dict(request, headers=headers)) for client in (one, other)
            ]
            assert comparable(found.status_code, found.headers, tokens_hidden(found.data)) == (
                comparable(wanted.status_code, wanted.headers, tokens_hidden(wanted.data))
            ), request
            assert len(found.headers) == len(wanted.headers)


@pytest.mark.parametrize("adapted", ADAPTED)
def test_the_applications_are_as_they_are_said_to_be(adapted):
    client = Client(adapted(*declare(returns)))
    for path in ["/", "/api/inngestion", "/api", "/api/inngest/more"]:
        answer = client.post(path)
        text = answer.get_data(as_text=True)
        assert answer.status_code == 403 or text == REWRITTEN


@pytest.mark.parametrize("streaming", [False, "force"])
@pytest.mark.parametrize("adapted", ADAPTED)
def test_a_run(adapted, streaming):
    def handler(ctx):
        def flaky():
            if ctx.attempt == 0:
                raise ValueError("not yet")
            return "flaky"

        found = [ctx.step.run("flaky", flaky)]
        ctx.step.sleep("nap", "1s")
        branches = tuple(lambda n=n: ctx.step.run(f"b{n}", lambda: n) for n in range(2))
        return found + list(ctx.group.parallel(branches))

    with LocalServer(clock=VirtualClock()) as server, contextlib.ExitStack() as stack:
        application = adapted(*declare(handler), streaming=streaming, base_url=server.url)
        server.sync(stack.enter_context(serving(application)) + "/api/inngest")
        (event_id,) = server.send({"name": "test/event", "data": {}})
        run = server.wait_for_run(event_id)
        assert (run.status, run.output) == ("Completed", ["flaky", 0, 1]), run.history


@pytest.mark.parametrize("adapted", ADAPTED)
def test_a_run_by_the_test_server(adapted):
    server = TestServer()
    server.serve(adapted(*declare(returns)))
    assert server.send("test/event", {}).run("f").output == {"é": "test/event"}


@pytest.mark.parametrize("adapted", ADAPTED)
def test_spaces_arrive_one_by_one(adapted):
    go = threading.Event()

    def waits(ctx):
        assert go.wait(60)
        return "é"

    application = adapted(*declare(waits), streaming="force", keepalive_interval=250)
    with serving(application) as origin:
        connection = http.client.HTTPConnection(origin.partition("://")[2], timeout=60)
        headers = {"Accept-Encoding": "gzip"}
        connection.request("POST", "/api/inngest?" + FN, BODY, headers)
        answer = connection.getresponse()
        assert answer.status == 201
        assert [answer.read(1) for _ in range(3)] == [b" "] * 3
        go.set()
        assert inner_of(b" " + answer.read())[::2] == (200, '"é"'.encode())
        connection.close()


@pytest.mark.parametrize("adapted", ADAPTED)
def test_a_disconnect_is_noticed(adapted, caplog):
    gone = threading.Event()

    def waits(ctx):
        ctx.disconnected.wait(60)
        gone.set()

    application = adapted(*declare(waits), streaming="force", keepalive_interval=250)
    opened = Opened(application, BODY, PATH_INFO="/api/inngest")
    chunks = iter(opened.chunks)
    assert next(chunks) == b" "
    opened.chunks.close()
    wait_until(gone.is_set)
    wait_until(lambda: "lost its connection" in caplog.text)


@pytest.mark.parametrize("adapted", ADAPTED)
@pytest.mark.parametrize("mount", ["", "/outer", "/é"])
@pytest.mark.parametrize("end", ["", "/"])
def test_the_registered_address_is_that_of_the_sync(adapted, mount, end):
    with LocalServer() as server, contextlib.ExitStack() as stack:
        application = adapted(*declare(returns), base_url=server.url)
        if mount:
            inside = mount.encode().decode("latin-1")
            application = DispatcherMiddleware(Response("outside"), {inside: application})
        origin = stack.enter_context(serving(application))
        url = f"{origin}{mount}/api/inngest{end}"
        quoted = url.replace("é", "%C3%A9")
        server.sync(quoted)
        assert server.sync(quoted, in_band=True).body["url"] == quoted
        (event_id,) = server.send({"name": "test/event", "data": {}})
        assert server.wait_for_run(event_id).status == "Completed"


@pytest.mark.parametrize("adapted", ADAPTED)
@pytest.mark.parametrize(
    "settings, environment, route, registered",
    [
        ({}, None, "/api/inngest", "/api/inngest"),
        ({"serve_path": "/x"}, None, "/x", "/x"),
        ({"serve_path": "/x/"}, None, "/x", "/x"),
        ({"serve_path": "/a.b/é-c"}, None, "/a.b/%C3%A9-c", "/a.b/%C3%A9-c"),
        ({"serve_path": "/"}, None, "/", "/"),
        ({}, "/y", "/y", "/y"),
        ({"serve_path": "/x"}, "/y", "/x", "/x"),
        ({"public_path": "/p/x"}, None, "/api/inngest", "/p/x"),
        ({"public_path": "/p/x", "serve_path": "/x"}, "/y", "/x", "/p/x"),
    ],
)
def test_paths(adapted, settings, environment, route, registered, monkeypatch):
    if environment:
        monkeypatch.setenv("INNGEST_SERVE_PATH", environment)
    client = Client(adapted(*declare(returns), **settings))
    headers = {"X-Inngest-Sync-Kind": "in_band"}
    answer = client.put(route, data=b"{}", headers=headers)
    assert answer.status_code == 200
    assert answer.get_json()["url"] == "http://localhost" + registered


@pytest.mark.parametrize("adapted", ADAPTED)
@pytest.mark.parametrize("name", ["serve_path", "public_path"])
@pytest.mark.parametrize("value", ["api/inngest", "https://example.com/x", "/a b", 1])
def test_what_is_no_path_is_refused(adapted, name, value):
    with pytest.raises(inngest.SettingsError, match=name):
        adapted(*declare(returns), **{name: value})


@pytest.mark.parametrize("adapted", ADAPTED)
@pytest.mark.parametrize("streaming", [False, "force"])
def test_the_users_contexts_are_inside_the_adapters(adapted, streaming):
    """A context manager may use what the adapter provides."""
    import flask
    from pyramid.threadlocal import get_current_request

    seen = []

    @contextlib.contextmanager
    def watch(environ):
        seen.append(flask.current_app or get_current_request() or "django")
        yield

    application = adapted(*declare(returns), call_context=[watch], streaming=streaming)
    answer = Client(application).post("/api/inngest?" + FN, data=BODY)
    assert answer.status_code in (200, 201) and answer.data
    (found,) = seen
    assert found == "django" or adapted.__name__ != "in_django"
    with pytest.raises(inngest.SettingsError, match="call_context"):
        adapted(*declare(returns), call_context="watch")


@pytest.mark.parametrize("adapted", ADAPTED)
def test_bodies_up_to_the_endpoints_own_limit(adapted):
    """The frameworks' limits are for other pages."""
    application = adapted(*declare(lambda ctx: len(ctx.event.data["text"])))
    body = call_body()
    body["event"]["data"]["text"] = "x" * 3_500_000
    data = json.dumps(body).encode()
    assert Client(application).post("/api/inngest?" + FN, data=data).get_json() == 3_500_000
    body["event"]["data"]["text"] = "x" * 4_500_000
    data = json.dumps(body).encode()
    assert Client(application).post("/api/inngest?" + FN, data=data).status_code == 413
