"""Sync and introspection, compared with what was recorded."""

import json

import pytest
import recordings
from apps import KEY, OTHER_KEY, Endpoint, is_signed, sign
from servers import Scripted, serving
from werkzeug.test import Client

import inngest_wsgi as inngest

OK = (200, {"ok": True, "modified": True, "sync_id": "s", "app_id": "a"})


def nothing(ctx):
    return None


def app_of(functions, app_id, **options):
    """An endpoint at http://localhost:3000/api/inngest."""
    serve = {k: options.pop(k) for k in list(options) if k.startswith(("s", "http", "base"))}
    client = inngest.Inngest(app_id=app_id, **options)
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
def test_the_registration_holds_what_is_set_and_no_null(trigger, more, wire):
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
def test_after_a_refusal_the_fallback_key_is_tried(refusal):
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
        ([(200, {"ok": True, "modified": False})], 200, "Successfully registered", 1),
        ([(401, "Authentication failed\n")], 500, "Authentication failed", 1),
        ([(400, {"error": "App ID required"})], 500, "App ID required", 1),
        ([(404, "<html>")], 500, "<html>", 1),
        ([(418, "")], 500, "HTTP status 418", 1),
        ([(307, "", {"Location": "/other"})], 500, "HTTP status 307", 1),
        ([(500, {"error": "Error upserting app"}), OK], 200, "Successfully registered", 2),
        ([(503, {"error": "busy"})], 500, "busy", 3),
    ],
)
def test_what_the_server_says_is_passed_on(answers, status, message, tries):
    server = Scripted(*answers)
    with serving(server) as origin:
        application = app_of(
            [("f", inngest.TriggerEvent(event="a"), {})],
            "app",
            is_production=False,
            base_url=origin,
        )
        response = put(application)
    assert response.status_code == status
    assert response.get_json()["message"] == message
    assert response.get_json()["modified"] is (status == 200 and tries == 2)
    assert len(server.requests) == tries


def test_a_server_that_is_not_there_is_named():
    endpoint = Endpoint(nothing, base_url="http://127.0.0.1:9")
    response = endpoint.request("PUT")
    assert response.status_code == 500
    assert "http://127.0.0.1:9 cannot be reached" in response.get_json()["message"]


def test_the_deploy_id_goes_to_the_server_and_into_no_address():
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin)
        endpoint.request("PUT", query="deployId=d%261&other=2")
    (request,) = server.requests
    assert request.args.to_dict() == {"deployId": "d&1"}
    assert "d&1" not in request.get_data(as_text=True)
    assert "other" not in request.get_data(as_text=True)


@pytest.mark.parametrize(
    "serve, environ, url",
    [
        ({}, {}, "http://localhost/api/inngest"),
        ({}, {"HTTP_HOST": "example.com:8080"}, "http://example.com:8080/api/inngest"),
        ({}, {"HTTP_HOST": "[::1]:8080"}, "http://[::1]:8080/api/inngest"),
        ({}, {"wsgi.url_scheme": "https"}, "https://localhost/api/inngest"),
        ({}, {"SCRIPT_NAME": "/api/inngest", "PATH_INFO": ""}, "http://localhost/api/inngest"),
        ({}, {"SCRIPT_NAME": "/api/inngest", "PATH_INFO": "/"}, "http://localhost/api/inngest"),
        ({}, {"SCRIPT_NAME": "", "PATH_INFO": "/"}, "http://localhost/"),
        ({}, {"SCRIPT_NAME": "/a", "PATH_INFO": "/b c"}, "http://localhost/a/b%20c"),
        ({"serve_origin": "https://shop.example"}, {}, "https://shop.example/api/inngest"),
        ({"serve_host": "https://shop.example"}, {}, "https://shop.example/api/inngest"),
        ({"serve_path": "/x"}, {}, "http://localhost/x"),
        (
            {"serve_origin": "https://shop.example", "serve_path": "/x"},
            {},
            "https://shop.example/x",
        ),
    ],
)
def test_our_address(serve, environ, url):
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin, **serve)
        endpoint.request("PUT", environ_overrides=environ)
    registered = server.requests[0].get_json()
    assert registered["url"] == url
    runtime = registered["functions"][0]["steps"]["step"]["runtime"]
    assert runtime == {"type": "http", "url": url + "?fnId=shop-f&stepId=step"}


def test_app_id_of_serve_stands_in_for_the_clients():
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


def test_a_stranger_is_not_told_what_went_wrong(caplog):
    endpoint = Endpoint(
        nothing, cloud=True, base_url="http://127.0.0.1:9", serve_origin="https://shop.example"
    )
    response = endpoint.request("PUT", signed=False)
    assert (response.status_code, "127.0.0.1" in response.get_json()["message"]) == (500, False)
    assert "127.0.0.1:9 cannot be reached" in caplog.text
    response = endpoint.request("PUT")
    assert "127.0.0.1:9 cannot be reached" in response.get_json()["message"]


def test_a_kind_of_server_that_is_none_is_not_passed_on():
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoint(nothing, base_url=origin)
        endpoint.request("PUT", headers={"X-Inngest-Server-Kind": "zzz"})
    assert "X-Inngest-Expected-Server-Kind" not in server.requests[0].headers


@pytest.mark.parametrize(
    "key, signature, status",
    [(None, None, 200), (KEY, None, 401), (KEY, OTHER_KEY, 401), (KEY, KEY, 200)],
)
def test_in_band_in_dev_mode_is_signed_where_there_is_a_key(key, signature, status):
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
    # as Go writes it: & escaped; as it is signed: & as it is
    wire = b'{"url":"http://localhost:3000/api/inngest?a=1\\u0026b=2"}'
    canonical = b'{"url":"http://localhost:3000/api/inngest?a=1&b=2"}'
    endpoint = Endpoint(nothing, cloud=True)
    headers = {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Signature": sign(canonical)}
    response = endpoint.request("PUT", body=wire, headers=headers)
    assert response.status_code == 200
    assert response.get_json()["url"] == "http://localhost:3000/api/inngest"
    assert is_signed(response)


def test_in_band_switched_off_is_out_of_band(monkeypatch):
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


def test_a_server_of_our_kind_is_not():
    endpoint = Endpoint(nothing, cloud=True)
    response = endpoint.request("GET", headers={"X-Inngest-Server-Kind": "cloud"})
    assert response.status_code == 200


def test_the_environment_and_the_platform_are_told(monkeypatch):
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
