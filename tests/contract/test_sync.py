"""Sync and introspection, compared with what was recorded."""

import contextlib
import hashlib
import json
import socket
import socketserver
import ssl
import threading

import pytest
import recordings
import trustme
from apps import KEY, OTHER_KEY, Endpoint, is_signed, sign
from stub_server import Scripted, serving
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

import inngest_wsgi as inngest
from inngest_wsgi._server_api import body, client as _client, connection, retry, transport

OK = (200, {"ok": True, "modified": True, "sync_id": "s", "app_id": "a"})


def nothing(ctx):
    return None


def app_of(functions, app_id, **options):
    """Return an endpoint at http://localhost:3000/api/inngest."""
    serve = {k: options.pop(k) for k in list(options) if k.startswith(("s", "http", "base"))}
    # the recorded SDKs do not register it
    client = inngest.Inngest(app_id=app_id, checkpointing=False, **options)
    declared = [
        client.create_function(fn_id=fn_id, trigger=trigger, **more)(nothing)
        for fn_id, trigger, more in functions
    ]
    return inngest.serve(client, declared, **serve)


def put(application, body=b'{"url":"http://localhost:3000/api/inngest"}', **options):
    options.setdefault("path", "/api/inngest")
    options.setdefault("base_url", "http://localhost:3000")
    return Client(application).put(data=body, **options)


def test_the_registration_of_a_plain_function_is_the_recorded_one():
    recording = recordings.load("01")
    sync, register = recording.exchanges[:2]
    server = Scripted(OK)
    with serving(server) as origin:
        application = app_of(
            [("plain", inngest.TriggerEvent(event="sync/plain"), {})],
            "sync-app",
            app_version="1.2.3",
            is_production=False,
            base_url=origin,
        )
        response = put(application, sync.body, headers=sync.headers)
    assert (response.status_code, response.get_json()["modified"]) == (200, True)
    assert response.headers["X-Inngest-Sync-Kind"] == "out_of_band"
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", register.path)
    assert request.headers["X-Inngest-Expected-Server-Kind"] == "dev"
    assert "Authorization" not in request.headers
    ours, theirs = request.get_json(), json.loads(register.body)
    # the server reads keys without regard to case and underscores vary by SDK
    assert ours["appName"] == theirs["appname"]
    assert ours["deployType"] == theirs["deploy_type"]
    for name in ("appVersion", "url", "v"):
        assert ours[name] == theirs[name]
    assert ours["functions"] == theirs["functions"][:1]
    assert (ours["sdk"], ours["framework"]) == ("py:v" + inngest.__version__, "wsgi")


@pytest.mark.parametrize(
    "trigger, more, wire",
    [
        (
            [
                inngest.TriggerEvent(event="sync/rich", expression="event.data.ok == true"),
                inngest.TriggerCron(cron="TZ=Europe/Berlin 0 9 * * 1-5"),
            ],
            {"name": "Rich function", "retries": 7},
            {"name": "Rich function", "retries": {"attempts": 7}},
        ),
        (inngest.TriggerEvent(event="sync/rich"), {"retries": 0}, {"retries": {"attempts": 0}}),
    ],
)
def test_the_registration_has_only_options_that_are_set(trigger, more, wire):
    server = Scripted(OK)
    with serving(server) as origin:
        put(app_of([("rich", trigger, more)], "sync-app", is_production=False, base_url=origin))
    (function,) = server.requests[0].get_json()["functions"]
    recorded = json.loads(recordings.load("01").exchanges[1].body)["functions"][1]
    if isinstance(trigger, list):
        assert function["triggers"] == recorded["triggers"]
    assert function["name"] == wire.get("name", "rich")
    assert function["steps"]["step"]["retries"] == wire["retries"]
    assert function["steps"]["step"]["runtime"] == recorded["steps"]["step"]["runtime"]
    assert "null" not in json.dumps(function)


