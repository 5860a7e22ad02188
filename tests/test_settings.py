import logging

import pytest

import inngest_wsgi as inngest
from inngest_wsgi import _settings

KEY = "signkey-test-0123456789abcdef"
OTHER_KEY = "signkey-test-fedcba9876543210"


def resolve(client=None, serve=None, environ=None):
    arguments = dict({"app_id": "shop"}, **(client or {}))
    return _settings.resolve(arguments, serve, environ or {})


@pytest.mark.parametrize(
    "client, environ, mode, api, events",
    [
        ({}, {}, "cloud", "https://api.inngest.com", "https://inn.gs"),
        ({}, {"INNGEST_DEV": "1"}, "dev", "http://localhost:8288", "http://localhost:8288"),
        ({}, {"INNGEST_DEV": "True"}, "dev", "http://localhost:8288", "http://localhost:8288"),
        ({}, {"INNGEST_DEV": "0"}, "cloud", "https://api.inngest.com", "https://inn.gs"),
        ({}, {"INNGEST_DEV": "false"}, "cloud", "https://api.inngest.com", "https://inn.gs"),
        ({}, {"INNGEST_DEV": ""}, "cloud", "https://api.inngest.com", "https://inn.gs"),
        ({}, {"INNGEST_DEV": "http://dev:9/"}, "dev", "http://dev:9", "http://dev:9"),
        ({}, {"INNGEST_DEV": "yes"}, "dev", "http://localhost:8288", "http://localhost:8288"),
        ({}, {"INNGEST_DEV": "on"}, "dev", "http://localhost:8288", "http://localhost:8288"),
        ({}, {"INNGEST_DEV": "inngest:8288"}, "dev", "http://inngest:8288", "http://inngest:8288"),
        ({}, {"INNGEST_DEV": "10.0.0.7"}, "dev", "http://10.0.0.7", "http://10.0.0.7"),
        ({}, {"INNGEST_BASE_URL": "own.example"}, "cloud", *["https://own.example"] * 2),
        (
            {},
            {"INNGEST_DEV": "1", "INNGEST_API_BASE_URL": "own:1", "INNGEST_BASE_URL": "b:2/x/"},
            "dev",
            "http://own:1",
            "http://b:2/x",
        ),
        (
            {"api_base_url": "api.example", "event_api_base_url": "events.example:8"},
            {},
            "cloud",
            "https://api.example",
            "https://events.example:8",
        ),
        (
            {"is_production": False},
            {"INNGEST_DEV": "0"},
            "dev",
            "http://localhost:8288",
            "http://localhost:8288",
        ),
        (
            {"is_production": True},
            {"INNGEST_DEV": "http://dev:9"},
            "cloud",
            "https://api.inngest.com",
            "https://inn.gs",
        ),
        (
            {"is_production": False},
            {"INNGEST_DEV": "http://dev:9"},
            "dev",
            "http://dev:9",
            "http://dev:9",
        ),
        ({}, {"INNGEST_BASE_URL": "http://own:1"}, "cloud", "http://own:1", "http://own:1"),
        (
            {},
            {"INNGEST_BASE_URL": "http://own:1", "INNGEST_DEV": "http://dev:9"},
            "dev",
            "http://own:1",
            "http://own:1",
        ),
        (
            {},
            {"INNGEST_BASE_URL": "http://own:1", "INNGEST_API_BASE_URL": "http://api:2"},
            "cloud",
            "http://api:2",
            "http://own:1",
        ),
        (
            {"api_base_url": "http://arg:4"},
            {
                "INNGEST_DEV": "http://dev:9",
                "INNGEST_API_BASE_URL": "http://api:2",
                "INNGEST_EVENT_API_BASE_URL": "http://events:3",
            },
            "dev",
            "http://arg:4",
            "http://events:3",
        ),
    ],
)
def test_mode_and_origins(client, environ, mode, api, events):
    found = resolve(client, None, environ)
    assert (found.mode, found.api_origin, found.event_api_origin) == (mode, api, events)


