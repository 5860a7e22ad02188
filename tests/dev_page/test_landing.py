"""The dev page, tested over HTTP; tests/browser tests it in a browser."""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import threading
import time
import typing as t

import freezegun
import pytest
import urllib3
from apps import KEY, OTHER_KEY, Endpoint
from hypothesis import example, given, settings, strategies as st
from stub_server import Scripted, serving
from werkzeug.test import Client
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi import _settings
from inngest_wsgi._dev_page import descriptions, diagnostics, page, samples
from inngest_wsgi.testing import LocalServer

PAGE = pathlib.Path(page.__file__).parent / "page.html"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
OURS = {"Sec-Fetch-Site": "same-origin"}
SECRET = "sesame-4711"
NOWHERE = "http://127.0.0.1:9"


def handler(ctx):
    return {"got": ctx.event.data}


@pytest.fixture
def dev():
    return Endpoint(handler, base_url=NOWHERE, sync_retries=0)


def state(endpoint, **query):
    answer = ask(endpoint, "state", **query)
    assert answer.status_code == 200, answer.data
    return answer.get_json()


def ask(endpoint, what, **query):
    # the test client says that it is a server with one thread
    environ = {"wsgi.multithread": True}
    return endpoint.http.get(
        "/api/inngest",
        query_string=dict(query, landing=what),
        headers=OURS,
        environ_overrides=environ,
    )


def act(endpoint, what, tokens=None, headers=OURS, body=None, **fields):
    tokens = [state(endpoint)["token"]] if tokens is None else tokens
    text = json.dumps(dict(fields, tokens=tokens)) if body is None else body
    headers = dict({"Content-Type": "application/json"}, **headers)
    return endpoint.http.post("/api/inngest?landing=" + what, data=text, headers=headers)


# -- who is shown the page -----------------------------------------------