def test_a_signed_sync_and_its_bearer():
    recording = recordings.load("50")
    sync, register = recording.exchanges
    server = Scripted(OK)
    with serving(server) as origin:
        application = app_of(
            [
                ("two", inngest.TriggerEvent(event="prod/two"), {}),
                ("sender", inngest.TriggerEvent(event="prod/sender"), {}),
            ],
            "prod-app",
            signing_key=recording.signing_key,
            base_url=origin,
        )
        response = recordings.replay(application, sync)
    assert response.status_code == 200
    assert "X-Inngest-Signature" in response.headers
    (request,) = server.requests
    assert request.get_json()["functions"] == json.loads(register.body)["functions"]
    scheme, _, bearer = request.headers["Authorization"].partition(" ")
    hashed = register.headers["authorization"].split()[1]
    assert (scheme, bearer) == ("Bearer", "signkey-test-" + hashed)


@pytest.mark.parametrize("refusal", [401, 403])
def test_the_fallback_key_is_tried_after_a_refusal(refusal):
    server = Scripted((refusal, "Authentication failed\n"), OK)
    with serving(server) as origin:
        application = app_of(
            [("rot", inngest.TriggerEvent(event="prod/rot"), {"retries": 0})],
            "rot-app",
            signing_key=OTHER_KEY,
            signing_key_fallback=KEY,
            serve_origin="http://localhost:3000",
            base_url=origin,
        )
        response = put(application)
    assert response.status_code == 200
    registers = recordings.load("60").exchanges[1:3]
    recorded = [register.headers["authorization"].split()[1] for register in registers]
    sent = [r.headers["Authorization"].rpartition("-")[2] for r in server.requests]
    assert sent == recorded


@pytest.mark.parametrize(
    "answers, status, message, tries",
    [
        ([(200, {"ok": True, "modified": True})], 200, "Successfully registered", 1),
        ([(200, {"ok": True, "modified": False})], 200, "Successfully registered", 1),
        ([(200, "<html>Sign in</html>")], 500, "is no Inngest server", 1),
        ([(200, "[]")], 500, "is no Inngest server", 1),
        ([(200, {})], 500, "is no Inngest server", 1),
        ([(200, {"message": "hello"})], 500, "is no Inngest server", 1),
        ([(200, {"ok": False, "error": "archived"})], 500, "archived", 1),
        ([(200, {"error": "odd", "data": None, "status": 500})], 500, "odd", 1),
        ([(401, "Authentication failed\n")], 500, "Authentication failed", 1),
        ([(400, {"error": "App ID required"})], 500, "App ID required", 1),
        ([(400, {"code": "sdk_version_denied", "error": "too old"})], 500, "too old", 1),
        ([(404, "<html>")], 500, "HTTP status 404 from http://127.0.0.1:", 1),
        ([(404, "not found")], 500, ": not found", 1),
        ([(400, {"error": "a\nERROR forged\x1b[31m"})], 500, "a ERROR forged [31m", 1),
        ([(400, {"error": "y" * 3_000_000})], 500, "y" * 500 + "...", 1),
        ([(418, "")], 500, "HTTP status 418", 1),
        ([(307, "", {"Location": "/other"})], 500, "HTTP status 307, a redirect", 1),
        (
            [(301, "", {"Location": "https://u:p@ss@x.example/k"})],
            500,
            "to https://x.example, which",
            1,
        ),
        ([(302, "", {"Location": "mailto:x"})], 500, "INNGEST_BASE_URL", 1),
        ([(500, {"error": "Error upserting app"}), OK], 200, "Successfully registered", 2),
        ([(429, ""), (502, "<html>"), OK], 200, "Successfully registered", 3),
        ([(503, {"error": "busy"})], 500, "busy", 3),
    ],
)
def test_the_servers_message_is_passed_on(answers, status, message, tries, caplog):
    caplog.set_level("INFO", "inngest_wsgi")
    server = Scripted(*answers)
    with serving(server) as origin:
        response = Endpoint(nothing, base_url=origin).request("PUT")
    body = response.get_json()
    assert response.status_code == status
    assert message in body["message"] and "p@ss" not in body["message"]
    assert len(body["message"]) < 1000 and body["message"].isprintable()
    last = answers[-1][1]
    assert body["modified"] is (status == 200 and last["modified"])
    assert response.headers["X-Inngest-Sync-Kind"] == "out_of_band"
    assert len(server.requests) == tries
    (line,) = [record for record in caplog.records if record.name == "inngest_wsgi"]
    assert line.levelname == ("INFO" if status == 200 else "ERROR")
    assert "shop" in line.message and line.exc_info is None
    if status != 200:
        assert body["message"] in line.message


