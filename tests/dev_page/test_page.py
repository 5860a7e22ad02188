"""The dev page over HTTP: who gets it, and what it contains. tests/browser tests it in a
browser."""

import base64
import hashlib
import json
import pathlib
import re

import pytest
from apps import KEY, OTHER_KEY, Endpoint
from dev_page import HTML, NOWHERE, OURS, RUN, act, ask, handler, state
from stub_server import Scripted, serving

from inngest_wsgi._dev_page import page

PAGE = pathlib.Path(page.__file__).parent / "page.html"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
SECRET = "sesame-4711"

# -- who is shown the page ---------------------------------------------------


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
    accept = "text/html," + " " * 60000 + "x"
    answer = dev.http.get("/api/inngest", headers={"Accept": accept})
    assert answer.headers["Content-Type"] == "application/json"


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


# -- the page itself ---------------------------------------------------------


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
    # no URL but SVG's namespace, in the icon
    assert set(re.findall(rb"https?://[^'\"\s>)]+", text)) == {b"http://www.w3.org/2000/svg"}
    assert not re.search(rb"""\s(style|on[a-z]+|src)=["']|innerHTML|eval\(|@import""", text)


POLICY = "Content-Security-Policy"


def digests(text, element):
    (block,) = re.findall(b"<%b[^>]*>(.*?)</%b" % (element, element), text, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(block).digest()).decode()}'"


def test_no_secret_is_sent_to_the_page():
    runs = [(200, {"data": [RUN]}), (200, {"data": RUN})]
    server = Scripted((401, "no key"), *runs, HTML, (401, "no such key"))
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
    # requests that only probe the server carry no key
    looks = [r for r in server.requests if "Authorization" not in r.headers and r.method == "GET"]
    nobodys = "/v1/events/{}/runs".format("0" * 26)
    assert [request.path for request in looks] == [nobodys, "/run"]
    shown = [r.path for r in server.requests if "Authorization" in r.headers]
    assert set(shown) == {"/v1/events/e1/runs", "/v1/runs/01RUN", "/fn/register"}


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