#: setting, attribute, serve's argument, client's argument, environment, default
PRECEDENCE = [
    ("app_id", "app_id", "a", "b", None, None),
    ("signing_key", "signing_key", KEY, OTHER_KEY, ("INNGEST_SIGNING_KEY", "ab"), None),
    (
        "signing_key_fallback",
        "signing_key_fallback",
        KEY,
        None,
        ("INNGEST_SIGNING_KEY_FALLBACK", "ab"),
        None,
    ),
    ("env", "env", None, "branch", ("INNGEST_ENV", "other"), None),
    ("event_key", "event_key", None, "k1", ("INNGEST_EVENT_KEY", "k2"), None),
    (
        "serve_origin",
        "serve_origin",
        "https://a.example",
        None,
        ("INNGEST_SERVE_ORIGIN", "https://b.example"),
        None,
    ),
    (
        "serve_host",
        "serve_origin",
        "https://a.example",
        None,
        ("INNGEST_SERVE_HOST", "https://b.example"),
        None,
    ),
    ("serve_path", "serve_path", "/a", None, ("INNGEST_SERVE_PATH", "/b"), None),
    ("streaming", "streaming", "force", None, ("INNGEST_STREAMING", "allow"), False),
    ("landing_page", "landing_page", False, None, ("INNGEST_LANDING_PAGE", "true"), True),
    (
        "enable_unauthed_sync",
        "enable_unauthed_sync",
        False,
        None,
        ("INNGEST_ENABLE_UNAUTHED_SYNC", "true"),
        True,
    ),
    ("base_url", "api_origin", "http://a:1", None, ("INNGEST_BASE_URL", "http://b:1"), None),
    ("base_url", "event_api_origin", "http://a:1", None, ("INNGEST_BASE_URL", "http://b:1"), None),
]


@pytest.mark.parametrize("setting, attribute, serve, client, environ, default", PRECEDENCE)
def test_order_of_precedence_of_settings(setting, attribute, serve, client, environ, default):
    arguments = {"is_production": True, "signing_key": "cd"}
    from_environ = dict([environ]) if environ else {}
    if client is not None:
        arguments[setting] = client
    if serve is not None:
        found = resolve(arguments, {setting: serve}, from_environ)
        assert getattr(found, attribute) == serve
    if client is not None:
        found = resolve(arguments, {}, from_environ)
        assert getattr(found, attribute) == client
        del arguments[setting]
    if environ:
        found = resolve(dict({"is_production": False}, **arguments), None, from_environ)
        wanted = environ[1]
        assert getattr(found, attribute) == (True if wanted == "true" else wanted)
    if default is not None:
        assert getattr(resolve(arguments, None, {}), attribute) == default


def test_base_url_of_serve_overrides_the_clients_origins():
    found = resolve(
        {"api_base_url": "http://api:1", "is_production": False}, {"base_url": "http://both:2"}
    )
    assert (found.api_origin, found.event_api_origin) == ("http://both:2", "http://both:2")


@pytest.mark.parametrize(
    "text, value",
    [
        ("true", "allow"),
        ("1", "allow"),
        ("allow", "allow"),
        ("FORCE", "force"),
        ("0", False),
        ("false", False),
        ("disable", False),
        (" Disable\n", False),
        ("", False),
    ],
)
def test_streaming_from_the_environment(text, value):
    assert resolve(environ={"INNGEST_STREAMING": text}).streaming == value


@pytest.mark.parametrize(
    "mode, value",
    [
        (inngest.Streaming.DISABLE, False),
        (inngest.Streaming.ALLOW, "allow"),
        (inngest.Streaming.FORCE, "force"),
        ("disable", False),
    ],
)
def test_streaming_as_an_argument(mode, value):
    arguments = {"is_production": False}
    environ = {"INNGEST_STREAMING": "force"}
    assert resolve(arguments, {"streaming": mode}, environ).streaming == value


@pytest.mark.parametrize("scheme", ["", "https://"])
def test_an_origin_to_serve_at_needs_no_scheme(scheme):
    found = resolve(
        {"is_production": False}, {}, {"INNGEST_SERVE_ORIGIN": scheme + "shop.example:8443"}
    )
    assert found.serve_origin == "https://shop.example:8443"