@pytest.mark.parametrize("retries, tries", [(0, 1), (1, 2), (None, 3)])
def test_sync_retries_sets_the_number_of_attempts(retries, tries):
    server = Scripted((503, "busy"))
    with serving(server) as origin:
        response = Endpoint(nothing, base_url=origin, sync_retries=retries).request("PUT")
    assert (response.status_code, len(server.requests)) == (500, tries)


class Clock:
    """Replaces the module ``time`` for what waits between requests."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (_client, retry, body, connection, transport):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_sync_timeout_limits_all_attempts_together(monkeypatch):
    clock = Clock(monkeypatch)
    server = Scripted((503, "busy"))
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin, sync_retries=10, sync_timeout=10000)
        response = endpoint.request("PUT")
    assert response.status_code == 500
    # the waits of eleven tries would be 15 s at the least
    assert 1 < len(server.requests) < 11
    assert clock.now < 10


@pytest.mark.parametrize("key", [None, KEY])
def test_secrets_that_the_server_repeats_are_not_shown(key, caplog):
    def echo(environ, start_response):
        request = Request(environ)
        text = f"Cannot {request.method} {request.path} {request.headers}"
        return Response(text, 404)(environ, start_response)

    with serving(echo) as origin:
        client = {"event_key": "evkey-SECRET 1", "event_api_base_url": origin}
        endpoint = Endpoint(nothing, base_url=origin, signing_key=key, client=client)
        message = endpoint.request("PUT").get_json()["message"]
        with pytest.raises(inngest.SendEventsError) as caught:
            endpoint.inngest.send(inngest.Event(name="a"))
    assert "Cannot POST /fn/register" in message
    assert "Cannot POST /e/[key]" in caught.value.message
    bearer = hashlib.sha256(bytes.fromhex(KEY.rpartition("-")[2])).hexdigest()
    logged = [record.getMessage() for record in caplog.records if record.name != "werkzeug"]
    for secret in ("SECRET", bearer, KEY):
        assert secret not in " ".join([message, caught.value.message] + logged)


def test_a_short_event_key_is_not_masked_in_messages():
    with serving(Scripted((400, {"error": "bad data"}))) as origin:
        client = {"event_key": "a", "event_api_base_url": origin}
        endpoint = Endpoint(nothing, client=client)
        with pytest.raises(inngest.SendEventsError, match="bad data"):
            endpoint.inngest.send(inngest.Event(name="a"))


@contextlib.contextmanager
def refusing():
    """Yield an origin at which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def silent():
    """Yield the origin of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def saying(text):
    """Return a server that sends this text and closes the connection."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            # all of the request: who is still sending it may not hear us
            length = 0
            for line in iter(self.rfile.readline, b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.rfile.read(length)
            self.request.sendall(text)

    @contextlib.contextmanager
    def server():
        with socketserver.TCPServer(("127.0.0.1", 0), Handler) as listening:
            thread = threading.Thread(
                target=listening.serve_forever, kwargs={"poll_interval": 0.02}
            )
            thread.start()
            yield f"http://127.0.0.1:{listening.server_address[1]}"
            listening.shutdown()
            thread.join()

    return server


@contextlib.contextmanager
def certified_by_nobody():
    """Yield the origin of a server whose certificate is from an unknown authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with serving(Scripted(OK), ssl_context=context) as origin:
        yield origin.replace("http:", "https:")


@contextlib.contextmanager
def without_a_name():
    yield "http://nowhere.invalid:8288"


@pytest.mark.parametrize(
    "server, said",
    [
        (refusing, "Connection refused"),
        (silent, "no answer in time"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "or not complete"),
        (saying(b"-ERR unknown command\r\n\r\n"), "is not HTTP"),
        (certified_by_nobody, "certificate verify failed"),
        (without_a_name, "nowhere.invalid:8288 cannot be reached: "),
    ],
    ids=["refusing", "silent", "hanging up", "not HTTP", "unknown certificate", "no such name"],
)
def test_a_server_that_gives_no_answer_is_named(server, said, caplog):
    with server() as origin:
        client = {"request_timeout": 300 if server is silent else 60000}
        endpoint = Endpoint(nothing, base_url=origin, client=client, sync_retries=1)
        response = endpoint.request("PUT")
    assert response.status_code == 500
    assert response.get_json()["modified"] is False
    message = response.get_json()["message"]
    assert message.startswith(f"The Inngest API at {origin} cannot be reached: ")
    assert said in message
    (line,) = caplog.records
    assert message in line.message and line.exc_info is None


def test_the_deploy_id_is_sent_but_not_registered():
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin)
        endpoint.request("PUT", query="deployId=d%261&other=2")
    (request,) = server.requests
    assert request.args.to_dict() == {"deployId": "d&1"}
    assert "d&1" not in request.get_data(as_text=True)
    assert "other" not in request.get_data(as_text=True)


def test_app_id_of_serve_replaces_the_clients():
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin, app_id="market")
        endpoint.request("PUT")
    registered = server.requests[0].get_json()
    assert registered["appName"] == "market"
    assert registered["functions"][0]["id"] == "market-f"
    body = json.dumps({"ctx": {"run_id": "r"}, "event": {"name": "a"}}).encode()
    assert endpoint.request(query="fnId=market-f", body=body).status_code == 200


@pytest.mark.parametrize(
    "serve, environ, status, said",
    [
        ({}, {}, 401, "serve_origin"),
        ({"serve_origin": "https://shop.example"}, {}, 200, "registered"),
        (
            {"serve_origin": "https://shop.example"},
            {"INNGEST_ENABLE_UNAUTHED_SYNC": "false"},
            401,
            "signed",
        ),
    ],
)
def test_an_unsigned_sync_in_cloud_mode(serve, environ, status, said, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, cloud=True, base_url=origin, **serve)
        response = endpoint.request("PUT", signed=False, headers={"Host": "evil.example"})
    assert response.status_code == status
    assert said in response.get_json()["message"]
    assert len(server.requests) == (status == 200)
    told = {name for name in response.headers.keys() if name.startswith("X-Inngest")}
    assert told <= {"X-Inngest-Sdk-Handled", "X-Inngest-Sync-Kind"}
    for request in server.requests:
        assert request.get_json()["url"] == "https://shop.example/api/inngest"


@pytest.mark.parametrize(
    "environ, advice",
    [
        ({}, "set INNGEST_SERVE_ORIGIN (serve_origin of serve())"),
        (
            {"INNGEST_ENABLE_UNAUTHED_SYNC": "false"},
            "or unset INNGEST_ENABLE_UNAUTHED_SYNC in the app",
        ),
    ],
)
def test_the_page_of_a_self_hosted_server_is_told_why_it_cannot_sync(environ, advice, monkeypatch):
    """It sends an unsigned PUT (W78). The message is for everybody, so it has
    nothing about the app."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    endpoint = Endpoint(nothing, cloud=True, base_url="http://127.0.0.1:9")
    response = endpoint.request("PUT", signed=False)
    assert response.status_code == 401
    message = response.get_json()["message"]
    assert "page of a self-hosted Inngest server" in message
    assert advice in message
    assert "start the server with -u and the app's URL" in message
    for secret in ("shop", "127.0.0.1", "localhost"):
        assert secret not in response.get_data(as_text=True)


def test_an_unauthenticated_caller_gets_no_error_details(caplog):
    endpoint = Endpoint(
        nothing, cloud=True, base_url="http://127.0.0.1:9", serve_origin="https://shop.example"
    )
    response = endpoint.request("PUT", signed=False)
    assert (response.status_code, "127.0.0.1" in response.get_json()["message"]) == (500, False)
    assert "127.0.0.1:9 cannot be reached" in caplog.text
    response = endpoint.request("PUT")
    assert "127.0.0.1:9 cannot be reached" in response.get_json()["message"]


def test_an_unknown_server_kind_is_not_passed_on():
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin)
        endpoint.request("PUT", headers={"X-Inngest-Server-Kind": "zzz"})
    assert "X-Inngest-Expected-Server-Kind" not in server.requests[0].headers


