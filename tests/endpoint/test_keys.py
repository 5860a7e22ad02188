"""Keys: how they are set, which of two is used for what, and that none is ever
shown."""

import hashlib
import hmac
import json
import logging
import urllib.parse

import hypothesis.strategies as st
import pytest
import urllib3
from apps import KEY, OTHER_KEY, Endpoint, call_body, is_signed, sign, step_hash
from hypothesis import given
from stub_server import Scripted, serving
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

import inngest_wsgi as inngest
from inngest_wsgi._security.signing import SigningKey

SECRET = "0123456789abcdef" * 4
EVENT_KEY = "ek_Qm9vay1hLXRlYXBvdC1wbGVhc2U-dGhlLWJlc3Q_0f1d"
OK = (200, {"ok": True, "modified": True})
EVENT = {"name": "test/event", "data": {}}


def bearer(key):
    """Return the value that ``Authorization`` must have (PROTOCOL section 3)."""
    prefix, _, secret = key.rpartition("-")
    hashed = hashlib.sha256(bytes.fromhex(secret)).hexdigest()
    return "Bearer {}{}".format(prefix + "-" if prefix else "", hashed)


def nothing(ctx):
    return None


def app_with(where, key, monkeypatch, origin="http://127.0.0.1:9", other=None):
    """An app whose key is in one place.

    :param where: client, serve, environment, or the fallback's of the latter
    :param other: the key beside the fallback key
    """
    client, serve = {}, {"base_url": origin}
    setting = "signing_key_fallback" if where.startswith("fallback") else "signing_key"
    if where == "client":
        client[setting] = key
    elif where.endswith("serve"):
        serve[setting] = key
    else:
        monkeypatch.setenv("INNGEST_" + setting.upper(), key)
    if other is not None:
        client["signing_key"] = other
    shop = inngest.Inngest("shop", is_production=True, **client)
    declare = shop.create_function(fn_id="f", trigger=inngest.TriggerEvent("test/event"))
    return inngest.serve(shop, [declare(nothing)], **serve)


def call(application, key):
    body = json.dumps(call_body()).encode()
    headers = {"X-Inngest-Signature": sign(body, key)}
    return Client(application).post("/?fnId=shop-f", data=body, headers=headers)


def sync(application, key):
    headers = {"X-Inngest-Signature": sign(b"{}", key)}
    return Client(application).put("/", data=b"{}", headers=headers)


#: as given, and the key that it is
ACCEPTED = {
    "prod": ("signkey-prod-" + SECRET,) * 2,
    "test": ("signkey-test-" + SECRET,) * 2,
    "branch": ("signkey-branch-" + SECRET,) * 2,
    "an environment's own": ("signkey-my_env-" + SECRET,) * 2,
    "no prefix": (SECRET, SECRET),
    "upper case": ("signkey-prod-" + SECRET.upper(),) * 2,
    "short": ("signkey-prod-ab",) * 2,
    "newline": (KEY + "\n", KEY),
    "DOS newline": (KEY + "\r\n", KEY),
    "spaces": ("  " + KEY + " ", KEY),
    "tab": ("\t" + KEY + "\t", KEY),
    "BOM": ("\ufeff" + KEY + "\n", KEY),
    "no-break space": ("\u00a0" + KEY + "\u00a0", KEY),
    "zero-width space": (KEY + "\u200b", KEY),
    "no prefix, newline": (SECRET + "\n", SECRET),
}

#: as given, what is said of it, and what else is: the way out
REFUSED = {
    "odd": ("signkey-prod-" + SECRET[1:], "odd number", "dashboard"),
    "odd, no prefix": (SECRET[1:], "odd number", "dashboard"),
    "not hexadecimal": ("signkey-prod-" + "wxyz" * 16, "even number", "dashboard"),
    "masked": ("signkey-prod-" + SECRET[:8] + "\u2022" * 20, "even number", "dashboard"),
    "prefix alone": ("signkey-prod-", "even number", "dashboard"),
    "one dash": ("signkey-" + "wxyz" * 16, "signkey-prod-", "dashboard"),
    "dashes": ("signkey-my-env-" + SECRET, "more than two dashes", "signkey-branch-"),
    "double quotes": (f'"signkey-prod-{SECRET}"', "quotation mark", ".env"),
    "single quotes": (f"'{SECRET}'\n", "quotation mark", "between"),
    "a quote": ("signkey-prod-" + SECRET + '"', "quotation mark", "between"),
    "typographic quotes": ("\u201c" + KEY + "\u201d", "quotation mark", "between"),
    "inner space": (KEY[:30] + " " + KEY[30:], "white space", "dashboard"),
    "inner newline": (KEY[:30] + "\n" + KEY[30:], "white space", "dashboard"),
    "two keys": (KEY + " " + OTHER_KEY, "white space", "dashboard"),
    "event key": (EVENT_KEY, "may be an event key", "INNGEST_EVENT_KEY"),
    "loud prefix": ("SIGNKEY-PROD-" + SECRET, "looks like", '"signkey-prod-"'),
    "whole line": ("INNGEST_SIGNING_KEY=" + KEY, "looks like", "dashboard"),
    "a sentence": ("see the vault, it is there", "white space", "dashboard"),
}