@pytest.mark.parametrize(
    "text, level", [("warn", 30), ("WARNING", 30), ("critical", 50), ("fatal", 50)]
)
def test_log_level_from_the_environment(text, level):
    assert resolve(environ={"INNGEST_LOG_LEVEL": text}).log_level == level


def test_streaming_false_overrides_the_environment():
    found = resolve({"is_production": False}, {"streaming": False}, {"INNGEST_STREAMING": "force"})
    assert found.streaming is False


@pytest.mark.parametrize(
    "variable, attribute",
    [
        ("INNGEST_ALLOW_IN_BAND_SYNC", "allow_in_band_sync"),
        ("INNGEST_ENABLE_UNAUTHED_SYNC", "enable_unauthed_sync"),
        ("INNGEST_LANDING_PAGE", "landing_page"),
    ],
)
def test_switches_of_the_environment(variable, attribute):
    assert getattr(resolve(), attribute) is True
    assert getattr(resolve(environ={variable: "false"}), attribute) is False
    assert getattr(resolve(environ={variable: "1"}), attribute) is True
    with pytest.raises(inngest.SettingsError, match=variable):
        resolve(environ={variable: "perhaps"})


@pytest.mark.parametrize("key", [KEY, "0123456789abcdef", KEY + "\n", "  " + KEY])
def test_forms_of_a_signing_key(key):
    assert resolve({"signing_key": key}).signing_key == key.strip()