@pytest.mark.parametrize(
    "key, signature, status",
    [(None, None, 200), (KEY, None, 401), (KEY, OTHER_KEY, 401), (KEY, KEY, 200)],
)
def test_an_in_band_sync_in_dev_mode_needs_a_signature_if_there_is_a_key(key, signature, status):
    body = b'{"url":"http://localhost/x"}'
    headers = {"X-Inngest-Sync-Kind": "in_band"}
    if signature:
        headers["X-Inngest-Signature"] = sign(body, signature)
    response = Endpoint(nothing, signing_key=key).request("PUT", body=body, headers=headers)
    assert response.status_code == status
    assert ("functions" in response.get_json()) is (status == 200)


def test_in_band():
    get, sync, unsigned, wrong = [
        e for e in recordings.load("56").exchanges if e.method in ("GET", "PUT")
    ][1:5]
    recording = recordings.load("56")
    application = app_of(
        [
            ("two", inngest.TriggerEvent(event="prod/two"), {}),
            ("sender", inngest.TriggerEvent(event="prod/sender"), {}),
        ],
        "prod-app",
        signing_key=recording.signing_key,
        event_key="event-key-test-1",
        api_base_url="http://127.0.0.1:8288",
        event_api_base_url="http://127.0.0.1:8288",
    )
    response = recordings.replay(application, sync)
    recorded = json.loads(sync.answer.body)
    body = response.get_json()
    assert response.headers["X-Inngest-Sync-Kind"] == "in_band"
    assert body["functions"] == recorded["functions"]
    for name in ("app_id", "url", "sdk_language"):
        assert body[name] == recorded[name]
    assert body["inspection"]["function_count"] == recorded["inspection"]["function_count"]
    for refused in (unsigned, wrong):
        assert recordings.replay(application, refused).status_code == 401