@pytest.mark.parametrize(
    "accept, html",
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/*", True),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("TEXT/HTML", True),
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=nonsense, application/json", False),
        ("text/plain", False),
        (",;text/=", False),
        ("text/html;" + " " * 900, True),
        ("text/html" + " " * 1000, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_clients_that_prefer_html_get_the_page(dev, method, accept, html):
    headers = {} if accept is None else {"Accept": accept}
    answer = dev.http.open("/api/inngest", method=method, headers=headers)
    assert answer.status_code == 200
    kind = "text/html; charset=utf-8" if html else "application/json"
    assert answer.headers["Content-Type"] == kind
    if method == "GET":
        assert (answer.data == PAGE.read_bytes()) is html
    else:
        assert answer.data == b"" and int(answer.headers["Content-Length"]) > 100


def test_a_long_accept_header_is_not_read(dev):
    accept = "text/" + " " * 60000 + "x"
    started = time.monotonic()
    answer = dev.http.get("/api/inngest", headers={"Accept": accept})
    assert answer.headers["Content-Type"] == "application/json"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "options, environ",
    [
        ({"landing_page": False}, {}),
        ({}, {"INNGEST_LANDING_PAGE": "false"}),
        ({}, {"INNGEST_LANDING_PAGE": "0"}),
    ],
)
def test_without_the_page_every_client_gets_json(options, environ, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    endpoint = Endpoint(handler, base_url=NOWHERE, **options)
    answer = endpoint.http.get("/api/inngest", headers={"Accept": BROWSER})
    assert answer.get_json()["mode"] == "dev"
    for what in ("state", "server", "runs"):
        assert "schema_version" in ask(endpoint, what).get_json()
    for what in ("sync", "send"):
        answer = act(endpoint, what, ["x"], headers={}, event={"name": "a"})
        assert (answer.status_code, answer.get_json()["code"]) == (400, "fn_id_missing")


@pytest.mark.parametrize("signed", [True, False])
def test_the_page_does_not_exist_in_cloud_mode(signed):
    server = Scripted((200, {}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, cloud=True, base_url=origin)
        plain = endpoint.request("GET", query="", signed=signed)
        for query in ("", "landing=state", "landing=server", "landing=runs&event=1"):
            headers = dict(OURS, Accept=BROWSER)
            answer = endpoint.request("GET", query=query, signed=signed, headers=headers)
            assert answer.status_code == plain.status_code == (200 if signed else 401)
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.get_json() == plain.get_json()
            assert ("Vary" in answer.headers, "token" in answer.get_json()) == (False, False)
        body = b'{"tokens": [], "event": {"name": "a"}}'
        for what in ("sync", "send"):
            answer = endpoint.request(query="landing=" + what, body=body, signed=signed)
            code = "fn_id_missing" if signed else "signature_missing"
            assert answer.get_json()["code"] == code
    assert server.requests == []


def test_calls_and_syncs_do_not_get_the_page(dev):
    assert dev.call().status_code == 200
    assert dev.request("PUT", query="landing=state").get_json()["message"]


# -- the page itself -----------------------------------------------------


def test_the_page_is_one_small_file_and_loads_nothing_else(dev):
    text = PAGE.read_bytes()
    assert len(text) < 60000
    answer = dev.http.get("/api/inngest", headers={"Accept": BROWSER})
    policy = dict(part.split(" ", 1) for part in answer.headers[POLICY].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": digests(text, b"script"),
        "style-src": digests(text, b"style"),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Accept"
    # no address but the name space of SVG, in the icon
    assert set(re.findall(rb"https?://[^'\"\s>)]+", text)) == {b"http://www.w3.org/2000/svg"}
    assert not re.search(rb"""\s(style|on[a-z]+|src)=["']|innerHTML|eval\(|@import""", text)


POLICY = "Content-Security-Policy"


def digests(text, element):
    (block,) = re.findall(b"<%b[^>]*>(.*?)</%b" % (element, element), text, re.DOTALL)
    return "'sha256-{}'".format(base64.b64encode(hashlib.sha256(block).digest()).decode())


def test_no_secret_is_sent_to_the_page():
    runs = (200, {"data": [RUN]})
    server = Scripted((401, "no key"), runs, HTML, (401, "no such key"))
    with serving(server) as origin:
        endpoint = Endpoint(
            handler,
            base_url=origin,
            sync_retries=0,
            signing_key=KEY,
            signing_key_fallback=OTHER_KEY,
            client={"event_key": SECRET},
        )
        answers = [endpoint.http.get("/api/inngest", headers={"Accept": BROWSER})]
        answers += [ask(endpoint, what, event="e1") for what in ("state", "server", "runs")]
        answers += [act(endpoint, "sync"), act(endpoint, "send", event={"name": "a"})]
        answers.append(ask(endpoint, "state"))
    for answer in answers:
        said = answer.data + str(answer.headers).encode()
        for secret in (SECRET, KEY.split("-")[-1], OTHER_KEY.split("-")[-1]):
            assert secret.encode() not in said
            assert hashlib.sha256(secret.encode()).hexdigest()[:12].encode() not in said
            if secret is not SECRET:
                hashed = hashlib.sha256(bytes.fromhex(secret)).hexdigest()[:12]
                assert hashed.encode() not in said
    assert json.loads(answers[1].data)["keys"] == {
        "event": True,
        "signing": True,
        "fallback": True,
    }
    # what was looked at only was shown no key
    looks = [r for r in server.requests if "Authorization" not in r.headers and r.method == "GET"]
    nobodys = "/v1/events/{}/runs".format("0" * 26)
    assert [request.path for request in looks] == [nobodys, "/run"]
    shown = [r.path for r in server.requests if "Authorization" in r.headers]
    assert set(shown) == {"/v1/events/e1/runs", "/fn/register"}


def test_the_state_describes_the_app(dev):
    found = state(dev, here="http://localhost/api/inngest")
    assert found["app"] == {"id": "shop", "version": None}
    assert (found["mode"], found["env"]) == ("dev", None)
    assert found["url"] == "http://localhost/api/inngest"
    assert found["api_origin"] == found["event_api_origin"] == NOWHERE
    assert found["keys"] == {"event": False, "signing": False, "fallback": False}
    assert found["sdk"]["name"] == "inngest-wsgi" and found["python"][:2] == "3."
    assert [one["id"] for one in found["functions"]] == ["shop-f"]
    assert found["sync"] is None and found["problems"] == []


# -- the server ----------------------------------------------------------


@pytest.mark.parametrize(
    "answer, words",
    [
        ((200, {}, {"X-Inngest-Server-Kind": "dev"}), None),
        ((401, "no", {}), None),
        ((500, "", {}), None),
        ((404, "not found", {}), "does not seem to be an Inngest server"),
        ((404, "", {"X-Inngest-Server-Kind": "dev"}), None),
        ((401, "", {"X-Inngest-Server-Kind": "cloud"}), "is not a dev server"),
        ((302, "", {"Location": "http://127.0.0.1:9/"}), None),
    ],
)
def test_any_answer_shows_that_the_server_is_reachable(answer, words):
    server = Scripted(answer)
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin, signing_key=KEY)
        found = ask(endpoint, "server").get_json()
    (one,) = found["servers"]
    assert (one["origin"], one["reached"]) == (origin, True)
    assert 0 <= one["ms"] < 3000
    assert [words in text(problem["what"]) for problem in found["problems"]] == [True] * bool(
        words
    )
    (request,) = server.requests
    assert "Authorization" not in request.headers


def test_a_missing_server_is_reported_with_the_command_to_start_one(dev):
    found = ask(dev, "server").get_json()
    assert found["servers"][0]["reached"] is False
    (problem,) = found["problems"]
    assert problem["level"] == "error" and "Connection refused" in text(problem["what"])
    command = "npx inngest-cli@latest dev -u http://localhost/api/inngest"
    assert command in problem["advice"] and "INNGEST_DEV" in problem["advice"]


@pytest.mark.parametrize("path", ["/a;b", "/a$(b)", "/a&b'c", "/(x)"])
def test_the_command_to_copy_is_safe_in_a_shell(dev, path):
    state, server = (
        dev.http.get(
            "/?landing=" + what, headers=OURS, environ_overrides={"PATH_INFO": path}
        ).get_json()
        for what in ("state", "server")
    )
    script = 'npx() { printf "%s\\n" "$@"; }; ' + server["problems"][0]["advice"][1]
    said = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE).stdout.decode()
    assert said.splitlines() == ["inngest-cli@latest", "dev", "-u", state["url"]]


def test_a_separate_event_api_is_checked_too():
    api = Scripted((200, {}, {"X-Inngest-Server-Kind": "dev"}))
    with serving(api) as origin:
        client = {"api_base_url": origin, "event_api_base_url": NOWHERE}
        found = ask(Endpoint(handler, client=client), "server").get_json()
    assert [one["reached"] for one in found["servers"]] == [True, False]
    assert [problem["level"] for problem in found["problems"]] == ["error"]
    assert "Start one" in text(found["problems"][0]["advice"])


# -- what the page does --------------------------------------------------


def test_an_event_is_sent_and_its_run_is_shown():
    with LocalServer() as server:
        endpoint = Endpoint(handler, base_url=server.url)
        with serving(endpoint.application) as origin:
            endpoint.http = Client(relay(origin))
            assert state(endpoint)["sync"] is None
            synced = act(endpoint, "sync").get_json()
            assert (synced["ok"], synced["message"]) == (True, "Successfully registered")
            assert state(endpoint)["sync"] == synced
            event = {"name": "test/event", "data": {"n": 1}, "id": "mine", "v": "2", "ts": None}
            sent = act(endpoint, "send", event=event).get_json()
            assert sent["error"] is None and len(sent["ids"]) == 1
            server.wait_for_run(sent["ids"][0])
            found = ask(endpoint, "runs", event=sent["ids"][0]).get_json()
    (run,) = found.pop("runs")
    assert found == {"error": None}
    assert (run["function"], run["status"], run["ended"]) == ("f", "Completed", True)
    assert json.loads(run["output"]) == {"got": {"n": 1}}
    assert run["page"] is None


def relay(origin):
    """Return an application that forwards each request to an application
    elsewhere; the address in a sync is the one that was called."""
    import urllib3

    pool = urllib3.PoolManager()

    def application(environ, start_response):
        headers = {
            name[5:].replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name != "HTTP_HOST"
        }
        headers["Content-Type"] = environ.get("CONTENT_TYPE") or "text/plain"
        length = int(environ.get("CONTENT_LENGTH") or 0)
        answer = pool.request(
            environ["REQUEST_METHOD"],
            "{}{}?{}".format(origin, environ["PATH_INFO"], environ["QUERY_STRING"]),
            body=environ["wsgi.input"].read(length),
            headers=headers,
        )
        response = Response(answer.data, answer.status, dict(answer.headers))
        return response(environ, start_response)

    return application


def test_a_refusal_is_reported_in_the_servers_words():
    server = Scripted((400, {"error": "App ID required"}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin)
        synced = act(endpoint, "sync").get_json()
        sent = act(endpoint, "send", event={"name": "a"}).get_json()
        runs = ask(endpoint, "runs", event="e1").get_json()
        found = state(endpoint)
    assert (synced["ok"], synced["message"]) == (False, "App ID required")
    assert sent["ids"] == [] and "App ID required" in sent["error"]
    assert runs["runs"] == [] and "App ID required" in runs["error"]
    assert found["sync"] == synced
    assert found["problems"][0]["level"] == "error"
    assert "App ID required" in text(found["problems"][0]["what"])


def test_a_sync_requested_by_the_server_is_remembered(dev):
    dev.request("PUT", query="")
    assert state(dev)["sync"]["ok"] is False


def test_a_test_event_passes_through_the_clients_middleware():
    class Stamp(inngest.Middleware):
        def before_send_events(self, events):
            events[0].data["stamp"] = True

    server = Scripted((200, {"ids": ["e1"], "status": 200}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin, client={"middleware": [Stamp]})
        assert act(endpoint, "send", event={"name": "a"}).get_json()["ids"] == ["e1"]
    assert server.requests[0].get_json()[0]["data"] == {"stamp": True}


def test_an_event_that_the_middleware_drops_is_not_sent():
    class Drop(inngest.Middleware):
        def before_send_events(self, events):
            events.clear()

    endpoint = Endpoint(handler, base_url=NOWHERE, client={"middleware": [Drop]})
    found = act(endpoint, "send", event={"name": "a"}).get_json()
    assert found == {"ids": [], "error": None}


class Silent:
    """A server that accepts requests and answers none."""

    def __init__(self):
        self.waits = []

    def request(self, method, url, **options):
        self.waits.append(options["timeout"].read_timeout)
        raise urllib3.exceptions.ReadTimeoutError(None, url, "silence")  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["send", "runs"])
def test_a_silent_server_is_asked_once_with_a_short_timeout(what):
    silent = Silent()
    endpoint = Endpoint(handler, base_url=NOWHERE, http=silent)
    if what == "send":
        found = act(endpoint, "send", event={"name": "a"}).get_json()
    else:
        found = ask(endpoint, "runs", event="e1").get_json()
    assert "no answer in time" in found["error"]
    assert [0 < wait <= 10 for wait in silent.waits] == [True]


class Overtaken(page.Landing):
    """A dev page that learns of another sync before its own has been answered."""

    @property
    def _last_sync(self):
        return {"ok": "another's"}

    @_last_sync.setter
    def _last_sync(self, value):
        pass


def test_a_sync_returns_its_own_result(dev):
    dev.application._router._landing.__class__ = Overtaken
    assert act(dev, "sync").get_json()["ok"] is False


RUN = {"run_id": "01RUN", "status": "Completed", "ended_at": "2026-01-01T00:00:00Z", "output": 1}
HTML = (200, "<html>", {"Content-Type": "text/html; charset=utf-8"})


@pytest.mark.parametrize(
    "answers, expected",
    [
        ([(200, {"data": [RUN]}), HTML], {"status": "Completed", "output": "1", "page": True}),
        ([(200, {"data": [RUN]}), (200, {"a": 1})], {"page": True, "output": "1"}),
        ([(200, {"data": [RUN]}), (404, "<html>", HTML[2])], {"page": None}),
        (
            [(200, {"data": [dict(RUN, status="Scheduled")]}), (200, {"data": RUN}), HTML],
            {"status": "Completed", "ended": True},
        ),
        (
            [(200, {"data": [dict(RUN, status="Scheduled", ended_at=None)]}), HTML],
            {"status": "Scheduled", "ended": False, "error": None},
        ),
        (
            [
                (
                    200,
                    {"data": [dict(RUN, status="Failed", output={"name": "E", "message": "m"})]},
                ),
                HTML,
            ],
            {"error": "E: m", "ended": True},
        ),
        (
            [(200, {"data": [dict(RUN, status="Failed", output="text")]}), HTML],
            {"error": "text"},
        ),
        ([(200, {"data": [dict(RUN, status="Failed", output=None)]}), HTML], {"ended": True}),
        ([(200, {"data": [dict(RUN, run_id="../x?y")]}), HTML], {"page": None, "id": "../x?y"}),
        (
            [(200, {"data": [dict(RUN, output="é" * 20000)]}), HTML],
            {"output": '"' + "é" * 9999 + "\n... (20002 characters in all)"},
        ),
        ([(200, {"data": [dict(RUN, output=2**60 + 1)]}), HTML], {"output": str(2**60 + 1)}),
    ],
)
def test_a_run_is_read_back(answers, expected):
    server = Scripted(*answers)
    with serving(server) as origin:
        found = ask(Endpoint(handler, base_url=origin), "runs", event="e1").get_json()
    assert found["error"] is None
    (run,) = found["runs"]
    if expected.get("page"):
        is_html = answers[-1] is HTML
        expected["page"] = origin + "/run?runID=01RUN" if is_html else None
    assert {name: run[name] for name in expected} == expected
    assert server.requests[0].path == "/v1/events/e1/runs"


def test_the_server_is_asked_for_its_pages_until_it_has_them():
    runs, nothing = (200, {"data": [RUN]}), (404, "")
    server = Scripted(runs, nothing, runs, HTML, runs, runs)
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin)
        pages = [ask(endpoint, "runs", event="e").get_json()["runs"][0]["page"] for _ in range(4)]
    assert pages == [None] + [origin + "/run?runID=01RUN"] * 3
    assert [request.path for request in server.requests].count("/run") == 2


@pytest.mark.parametrize(
    "answer", [(200, "<html>"), (200, "[]"), (200, {"data": None}), (200, {"data": {}}), (500, "")]
)
def test_an_invalid_answer_about_runs_is_an_error_message(answer):
    with serving(Scripted(answer)) as origin:
        found = ask(Endpoint(handler, base_url=origin), "runs", event="e1").get_json()
    assert found["runs"] == [] and len(found["error"]) > 10


@pytest.mark.parametrize("event", ["", "../v1/runs", "a b", "é", "x" * 65, "a/b", "a\n"])
def test_an_event_id_cannot_change_the_url(dev, event):
    answer = ask(dev, "runs", event=event)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "body_invalid")


# -- tokens --------------------------------------------------------------


@pytest.fixture
def scripted():
    """An endpoint, and the server that must not get a refused request."""
    server = Scripted((200, {"ids": ["e1"], "status": 200, "ok": True}))
    with serving(server) as origin:
        endpoint: t.Any = Endpoint(handler, base_url=origin)
        endpoint.server = server
        yield endpoint


def other_process(endpoint):
    return state(Endpoint(handler, base_url=NOWHERE))["token"]


@pytest.mark.parametrize(
    "tokens, code",
    [
        (lambda e: [], "token_missing"),
        (lambda e: [""], "token_invalid"),
        (lambda e: ["garbage"], "token_invalid"),
        (lambda e: ["é"], "token_invalid"),
        (lambda e: ["\ud800"], "token_invalid"),
        (lambda e: [state(e)["token"][:-1]], "token_invalid"),
        (lambda e: [state(e)["token"] + "x"], "token_invalid"),
        (lambda e: ["x" + state(e)["token"]], "token_invalid"),
        (lambda e: [other_process(e)], "token_invalid"),
        (lambda e: [state(e)["token"]] + ["x"] * 16, "token_invalid"),
        (lambda e: None, "body_invalid"),
        (lambda e: state(e)["token"], "body_invalid"),
        (lambda e: [1], "body_invalid"),
    ],
)
@pytest.mark.parametrize("what", ["sync", "send"])
def test_an_action_without_a_valid_token_is_refused(scripted, what, tokens, code):
    body = json.dumps({"tokens": tokens(scripted), "event": {"name": "a"}})
    answer = act(scripted, what, body=body, tokens=[])
    assert answer.get_json()["code"] == code
    assert answer.status_code == (400 if code == "body_invalid" else 403)
    assert scripted.server.requests == []


@pytest.mark.parametrize("minutes, code", [(59, None), (61, "token_expired")])
def test_a_token_expires_within_the_hour(scripted, minutes, code):
    with freezegun.freeze_time("2026-01-01 00:00") as clock:
        token = state(scripted)["token"]
        clock.tick(minutes * 60)
        answer = act(scripted, "send", [token], event={"name": "a"})
    assert answer.get_json().get("code") == code
    assert len(scripted.server.requests) == (code is None)


def test_one_valid_token_among_several_is_enough(scripted):
    tokens = [other_process(scripted), state(scripted)["token"], other_process(scripted)]
    assert act(scripted, "send", tokens, event={"name": "a"}).get_json()["ids"] == ["e1"]


# -- origins -------------------------------------------------------------


@pytest.mark.parametrize(
    "headers, reads, acts",
    [
        ({"Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://proxied.example"}, True, True),
        ({"Sec-Fetch-Site": "none"}, True, False),
        ({"Sec-Fetch-Site": "same-site"}, False, False),
        ({"Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False, False),
        ({"Sec-Fetch-Site": ""}, False, False),
        ({"Origin": "http://localhost"}, True, True),
        ({"Origin": "https://shop.example"}, True, True),
        ({"Origin": "https://localhost"}, False, False),
        ({"Origin": "http://localhost:81"}, False, False),
        ({"Origin": "http://localhost.evil.example"}, False, False),
        ({"Origin": "null"}, False, False),
        ({"Origin": ""}, False, False),
        ({}, True, False),
    ],
)
def test_other_origins_are_refused(headers, reads, acts):
    server = Scripted((200, {"ids": ["e1"], "status": 200}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin, serve_origin="https://shop.example")
        answers = [
            endpoint.http.get("/api/inngest?landing=" + what, headers=headers)
            for what in ("state", "server")
        ]
        token, asked = state(endpoint)["token"], len(server.requests)
        assert asked == reads
        answers.append(act(endpoint, "send", [token], headers=headers, event={"name": "a"}))
    for answer, good in zip(answers, (reads, reads, acts)):
        assert answer.status_code == (200 if good else 403)
        assert (answer.get_json().get("code") == "origin_refused") is not good
        assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]
    assert len(server.requests) == asked + acts


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; x=y"]
)
def test_requests_that_a_form_could_send_are_refused(scripted, kind):
    answer = act(scripted, "send", headers=dict(OURS, **{"Content-Type": kind}), event={})
    assert (answer.status_code, answer.get_json()["code"]) == (415, "content_type")
    assert scripted.server.requests == []


@pytest.mark.parametrize(
    "method, what", [("GET", "nonsense"), ("POST", "nonsense"), ("POST", "state"), ("GET", "send")]
)
def test_unknown_actions_are_not_found(dev, method, what):
    answer = dev.http.open("/api/inngest?landing=" + what, method=method, headers=OURS)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "landing_unknown")


@pytest.mark.parametrize(
    "method, what, headers, body, status",
    [
        ("GET", "runs&event=..", OURS, "", 400),
        ("GET", "state", {"Sec-Fetch-Site": "cross-site"}, "", 403),
        ("GET", "nonsense", OURS, "", 404),
        ("POST", "send", OURS, "{}", 415),
        ("POST", "send", dict(OURS, **{"Content-Type": "application/json"}), "[", 400),
        ("POST", "send", dict(OURS, **{"Content-Type": "application/json"}), "{}", 400),
        ("GET", "state", OURS, "", 200),
    ],
)
def test_answers_to_the_page_cannot_be_stored_or_embedded(
    dev, method, what, headers, body, status
):
    answer = dev.http.open("/?landing=" + what, method=method, headers=headers, data=body)
    assert answer.status_code == status
    for name, value in page.PAGE_HEADERS:
        assert answer.headers.getlist(name) == [value]


def test_internal_errors_cannot_be_stored_or_embedded(dev, monkeypatch):
    monkeypatch.setattr(descriptions, "functions", None)
    answer = ask(dev, "state")
    assert answer.status_code == 500
    assert answer.headers.getlist("Cache-Control") == ["no-store"]


# -- bad bodies ----------------------------------------------------------


@pytest.mark.parametrize(
    "event, words",
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ("a", "must be a JSON object"),
        ({}, "needs a name"),
        ({"name": ""}, "needs a name"),
        ({"name": 1}, "needs a name"),
        ({"name": "a", "data": []}, "data of event 'a' must be a dict"),
        ({"name": "a", "user": 1}, "user of event 'a' must be a dict"),
        ({"name": "a", "ts": "now"}, "ts of event 'a'"),
        ({"name": "a", "ts": True}, "ts of event 'a'"),
        ({"name": "a", "id": 1}, "id of event 'a'"),
        ({"name": "a", "v": 1}, "v of event 'a'"),
        ({"name": "a", "dta": {}}, "no field 'dta'"),
    ],
)
def test_an_invalid_event_is_not_sent(scripted, event, words):
    answer = act(scripted, "send", event=event)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "body_invalid")
    assert words in answer.get_json()["message"]
    assert scripted.server.requests == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"tokens": NaN}', "[" * 100000])
def test_a_body_that_is_not_a_json_object_is_refused(scripted, body):
    answer = act(scripted, "send", tokens=[], body=body)
    assert answer.status_code == 400
    assert answer.get_json()["code"] in ("body_not_json", "body_invalid")


# with lone surrogates, which JSON may have
words = st.text(st.characters())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=5,
)
fields = st.sampled_from(["tokens", "event", "name", "data", "id", "ts", "user", "v"]) | words
tokens = st.fixed_dictionaries({"tokens": st.lists(words)})


@settings(max_examples=50)
@given(st.dictionaries(fields, values) | tokens, st.dictionaries(fields, values))
@example({"tokens": ["\ud800"]}, {"name": "\udfff", "data": {"\ud800": "\ud800"}})
@example({}, {"\ud800": 1})
def test_no_body_causes_an_internal_error(hostile, event):
    answer = act(HOSTILE, "send", tokens=[], body=json.dumps(hostile))
    assert answer.status_code in (400, 403)
    answer = act(HOSTILE, "send", event=event)
    assert answer.status_code in (200, 400)


class Nobody:
    """An HTTP client that accepts every request."""

    status, data, headers = 200, b'{"ids": ["e"], "status": 200}', {}

    def request(self, method, url, **options):
        return self


HOSTILE = Endpoint(handler, http=Nobody())


# -- what a function is, in words ----------------------------------------


def text(parts):
    return "".join("`{}`".format(part) if n % 2 else part for n, part in enumerate(parts))


def described(trigger=None, app=None, **options):
    client = app or inngest.Inngest(app_id="shop", is_production=False)
    trigger = inngest.TriggerEvent(event="a") if trigger is None else trigger
    function = client.create_function(fn_id="f", trigger=trigger, **options)(handler)
    failure = function.failure_handler("shop")
    (found,) = descriptions.functions([function] + [failure] * (failure is not None), "shop")
    return found


C, T, R = inngest.Concurrency, inngest.Throttle, inngest.RateLimit


@pytest.mark.parametrize(
    "options, sentences",
    [
        ({}, []),
        ({"concurrency": [C(1)]}, ["At most 1 step at once"]),
        (
            {"concurrency": [C(5, key="event.data.u", scope="account"), C(0)]},
            [
                "At most 5 steps at once for each `event.data.u`, shared by the whole account",
                "No limit but the account's",
            ],
        ),
        (
            {"concurrency": [C(2, key="'x'", scope="env")]},
            [
                "At most 2 steps at once for each `'x'`, shared by all functions of the "
                "environment with the same key"
            ],
        ),
        ({"concurrency": [C(2, scope="fn")]}, ["At most 2 steps at once"]),
        ({"throttle": T(1, "1m")}, ["At most 1 run starts in 1 minute; the others wait"]),
        (
            {"throttle": T(10, "1h30m", key="k", burst=3)},
            [
                "At most 10 runs start in 1 hour 30 minutes for each `k`, 3 of them at the same "
                "moment; the others wait"
            ],
        ),
        (
            {"rate_limit": R(2, "24h", key="k")},
            ["At most 2 runs start in 1 day for each `k`; further events start none"],
        ),
        (
            {"debounce": inngest.Debounce("5s")},
            ["Starts once no event has come for 5 seconds, with the last event"],
        ),
        (
            {"debounce": inngest.Debounce("5s", key="k", timeout="1m")},
            [
                "Starts once no event has come for 5 seconds for each `k`, with the last event; "
                "after 1 minute in any case"
            ],
        ),
        ({"batch_events": inngest.Batch(10)}, ["One run for up to 10 events"]),
        (
            {"batch_events": inngest.Batch(10, "1500ms", key="k", if_exp="x")},
            [
                "One run for up to 10 events, or those of 1 second 500 milliseconds for each `k`, "
                "of the events with `x`"
            ],
        ),
        (
            {"priority": inngest.Priority("event.data.vip ? 1 : 0")},
            ["A run is put ahead by as many seconds as `event.data.vip ? 1 : 0` says"],
        ),
        (
            {"singleton": inngest.Singleton("skip")},
            ["One run at a time; an event during it starts none"],
        ),
        (
            {"singleton": inngest.Singleton("cancel", key="k")},
            ["One run at a time for each `k`; an event during it cancels it and starts another"],
        ),
        ({"idempotency": "k"}, ["One run in 24 hours for each `k`"]),
        (
            {"cancel": [inngest.Cancel("b"), inngest.Cancel("c", if_exp="x", timeout="1d")]},
            ["By the event `b`", "By the event `c`, if `x`, within 1 day of the run's start"],
        ),
        ({"cancel": [inngest.Cancel("c", timeout="2d")]}, ["By the event `c`, within 2 days"]),
        (
            {"timeouts": inngest.Timeouts("1h", "2h")},
            ["Cancelled unless started within 1 hour", "Cancelled unless finished 2 hours after"],
        ),
    ],
)
def test_settings_are_described_in_sentences(options, sentences):
    found = [text(setting["text"]) for setting in described(**options)["settings"]]
    assert len(found) == len(sentences)
    for one, expected in zip(found, sentences):
        assert one.startswith(expected) and "``" not in one


def test_every_option_of_a_function_is_described():
    from inngest_wsgi.function import Options

    quiet = {"fn_id", "trigger", "name", "retries", "on_failure", "middleware", "output_type"}
    camel = {
        re.sub("_(.)", lambda m: m.group(1).upper(), x) for x in Options._fields if x not in quiet
    }
    assert camel == {option for option, _, _ in descriptions._SENTENCES}


@pytest.mark.parametrize(
    "retries, words",
    [
        (None, "4, by default: each step is tried up to 5 times"),
        (0, "None: each step is tried once"),
        (1, "1: each step is tried up to 2 times"),
        (20, "20: each step is tried up to 21 times"),
    ],
)
def test_retries_are_described_in_a_sentence(retries, words):
    assert text(described(retries=retries)["retries"]) == words


@pytest.mark.parametrize(
    "cron, words",
    [
        ("* * * * *", "Every minute: `* * * * *`"),
        ("*/15 * * * *", "Every 15 minutes: `*/15 * * * *`"),
        ("5 * * * *", "Every hour, at minute 5: `5 * * * *`"),
        ("0 3 * * *", "Every day at 03:00 (UTC): `0 3 * * *`"),
        ("30 9 * * 1", "Every Monday at 09:30 (UTC): `30 9 * * 1`"),
        ("TZ=Europe/Berlin 0 9 * * 1-5", "Monday to Friday at 09:00 (Europe/Berlin): `TZ="),
        ("CRON_TZ=America/New_York 0 9 * * 0", "Every Sunday at 09:00 (America/New York): `CRON"),
        ("0 0 1 * *", "On day 1 of each month at 00:00 (UTC): `0 0 1 * *`"),
        ("0 0 1 1 *", "On the schedule `0 0 1 1 *` (UTC)"),
        ("0 0 1 * 1", "On the schedule `0 0 1 * 1` (UTC)"),
        ("1,2 0 * * *", "On the schedule `1,2 0 * * *` (UTC)"),
        ("TZ=Asia/Tokyo @daily", "On the schedule `TZ=Asia/Tokyo @daily`"),
        ("@daily", "On the schedule `@daily` (UTC)"),
        ("nonsense", "On the schedule `nonsense` (UTC)"),
        ("0 0 * * 9", "On the schedule `0 0 * * 9` (UTC)"),
    ],
)
def test_simple_schedules_are_described_in_words(cron, words):
    (trigger,) = described(inngest.TriggerCron(cron=cron))["triggers"]
    assert text(trigger["text"]).startswith(words)
    assert trigger["event"] is None