#: what only an argument can be
NO_TEXT = {
    "empty": ("", "empty", "leave it out"),
    "white space": (" \n", "empty", "leave it out"),
    "BOM alone": ("\ufeff", "empty", "leave it out"),
    "bytes": (KEY.encode(), "str, not bytes", "str"),
    "a number": (int(SECRET, 16), "str, not int", "str"),
    "no": (False, "str, not bool", "str"),
}


@pytest.mark.parametrize("given, key", ACCEPTED.values(), ids=list(ACCEPTED))
@pytest.mark.parametrize("where", ["client", "serve", "environment"])
def test_a_key_that_is_accepted_works(where, given, key, monkeypatch):
    server = Scripted(OK)
    with serving(server) as origin:
        application = app_with(where, given, monkeypatch, origin)
        answers = [call(application, key), sync(application, key)]
    for answer in answers:
        assert answer.status_code == 200, answer.data
        assert is_signed(answer, key)
    (request,) = server.requests
    assert request.headers["Authorization"] == bearer(key)


@pytest.mark.parametrize("given, key", ACCEPTED.values(), ids=list(ACCEPTED))
@pytest.mark.parametrize("where", ["fallback of serve", "fallback of the environment"])
def test_a_fallback_key_that_is_accepted_works(where, given, key, monkeypatch):
    server = Scripted((401, "Authentication failed\n"), OK)
    where = "fallback serve" if where.endswith("serve") else "fallback"
    with serving(server) as origin:
        application = app_with(where, given, monkeypatch, origin, other=OTHER_KEY)
        answers = [call(application, key), sync(application, key)]
    for answer in answers:
        assert answer.status_code == 200, answer.data
        assert is_signed(answer, key)
    asked = [request.headers["Authorization"] for request in server.requests]
    assert asked == [bearer(OTHER_KEY), bearer(key)]