@pytest.mark.parametrize(
    "client, serve, environ, named, way_out",
    [
        ({"app_id": ""}, None, {}, "app_id", "shop"),
        ({"app_id": 3}, None, {}, "app_id", "name"),
        ({}, None, {"INNGEST_DEV": "maybe"}, "INNGEST_DEV", "localhost:8288"),
        ({"is_production": "no"}, None, {}, "is_production", "True"),
        ({}, {}, {}, "signing_key", "INNGEST_SIGNING_KEY"),
        ({}, {"signing_key": "nonsense"}, {}, "signing_key", "dashboard"),
        ({}, {"signing_key": "signkey-prod-abc"}, {}, "signing_key", "even"),
        ({}, {}, {"INNGEST_SIGNING_KEY": "zz"}, "INNGEST_SIGNING_KEY", "dashboard"),
        (
            {"is_production": False},
            {"signing_key_fallback": KEY},
            {},
            "signing_key_fallback",
            "INNGEST_SIGNING_KEY",
        ),
        ({"api_base_url": "localhost"}, None, {}, "api_base_url", "http"),
        ({"api_base_url": "//example.com"}, None, {}, "api_base_url", "http"),
        ({"api_base_url": "ftp://example.com"}, None, {}, "api_base_url", "http"),
        ({"api_base_url": "http://u:p@example.com"}, None, {}, "api_base_url", "user"),
        ({"api_base_url": "http://example.com:port"}, None, {}, "api_base_url", "URL"),
        ({"event_api_base_url": "x"}, None, {}, "event_api_base_url", "http"),
        ({}, None, {"INNGEST_BASE_URL": "x"}, "INNGEST_BASE_URL", "http"),
        ({}, None, {"INNGEST_API_BASE_URL": "x"}, "INNGEST_API_BASE_URL", "http"),
        ({"signing_key": KEY}, {"base_url": "x"}, {}, "base_url", "http"),
        ({"signing_key": KEY}, {"serve_origin": "example"}, {}, "serve_origin", "https"),
        ({"signing_key": KEY}, {"serve_host": "example"}, {}, "serve_host", "https"),
        (
            {"signing_key": KEY},
            {"serve_origin": "https://example.com/api"},
            {},
            "serve_origin",
            "serve_path",
        ),
        (
            {"signing_key": KEY},
            {"serve_origin": "https://a.example", "serve_host": "https://b.example"},
            {},
            "serve_origin",
            "only serve_origin",
        ),
        ({"signing_key": KEY}, {"serve_path": "api"}, {}, "serve_path", 'example "/api"'),
        ({"signing_key": KEY}, {"serve_path": "/api?x=1"}, {}, "serve_path", "query"),
        ({"signing_key": KEY}, {"serve_path": "/a/i?x"}, {}, "serve_path", 'example "/a/i"'),
        ({"signing_key": KEY}, {"serve_path": "//\t"}, {}, "serve_path", 'example "/api/inngest"'),
        ({}, None, {"INNGEST_DEV": "no"}, "INNGEST_DEV", "write 0 for cloud mode"),
        ({}, None, {"INNGEST_DEV": "OFF"}, "INNGEST_DEV", "write 0 for cloud mode"),
        ({}, None, {"INNGEST_DEV": "localhost"}, "INNGEST_DEV", "such as http://localhost:8288"),
        ({}, None, {"INNGEST_STREAMING": "no"}, "INNGEST_STREAMING", "use disable"),
        ({}, None, {"INNGEST_STREAMING": "yes"}, "INNGEST_STREAMING", "use allow"),
        ({}, None, {"INNGEST_STREAMING": "x"}, "INNGEST_STREAMING", "allow, force or disable"),
        ({}, None, {"INNGEST_LANDING_PAGE": "off"}, "INNGEST_LANDING_PAGE", "write false"),
        ({}, None, {"INNGEST_LANDING_PAGE": "yes"}, "INNGEST_LANDING_PAGE", "write true"),
        (
            {},
            None,
            {"INNGEST_ALLOW_IN_BAND_SYNC": "no"},
            "INNGEST_ALLOW_IN_BAND_SYNC",
            "write false",
        ),
        (
            {},
            None,
            {"INNGEST_ENABLE_UNAUTHED_SYNC": "?"},
            "INNGEST_ENABLE_UNAUTHED_SYNC",
            "write true or false",
        ),
        ({}, None, {"INNGEST_ENV": "f\xfcr"}, "INNGEST_ENV", "printable ASCII"),
        ({"signing_key": KEY}, {"streaming": "yes"}, {}, "streaming", "force"),
        ({"signing_key": KEY}, {"streaming": True}, {}, "streaming", "force"),
        ({"signing_key": KEY}, {"log_level": "loud"}, {}, "log_level", "silent"),
        ({}, None, {"INNGEST_LOG_LEVEL": "loud"}, "INNGEST_LOG_LEVEL", "silent"),
        ({"signing_key": KEY}, {"landing_page": "maybe"}, {}, "landing_page", "true"),
        ({"env": "a\nb"}, None, {}, "env", "printable"),
        ({}, {"sync_retries": -1}, {}, "sync_retries", "0 to 10"),
        ({}, {"sync_retries": 11}, {}, "sync_retries", "0 to 10"),
        ({}, {"sync_timeout": 0}, {}, "sync_timeout", "from 1ms"),
        ({}, {"max_streams": 0}, {}, "max_streams", "1 or more"),
        ({}, {"max_streams": "9"}, {}, "max_streams", "whole number"),
        ({}, {"keepalive_interval": 100}, {}, "keepalive_interval", "from 250ms"),
        ({}, {"keepalive_interval": "2h"}, {}, "keepalive_interval", "to 1h"),
        ({}, {"sync_retries": True}, {}, "sync_retries", "whole number"),
        ({"request_timeout": 0}, None, {}, "request_timeout", "from 1ms"),
        ({"request_timeout": 10**20}, None, {}, "request_timeout", "to 1h"),
        ({"app_id": "a\nb"}, None, {}, "app_id", "name"),
        ({"signing_key": KEY}, {"serve_path": "//evil.example/x"}, {}, "serve_path", "slash"),
        ({"request_timeout": -1}, None, {}, "request_timeout", "negative"),
        ({"request_timeout": 1.5}, None, {}, "request_timeout", "timedelta"),
        ({"event_key": ""}, None, {}, "event_key", "dashboard"),
    ],
)
def test_an_invalid_setting_is_named_with_advice(client, serve, environ, named, way_out):
    with pytest.raises(inngest.SettingsError) as caught:
        resolve(client, serve, environ)
    assert caught.value.setting == named
    assert str(caught.value).startswith(named + ": ")
    assert way_out in str(caught.value)