def test_jitter_is_described():
    (trigger,) = described(inngest.TriggerCron(cron="@daily", jitter="30s"))["triggers"]
    assert text(trigger["text"]) == "On the schedule `@daily` (UTC), up to 30 seconds later"
    (trigger,) = described(inngest.TriggerCron(cron="* * * * *", jitter=500))["triggers"]
    assert text(trigger["text"]).endswith("`* * * * *`, up to 500 milliseconds later")


def test_a_failure_handler_is_described_with_its_function():
    assert described()["on_failure"] is None
    assert described(on_failure=handler)["on_failure"] == "shop-f-failure"


def test_each_trigger_has_a_sample_event():
    trigger = [
        inngest.TriggerEvent(event="a", expression="event.data.total > 100"),
        inngest.TriggerEvent(event="b"),
    ]
    first, second = described(trigger, concurrency=[C(1, key="event.data.user.id")])["triggers"]
    assert text(first["text"]) == "When `a` is sent, if `event.data.total > 100`"
    assert first["condition"] == "event.data.total > 100"
    assert first["sample"] == {"total": 101, "user": {"id": "example"}}
    assert text(second["text"]) == "When `b` is sent" and second["condition"] is None


@pytest.mark.parametrize(
    "expressions, data",
    [
        ([], {}),
        (["event.name == 'x'"], {}),
        (["event.data.a == 'x' && event.data.b == \"y\""], {"a": "x", "b": "y"}),
        (["event.data.a >= 5 || event.data.b < 5"], {"a": 5, "b": 4}),
        (["event.data.a == true"], {"a": True}),
        (["event.data.a > 1.5"], {"a": "example"}),
        (["event.data.a == trueish"], {"a": "example"}),
        (["event.data.a != 3"], {"a": "example"}),
        (
            ["event.data.a.startsWith('x')", "size(event.data.b.c)"],
            {"a": "example", "b": {"c": "example"}},
        ),
        (["event.data.matches('x')"], {}),
        (["async.data.id == event.data.id"], {"id": "example"}),
        (["async.event.data.id", "myevent.data.id"], {}),
        (["event.data.a == 1", "event.data.a == 2"], {"a": 1}),
        (["event.data.a == 1", "event.data.a.b == 2"], {"a": 1}),
        (["event.data.a.b == 1", "event.data.a == 2"], {"a": {"b": 1}}),
        (["event.data.a == " + "9" * 5000], {"a": "example"}),
    ],
)
def test_sample_data_is_guessed_from_expressions(expressions, data):
    assert samples.data(expressions) == data