@pytest.mark.parametrize("given, said, way_out", REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("where", ["client", "serve", "environment", "fallback serve", "fallback"])
def test_an_invalid_key_is_refused_with_a_message(where, given, said, way_out, monkeypatch):
    other = OTHER_KEY if where.startswith("fallback") else None
    with pytest.raises(inngest.SettingsError) as caught:
        app_with(where, given, monkeypatch, other=other)
    setting = "signing_key_fallback" if where.startswith("fallback") else "signing_key"
    if where in ("environment", "fallback"):
        setting = "INNGEST_" + setting.upper()
    assert_says(caught.value, setting, said, way_out, given)


@pytest.mark.parametrize("given, said, way_out", NO_TEXT.values(), ids=list(NO_TEXT))
@pytest.mark.parametrize("where", ["client", "serve", "fallback serve"])
def test_a_key_that_is_not_text_is_refused(where, given, said, way_out, monkeypatch):
    other = OTHER_KEY if where.startswith("fallback") else None
    with pytest.raises(inngest.SettingsError) as caught:
        app_with(where, given, monkeypatch, other=other)
    setting = "signing_key_fallback" if other else "signing_key"
    text = given.decode() if isinstance(given, bytes) else str(given)
    assert_says(caught.value, setting, said, way_out, text)


def assert_says(error, setting, said, way_out, given):
    assert error.setting == setting
    message = str(error)
    assert message.startswith(setting + ": ")
    assert said in message and way_out in message
    # the prefixes and the variables' names are not secret
    for known in ("signkey-prod-", "signkey-", "SIGNKEY-PROD-", "INNGEST_SIGNING_KEY"):
        given = given.replace(known, " ")
    parts = {given[at : at + 8] for at in range(len(given) - 7)}
    assert not [part for part in parts if part in message]


@pytest.mark.parametrize("value", ["", " ", "\n", "\ufeff\r\n"])
def test_an_empty_variable_counts_as_unset(value, monkeypatch):
    with pytest.raises(inngest.SettingsError, match="signing_key: is missing.*INNGEST_SIGNING"):
        app_with("environment", value, monkeypatch)
    application = app_with("fallback", value, monkeypatch, other=KEY)
    assert call(application, KEY).status_code == 200


@pytest.mark.parametrize(
    "given, path",
    [
        ("key", "key"),
        (EVENT_KEY, EVENT_KEY),
        ("key\n", "key"),
        ("\ufeff key\r\n", "key"),
        ("\u00a0key\t", "key"),
        ("a/b?c#d%e f", "a%2Fb%3Fc%23d%25e%20f"),
        ("..", ".."),
    ],
)
@pytest.mark.parametrize("where", ["argument", "environment"])
def test_the_event_key_is_part_of_the_path(where, given, path, monkeypatch):
    server = Scripted((200, {"ids": ["01A"], "status": 200}))
    if where == "environment":
        monkeypatch.setenv("INNGEST_EVENT_KEY", given)
    with serving(server) as origin:
        options = {"event_key": given} if where == "argument" else {}
        client = inngest.Inngest("shop", event_api_base_url=origin, **options)
        assert client.event_key == urllib.parse.unquote(path)
        if path != "..":
            client.send(inngest.Event(name="a"))
    for request in server.requests:
        assert request.environ["REQUEST_URI"] == "/e/" + path


@pytest.mark.parametrize(
    "given, said, way_out",
    [
        (KEY, "is a signing key", "INNGEST_SIGNING_KEY"),
        ("signkey-branch-" + SECRET + "\n", "is a signing key", "INNGEST_SIGNING_KEY"),
        (f'"{EVENT_KEY}"', "quotation mark", "between"),
        (EVENT_KEY[:20] + "\n" + EVENT_KEY[20:], "printable ASCII", "dashboard"),
        (EVENT_KEY + "\u2022", "printable ASCII", "dashboard"),
        (EVENT_KEY.encode(), "str, not bytes", "str"),
        (" \n", "empty", "leave it out"),
    ],
)
def test_an_invalid_event_key_is_refused_with_a_message(given, said, way_out, monkeypatch):
    text = given.decode() if isinstance(given, bytes) else given
    with pytest.raises(inngest.SettingsError) as caught:
        inngest.Inngest("shop", event_key=given)
    assert_says(caught.value, "event_key", said, way_out, text)
    if isinstance(given, str) and given.strip():
        monkeypatch.setenv("INNGEST_EVENT_KEY", given)
        with pytest.raises(inngest.SettingsError) as caught:
            inngest.Inngest("shop")
        assert_says(caught.value, "INNGEST_EVENT_KEY", said, way_out, text)


# -- which of two keys ---------------------------------------------------


@pytest.mark.parametrize("cloud", [True, False])
@pytest.mark.parametrize("used", [KEY, OTHER_KEY])
@pytest.mark.parametrize("step", ["step", step_hash("nowhere")])
def test_the_answer_is_signed_with_the_key_of_the_call(cloud, used, step):
    endpoint = Endpoint(nothing, cloud=cloud, signing_key=KEY, signing_key_fallback=OTHER_KEY)
    body = json.dumps(call_body()).encode()
    query = "fnId=shop-f&stepId=" + step
    headers = {"X-Inngest-Signature": sign(body, used)}
    answer = endpoint.request(query=query, body=body, headers=headers)
    assert answer.status_code in (200, 206, 500)
    assert is_signed(answer, used) and "X-Inngest-Sdk" in answer.headers
    for method, text in (("GET", b""), ("PUT", b'{"url": "http://x/"}')):
        headers = {"X-Inngest-Signature": sign(text, used), "X-Inngest-Sync-Kind": "in_band"}
        answer = endpoint.request(method, body=text, headers=headers)
        assert answer.status_code == 200 and is_signed(answer, used)


def test_dev_mode_ignores_a_signature_with_another_key():
    endpoint = Endpoint(nothing, signing_key=KEY)
    body = json.dumps(call_body()).encode()
    headers = {"X-Inngest-Signature": sign(body, OTHER_KEY)}
    answer = endpoint.request(body=body, headers=headers)
    assert answer.status_code == 200
    assert "X-Inngest-Signature" not in answer.headers


# -- our own requests ----------------------------------------------------


class Guarded:
    """The API of a server that has a key, which may be set to another.

    :param keys: the key of each request in turn, the last one from then on
    """

    def __init__(self, *keys, refusal=401):
        self.keys = list(keys)
        self.refusal = refusal
        self.asked = []

    def __call__(self, environ, start_response):
        request = Request(environ)
        request.get_data()
        kind = request.path.rpartition("/")[2]
        self.asked.append((kind, request.headers.get("Authorization")))
        key = self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]
        if request.headers.get("Authorization") != bearer(key):
            return Response("Authentication failed\n", self.refusal)(environ, start_response)
        answers = {
            "register": {"ok": True, "modified": True},
            "batch": [EVENT],
            "actions": {step_hash("tell"): {"data": "01R"}},
            "signals": {"data": {"run_id": "01R"}},
        }
        return Response(json.dumps(answers[kind]))(environ, start_response)