def test_keys_are_not_shown():
    wrong = "signkey-prod-not!hexadecimal"
    with pytest.raises(inngest.SettingsError) as caught:
        resolve({"signing_key": wrong})
    assert wrong not in str(caught.value) and "not!hex" not in str(caught.value)
    with pytest.raises(inngest.SettingsError) as caught:
        resolve(environ={"INNGEST_BASE_URL": "user:hunter2@example.com"})
    assert "hunter2" not in str(caught.value)
    shown = repr(
        resolve({"signing_key": KEY, "event_key": "secret-event-key", "is_production": True})
    )
    assert KEY not in shown and "secret-event-key" not in shown


@pytest.mark.parametrize(
    "value, seconds", [(1500, 1.5), ("2s", 2.0), (None, _settings.REQUEST_TIMEOUT_S)]
)
def test_request_timeout(value, seconds):
    assert resolve({"request_timeout": value}).request_timeout == seconds


def test_log_level_is_set_on_the_librarys_logger():
    logger = logging.getLogger("inngest_wsgi")
    before = logger.level
    client = inngest.Inngest("shop", is_production=False)
    function = client.create_function(fn_id="f", trigger=inngest.TriggerEvent("a"))(print)
    try:
        inngest.serve(client, [function], log_level="warn")
        assert logger.level == logging.WARNING
        inngest.serve(client, [function], log_level="silent")
        assert not logger.isEnabledFor(logging.CRITICAL)
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize(
    "environ, platform",
    [
        ({"VERCEL": "1"}, "vercel"),
        ({"VERCEL": "0"}, None),
        ({"RENDER": "true"}, "render"),
        ({"RENDER": "no"}, None),
        ({"RAILWAY_ENVIRONMENT": "production"}, "railway"),
        ({"DYNO": "web.1"}, "heroku"),
        ({"FLY_APP_NAME": "shop"}, "fly"),
        ({"RAILWAY_ENVIRONMENT": ""}, None),
        ({}, None),
    ],
)
def test_the_platform_is_detected_by_its_variable(environ, platform):
    found = resolve(environ=environ)
    assert found.platform == platform
    assert dict(found.sdk_headers).get("X-Inngest-Platform") == platform


#: In the order in which they are read.
BRANCHES = ["RAILWAY_GIT_BRANCH", "RENDER_GIT_BRANCH", "VERCEL_GIT_COMMIT_REF", "HEROKU_BRANCH"]


@pytest.mark.parametrize("n, variable", list(enumerate(BRANCHES)))
def test_the_branch_environment_is_read_off_the_platforms_variables(n, variable):
    environ = {name: name.lower() for name in BRANCHES[n:]}
    found = resolve(environ=environ)
    assert found.env == variable.lower()
    assert dict(found.sdk_headers)["X-Inngest-Env"] == variable.lower()
    assert resolve(environ=dict(environ, INNGEST_ENV="own")).env == "own"
    assert resolve({"env": "argument"}, None, dict(environ, INNGEST_ENV="own")).env == "argument"


@pytest.mark.parametrize("variable", BRANCHES)
def test_a_platforms_branch_that_cannot_be_sent_is_ignored_with_one_warning(variable, caplog):
    environ = {variable: "f\xfcr-" + variable, "INNGEST_DEV": "1"}
    for serve in (None, {}, {}):
        found = resolve(None, serve, environ)
        assert found.env is None and "X-Inngest-Env" not in dict(found.sdk_headers)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert variable in record.getMessage() and "set INNGEST_ENV" in record.getMessage()
    assert resolve(environ=dict(environ, INNGEST_ENV="own")).env == "own"
    if variable != BRANCHES[-1]:
        assert resolve(environ=dict(environ, HEROKU_BRANCH="next")).env == "next"


def test_other_variables_name_no_branch_environment():
    environ = {"BRANCH": "a", "BRANCH_NAME": "b", "FLY_APP_NAME": "c", "RAILWAY_GIT_BRANCH": ""}
    assert resolve(environ=environ).env is None