# -- what is wrong with the set-up ---------------------------------------

LOCAL = "http://localhost:8000/api/inngest"


def problems(client=None, told=LOCAL, came=LOCAL, here=LOCAL, concurrent=True, **rest):
    serve = {"serve_origin": rest.pop("serve_origin", None)}
    client = dict({"app_id": "shop", "is_production": False}, **(client or {}))
    serve.update(rest.pop("serve", {}))
    found = _settings.resolve(client, serve, {})
    facts = diagnostics.RequestFacts(told, came, here, concurrent)
    return diagnostics.problems(found, facts, rest.get("events", ["a"]), rest.get("refused"))


@pytest.mark.parametrize(
    "options, level, what, advice",
    [
        ({"refused": "App ID required"}, "error", "App ID required", "sync the app again"),
        ({"client": {"api_base_url": "https://api.inngest.com"}}, "error", "Cloud", "INNGEST_DEV"),
        (
            {"client": {"event_api_base_url": "https://inn.gs"}},
            "error",
            "`https://inn.gs`",
            "keys",
        ),
        (
            {"client": {"event_api_base_url": "http://localhost:9999"}},
            "warning",
            "`http://localhost:9999`",
            "INNGEST_DEV",
        ),
        ({"told": None, "came": None}, "error", "address of this app", "INNGEST_SERVE_ORIGIN"),
        ({"here": "https://shop.test/api/inngest"}, "warning", "such as a proxy", "ProxyFix"),
        ({"here": "http://localhost:8000/app/inngest"}, "warning", "such as a proxy", "ProxyFix"),
        (
            {"serve_origin": "http://app:8000", "told": "http://app:8000/api/inngest"},
            "note",
            "is told to call `http://app:8000/api/inngest`",
            "another container",
        ),
        (
            {"serve": {"base_url": "http://inngest:8288"}},
            "warning",
            "`http://inngest:8288` is told to call `http://localhost:8000/api/inngest`",
            "`INNGEST_SERVE_ORIGIN`",
        ),
        (
            {k: "https://a1b2.tunnel.example.com/x" for k in ("told", "came", "here")},
            "warning",
            "a1b2.tunnel.example.com",
            "unset `INNGEST_DEV`",
        ),
        ({k: "http://8.8.8.8/x" for k in ("told", "came", "here")}, "warning", "8.8.8.8", "keys"),
        ({"client": {"env": "branch"}}, "note", "`branch`", "`INNGEST_ENV`"),
        ({"events": ["user/created "]}, "warning", '`"user/created "`', "Take it out"),
        ({"concurrent": False}, "note", "one request at a time", "threads"),
        (
            {"client": {"event_key": "ab" * 32}, "serve": {"signing_key": "ab" * 32}},
            "warning",
            "is the signing key",
            "`INNGEST_EVENT_KEY`",
        ),
        (
            {"client": {"event_key": KEY.split("-")[-1]}, "serve": {"signing_key": KEY}},
            "warning",
            "is the signing key",
            "`INNGEST_EVENT_KEY`",
        ),
        (
            {"serve": {"signing_key": KEY, "signing_key_fallback": KEY}},
            "note",
            "no fallback",
            "`INNGEST_SIGNING_KEY_FALLBACK`",
        ),
    ],
)
def test_each_problem_is_reported_with_advice(options, level, what, advice):
    (problem,) = problems(**options)
    assert problem.level == level
    assert what in text(problem.what) and advice in text(problem.advice)
    for parts in (problem.what, problem.advice):
        assert text(parts).endswith((".", "`")) and "  " not in text(parts)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"here": None},
        {"here": LOCAL + "/"},
        {"serve": {"base_url": "http://127.0.0.1:8288"}},
        {"serve": {"base_url": "http://[::1]:8288"}},
        {"serve": {"base_url": "http://dev.localhost:8288"}},
        {"serve": {"base_url": "http://host.docker.internal:8288"}},
        {k: "http://app:8000/x" for k in ("told", "came", "here")},
        {k: "http://192.168.1.5:8000/x" for k in ("told", "came", "here")},
        {k: "http://shop.test/x" for k in ("told", "came", "here")},
        {
            "serve": {"base_url": "http://inngest:8288"},
            "serve_origin": "http://localhost:8000",
        },
        {"client": {"event_key": "word"}, "serve": {"signing_key": KEY}},
        # the signing key ends in it
        {"client": {"event_key": "f"}, "serve": {"signing_key": KEY}},
        {
            "client": {
                "env": "branch",
                "api_base_url": "http://x",
                "event_api_base_url": "http://x",
            },
            "serve_origin": "http://localhost:8000",
            "events": [],
        },
    ],
)
def test_a_correct_setup_has_no_problems(options):
    assert [p for p in problems(**options) if "environment" not in text(p.what)] == []