def signalling(ctx):
    return ctx.step.send_signal("tell", signal="go", data=1)


def request_of(kind, origin, **keys):
    """Have an endpoint make a request; gives the answer that it makes of it.
    What else it asks for is granted."""
    endpoint = Endpoint(signalling, cloud=True, base_url=origin, **keys)
    if kind == "register":
        return endpoint.request("PUT", body=b"{}")
    steps = None if kind == "signals" else {step_hash("tell"): {"data": "01R"}}
    return endpoint.call(steps, run_id="01RUN", use_api=kind in ("batch", "actions"))


ROTATING = {"signing_key": KEY, "signing_key_fallback": OTHER_KEY}


@pytest.mark.parametrize("refusal", [401, 403])
@pytest.mark.parametrize(
    "kind, others", [("register", []), ("batch", ["actions"]), ("signals", [])]
)
@pytest.mark.parametrize(
    "keys, servers, tried",
    [
        (ROTATING, [KEY], [KEY]),
        (ROTATING, [OTHER_KEY], [KEY, OTHER_KEY]),
        # the server drops the fallback key just before it is used
        (ROTATING, [OTHER_KEY, KEY], [KEY, OTHER_KEY, KEY]),
        ({"signing_key": KEY, "signing_key_fallback": KEY}, [KEY], [KEY]),
    ],
)
def test_every_request_uses_the_key_that_the_server_accepts(
    kind, others, keys, servers, tried, refusal
):
    server = Guarded(*servers, refusal=refusal)
    with serving(server) as origin:
        response = request_of(kind, origin, **keys)
    assert response.status_code in (200, 206), response.data
    asked = [authorization for name, authorization in server.asked if name == kind]
    assert asked == [bearer(key) for key in tried]
    for other in others:
        assert (other, bearer(servers[-1])) in server.asked
    assert {name for name, _ in server.asked} == {kind, *others}


@pytest.mark.parametrize("refusal", [401, 403])
@pytest.mark.parametrize("kind", ["register", "batch", "signals"])
@pytest.mark.parametrize(
    "keys, tries, named",
    [
        ({"signing_key": KEY}, 1, "compare INNGEST_SIGNING_KEY with"),
        (ROTATING, 3, "compare INNGEST_SIGNING_KEY and INNGEST_SIGNING_KEY_FALLBACK with"),
        ({"signing_key": KEY, "signing_key_fallback": KEY + "\n"}, 1, "_FALLBACK with"),
    ],
)
def test_if_no_key_is_accepted_the_settings_are_named(kind, keys, tries, named, refusal, caplog):
    caplog.set_level(logging.DEBUG)
    server = Guarded("ab" * 32, refusal=refusal)
    with serving(server) as origin:
        response = request_of(kind, origin, **keys)
    message = response.get_data(as_text=True)
    assert response.status_code == (206 if kind == "signals" else 500)
    assert "Authentication failed. The server at " + origin in message
    assert named in message and named in caplog.text
    assert len(server.asked) == tries
    assert_no_key_in(message + caplog.text)


def test_the_second_request_for_a_state_uses_the_fallback_key_too():
    # the server changes its key between the two parts
    server = Guarded(KEY, OTHER_KEY)
    with serving(server) as origin:
        response = request_of("actions", origin, **ROTATING)
    assert response.status_code == 200
    keys = [("batch", KEY), ("actions", KEY), ("actions", OTHER_KEY)]
    assert server.asked == [(kind, bearer(key)) for kind, key in keys]