def test_an_in_band_sync_is_signed_over_the_canonical_form():
    # Go sends & escaped, but signs it unescaped
    wire = b'{"url":"http://localhost:3000/api/inngest?a=1\\u0026b=2"}'
    canonical = b'{"url":"http://localhost:3000/api/inngest?a=1&b=2"}'
    endpoint = Endpoint(nothing, cloud=True)
    headers = {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Signature": sign(canonical)}
    response = endpoint.request("PUT", body=wire, headers=headers)
    assert response.status_code == 200
    assert response.get_json()["url"] == "http://localhost:3000/api/inngest"
    assert is_signed(response)


def test_a_disabled_in_band_sync_becomes_out_of_band(monkeypatch):
    monkeypatch.setenv("INNGEST_ALLOW_IN_BAND_SYNC", "false")
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, cloud=True, base_url=origin)
        headers = {"X-Inngest-Sync-Kind": "in_band"}
        response = endpoint.request("PUT", body=b"{}", headers=headers)
    assert response.headers["X-Inngest-Sync-Kind"] == "out_of_band"
    assert len(server.requests) == 1


def test_introspection_in_cloud_mode_is_the_recorded_one():
    recording = recordings.load("56")
    unsigned, signed = recording.exchanges[:2]
    application = app_of(
        [(name, inngest.TriggerEvent(event="prod/" + name), {}) for name in ("two", "sender")],
        "prod-app",
        signing_key=recording.signing_key,
        event_key="event-key-test-1",
        api_base_url="http://127.0.0.1:8288",
        event_api_base_url="http://127.0.0.1:8288",
    )
    assert recordings.replay(application, unsigned).status_code == 401
    ours = recordings.replay(application, signed).get_json()
    theirs = json.loads(signed.answer.body)
    assert set(ours) == set(theirs) | {"extra"}
    same = set(theirs) - {"framework", "sdk_version", "capabilities"}
    for name in same:
        if name.endswith("_hash") and theirs[name]:
            assert theirs[name].startswith(ours[name]) and len(ours[name]) == 12
        else:
            assert ours[name] == theirs[name], name