@pytest.mark.parametrize(
    "here, words",
    [
        ("https://shop.test/api/inngest", ["https://shop.test/api/inngest"]),
        ("javascript:alert(1)", []),
        ("http://[", []),
        ("http://x:99999/", []),
        ("http://x/" + "y" * 3000, []),
        ("http://x/\u202e", []),
        ("", []),
    ],
)
def test_the_address_that_the_browser_shows_is_compared(dev, here, words):
    found = state(dev, here=here)["problems"]
    assert [problem["what"][1] for problem in found] == words


def test_a_server_with_one_thread_is_reported(dev):
    for threads, processes, count in ((True, False, 0), (False, True, 0), (False, False, 1)):
        environ = {"wsgi.multithread": threads, "wsgi.multiprocess": processes}
        answer = dev.http.get("/?landing=state", environ_overrides=environ, headers=OURS)
        assert len(answer.get_json()["problems"]) == count


def test_the_page_works_with_an_invalid_host(dev):
    answer = dev.http.get("/?landing=state", headers=dict(OURS, Host="no host"))
    problem = answer.get_json()["problems"][0]
    assert answer.get_json()["url"] is None and problem["level"] == "error"
    assert "INNGEST_SERVE_ORIGIN" in problem["advice"]
    answer = dev.http.get("/?landing=server", headers=dict(OURS, Host="no host"))
    assert "the address of this page" in text(answer.get_json()["problems"][0]["advice"])


# -- many at once --------------------------------------------------------


def test_the_number_of_remembered_runs_is_limited(dev):
    def call_often(n):
        for run in range(300):
            dev.call(run_id="run-{}-{}".format(n, run))

    threads = [threading.Thread(target=call_often, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(dev.application._router._landing._runs._known) == 500


def known(endpoint):
    return list(endpoint.application._router._landing._runs._known)


def test_the_last_runs_are_remembered(dev):
    for run in ["first", "second"] + ["run-{}".format(n) for n in range(498)] + ["first", "new"]:
        assert dev.call(run_id=run).status_code == 200
    assert len(known(dev)) == 500
    assert "second" not in known(dev) and known(dev)[-2:] == ["first", "new"]


@pytest.mark.parametrize("run", ["", "x" * 65, "x" * 100000, "../x", "a b", "\u0660", "a\n"])
def test_an_invalid_run_id_is_not_remembered(dev, run):
    assert dev.call(run_id=run).status_code == 200
    assert known(dev) == []