def test_the_advice_if_no_key_is_set():
    server = Guarded(KEY)
    with serving(server) as origin:
        response = Endpoint(nothing, base_url=origin).request("PUT")
    assert server.asked == [("register", None)]
    assert "this application has none: set INNGEST_SIGNING_KEY" in response.get_json()["message"]


@pytest.mark.parametrize("env, said", [(None, True), ("feature-1", False)])
def test_the_advice_for_a_branch_environment(env, said):
    server = Guarded(KEY)
    with serving(server) as origin:
        options = dict(base_url=origin, key="signkey-branch-" + SECRET, client={"env": env})
        response = Endpoint(nothing, cloud=True, **options).request("PUT", body=b"{}")
    assert response.status_code == 500
    assert ("also needs INNGEST_ENV" in response.get_json()["message"]) is said


@pytest.mark.parametrize(
    "options, named",
    [
        ({"event_key": EVENT_KEY}, "does not accept the event key.*compare INNGEST_EVENT_KEY"),
        ({"is_production": False}, "has none: set INNGEST_EVENT_KEY"),
    ],
)
def test_the_event_api_gets_only_the_event_key(options, named, monkeypatch):
    monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
    monkeypatch.setenv("INNGEST_SIGNING_KEY_FALLBACK", OTHER_KEY)
    server = Scripted((401, {"status": 401, "message": "", "error": "Event key not found"}))
    with serving(server) as origin:
        client = inngest.Inngest("shop", event_api_base_url=origin, **options)
        with pytest.raises(inngest.SendEventsError, match="not found. The.*" + named) as caught:
            client.send(inngest.Event(name="a"))
    (request,) = server.requests
    assert "Authorization" not in request.headers
    assert_no_key_in(str(caught.value))


@pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["our pool", "their pool"])
def test_no_request_logs_a_key(pool, caplog):
    caplog.set_level(logging.DEBUG)

    def sending(ctx):
        ctx.step.send_signal("tell", signal="go")
        ctx.step.send_event("send", inngest.Event(name="a"))

    server = Scripted((200, {"ids": ["01A"], "status": 200}))
    with serving(server) as origin:
        serve = dict(base_url=origin, http=pool, **ROTATING)
        endpoint = Endpoint(sending, cloud=True, client={"event_key": EVENT_KEY}, **serve)
        endpoint.call()
        endpoint.call({step_hash("tell"): {"data": None}})
        endpoint.request("PUT", body=b"{}")
        endpoint.request(body=b"{}", signed=False)
        endpoint.request(body=b"{}", headers={"X-Inngest-Signature": sign(b"{}", "ab")})
        endpoint.call(use_api=True)
    paths = [request.path for request in server.requests]
    wanted = ["/v1/signals", "/e/" + EVENT_KEY, "/fn/register"]
    paths_of_state = ["/v0/runs/01RUN/batch", "/v0/runs/01RUN/actions"]
    assert paths == wanted + paths_of_state
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("urllib3", "inngest"))]
    assert any("/e/..." in line for line in ours)
    assert_no_key_in("\n".join(ours))


def assert_no_key_in(text):
    for key in (KEY, OTHER_KEY, EVENT_KEY):
        secret = key.rpartition("-")[2] if key.startswith("signkey") else key
        for part in (secret[:8], secret[-8:], bearer(key)[-64:] if secret != key else secret):
            assert part not in text


@pytest.mark.parametrize("prefix", ["", "signkey-test-"])
def test_a_short_key_is_warned_of_once(prefix, caplog):
    short, enough = prefix + "ab" * 15, prefix + "ab" * 16
    for name in ("signing_key", "signing_key_fallback"):
        for _ in range(3):
            keys = {"signing_key": enough, name: short}
            Endpoint(print, cloud=True, client={"signing_key": enough}, **keys)
        (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
        said = record.getMessage()
        assert said.startswith(f"{name} has fewer than 32 hexadecimal digits")
        assert "abab" not in said + caplog.text
        caplog.clear()


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200), st.integers(0, 10**15 - 1))
def test_signatures_are_hmacs_for_keys_of_any_length(secret, body, now):
    key = SigningKey("signkey-test-" + secret.hex())
    stamp = str(now)
    mac = hmac.new(secret.hex().encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    assert key.sign(body, stamp) == f"t={stamp}&s={mac}"
    assert key.has_signed(body, stamp, mac)
    assert not key.has_signed(body + b"x", stamp, mac)
    assert not key.has_signed(body, stamp + "0", mac)