@pytest.mark.parametrize(
    "key, signature, authenticated",
    [(None, None, None), (KEY, None, None), (KEY, KEY, True), (KEY, OTHER_KEY, False)],
)
def test_introspection_in_dev_mode(key, signature, authenticated):
    endpoint = Endpoint(nothing, signing_key=key)
    headers = {"X-Inngest-Signature": sign(b"", signature)} if signature else {}
    body = endpoint.request("GET", headers=headers).get_json()
    assert body["authentication_succeeded"] is authenticated
    assert (body["mode"], body["function_count"]) == ("dev", 1)
    assert body["has_signing_key"] is (key is not None)
    assert ("app_id" in body) is (authenticated is True)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("cloud, kind", [(True, "dev"), (False, "cloud")])
def test_a_server_of_the_other_kind_is_refused(method, cloud, kind):
    endpoint = Endpoint(nothing, cloud=cloud)
    response = endpoint.request(method, headers={"X-Inngest-Server-Kind": kind})
    assert response.status_code == 400
    assert response.get_json()["code"] == "server_kind_mismatch"
    assert "INNGEST_DEV" in response.get_json()["message"]


def test_an_unauthenticated_caller_does_not_learn_the_mode():
    endpoint = Endpoint(nothing, cloud=True, serve_origin="https://shop.example")
    headers = {"X-Inngest-Server-Kind": "dev"}
    response = endpoint.request("PUT", signed=False, headers=headers)
    assert response.status_code == 400
    assert "cloud" not in response.get_data(as_text=True)


def test_a_server_of_the_same_kind_is_accepted():
    endpoint = Endpoint(nothing, cloud=True)
    response = endpoint.request("GET", headers={"X-Inngest-Server-Kind": "cloud"})
    assert response.status_code == 200


def test_the_environment_and_the_platform_are_sent(monkeypatch):
    monkeypatch.setenv("RENDER", "true")
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, client={"env": "branch"}, base_url=origin)
        responses = [endpoint.request("PUT"), endpoint.call(), server.requests[0]]
    for message in responses:
        assert message.headers["X-Inngest-Env"] == "branch"
        assert message.headers["X-Inngest-Platform"] == "render"
        assert message.headers["X-Inngest-Framework"] == "wsgi"
        sdk = "inngest-wsgi:v" + inngest.__version__
        assert message.headers["X-Inngest-Sdk"] == message.headers["User-Agent"] == sdk


def test_a_refusal_is_reported_if_time_runs_out_before_the_fallback_key(monkeypatch):
    clock = Clock(monkeypatch)
    refused = threading.Event()

    def slow(environ, start_response):
        if refused.is_set():
            # until the client gives up
            gone.wait(60)
        refused.set()
        clock.now = 59.9
        return Response("Authentication failed\n", 401)(environ, start_response)

    gone = threading.Event()
    with serving(slow) as origin:
        serve = {"signing_key": KEY, "signing_key_fallback": OTHER_KEY, "sync_timeout": 60000}
        client = {"request_timeout": 60000}
        response = Endpoint(nothing, base_url=origin, client=client, **serve).request("PUT")
        gone.set()
    message = response.get_json()["message"]
    assert "Authentication failed" in message and "INNGEST_SIGNING_KEY_FALLBACK" in message
