"""Resolve arguments and environment into one frozen :class:`Settings`."""

from __future__ import annotations

import dataclasses
import enum
import functools
import os
import typing as t
import urllib.parse

from . import _protocol as p, errors
from ._codec import validate
from ._messages import Headers
from ._security import keys, origins
from ._security.signing import Keyring
from ._sources import FALSE, MEANT, TRUE, Arguments, Sources
from .checkpointing import Checkpointing, checked, policy

#: The names of levels, as ``INNGEST_LOG_LEVEL`` and ``log_level`` take them,
#: and the levels of :mod:`logging`.
LOG_LEVELS = {
    "fatal": 50,
    "error": 40,
    "warn": 30,
    "info": 20,
    "debug": 10,
    "silent": 60,
    # the names that Python has for two of them
    "critical": 50,
    "warning": 30,
}
#: The same for type checkers; at run time, capitals do not matter.
LogLevel = t.Literal["fatal", "error", "warn", "info", "debug", "silent", "critical", "warning"]

#: The limit for each request of ours to the server, in seconds, for
#: connecting and again for the whole answer.
REQUEST_TIMEOUT_S = 30.0

#: The number of times that a sync is tried again.
SYNC_RETRIES = 2

#: The limit for a sync with its retries, in seconds: less than the time after
#: which common WSGI servers kill a worker.
SYNC_TIMEOUT_S = 20.0

#: The interval between the spaces that keep a stream alive, in seconds.
KEEPALIVE_S = 3.0
#: The number of streamed calls that may run at once in one process.
MAX_STREAMS = 64

#: The largest body of a request to us, in bytes. The server sends at most
#: 4 MB and lets the application fetch the rest (PROTOCOL section 6).
MAX_BODY_BYTES = 8 * 1024 * 1024

# limits of what users may set
MAX_REQUEST_MS = 3600 * 1000
MIN_KEEPALIVE_MS = 250
MAX_KEEPALIVE_MS = 3600 * 1000
MAX_SYNC_RETRIES = 10


class Streaming(enum.Enum):
    """Modes of streaming, which ``streaming`` of ``serve()`` takes."""

    #: no call
    DISABLE = "disable"
    #: each call for which the WSGI server can deliver a stream
    ALLOW = "allow"
    #: every call
    FORCE = "force"


#: The same as text, for type checkers, and False; at run time, capitals do not matter.
StreamingMode = t.Literal["allow", "force", "disable", False]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one client or endpoint.

    Origins and paths are checked, and origins have no slash at the end; times
    are seconds. ``repr()`` leaves the keys out.
    """

    app_id: str
    mode: str
    api_origin: str
    event_api_origin: str
    app_version: t.Optional[str] = None
    env: t.Optional[str] = None
    event_key: t.Optional[str] = dataclasses.field(default=None, repr=False)
    signing_key: t.Optional[str] = dataclasses.field(default=None, repr=False)
    signing_key_fallback: t.Optional[str] = dataclasses.field(default=None, repr=False)
    serve_origin: t.Optional[str] = None
    serve_path: t.Optional[str] = None
    streaming: t.Union[str, bool] = False
    checkpointing: t.Optional[Checkpointing] = Checkpointing()
    keepalive_interval: float = KEEPALIVE_S
    max_streams: int = MAX_STREAMS
    log_level: t.Optional[int] = None
    landing_page: bool = True
    allow_in_band_sync: bool = True
    enable_unauthed_sync: bool = True
    request_timeout: float = REQUEST_TIMEOUT_S
    sync_retries: int = SYNC_RETRIES
    sync_timeout: float = SYNC_TIMEOUT_S
    max_body_bytes: int = MAX_BODY_BYTES
    platform: t.Optional[str] = None
    #: False if the server is to say when an event was sent
    stamps_events: bool = True

    # cached, because every request needs them

    @functools.cached_property
    def is_dev(self) -> bool:
        """True in dev mode, False in cloud mode."""
        return self.mode == p.DEV

    @functools.cached_property
    def keyring(self) -> Keyring:
        """The keys that verify requests to us and authorize our own."""
        return Keyring(self.signing_key, self.signing_key_fallback)

    @functools.cached_property
    def sdk_headers(self) -> Headers:
        """The headers by which our requests and responses describe the SDK
        and the app (PROTOCOL section 2)."""
        headers = [
            (p.HEADER_SDK, p.SDK_IDENTITY),
            (p.HEADER_USER_AGENT, p.SDK_IDENTITY),
            (p.HEADER_FRAMEWORK, p.FRAMEWORK),
        ]
        if self.env is not None:
            headers.append((p.HEADER_ENV, self.env))
        if self.platform is not None:
            headers.append((p.HEADER_PLATFORM, self.platform))
        return headers


def resolve(
    client: Arguments,
    serve: t.Optional[Arguments] = None,
    environ: t.Optional[t.Mapping[str, str]] = None,
) -> Settings:
    """Resolve every setting.

    :param client: the arguments of the client; None for each that was not
        given
    :param serve: the arguments of ``serve()``; None for a client used alone,
        which needs no signing key
    :param environ: the environment; ``os.environ`` if None
    :raises errors.SettingsError: names the setting and says how to correct it
    """
    sources = Sources(client, serve or {}, os.environ if environ is None else environ)
    mode, dev_origin = _mode(sources)
    # as the official Python SDK reads an address without a scheme
    origin = functools.partial(origins.origin_setting, scheme="http" if mode == p.DEV else "https")
    both_origins = sources.read(origin, "base_url", p.ENV_BASE_URL) or dev_origin
    default_api, default_event_api = (
        (p.DEV_SERVER_ORIGIN, p.DEV_SERVER_ORIGIN)
        if mode == p.DEV
        else (p.CLOUD_API_ORIGIN, p.CLOUD_EVENT_API_ORIGIN)
    )
    settings = Settings(
        app_id=_app_id(sources),
        mode=mode,
        api_origin=_own_origin(sources, origin, "api_base_url", p.ENV_API_BASE_URL)
        or both_origins
        or default_api,
        event_api_origin=_own_origin(
            sources, origin, "event_api_base_url", p.ENV_EVENT_API_BASE_URL
        )
        or both_origins
        or default_event_api,
        app_version=sources.header_text("app_version"),
        env=sources.branch(),
        event_key=sources.read(keys.event_key, "event_key", p.ENV_EVENT_KEY),
        signing_key=sources.read(keys.signing_key, "signing_key", p.ENV_SIGNING_KEY),
        signing_key_fallback=sources.read(
            keys.signing_key, "signing_key_fallback", p.ENV_SIGNING_KEY_FALLBACK
        ),
        serve_origin=_serve_origin(sources),
        serve_path=sources.read(origins.path_setting, "serve_path", p.ENV_SERVE_PATH),
        streaming=_streaming(sources),
        checkpointing=_checkpointing(sources),
        keepalive_interval=sources.seconds(
            "keepalive_interval", KEEPALIVE_S, MIN_KEEPALIVE_MS, MAX_KEEPALIVE_MS
        ),
        max_streams=sources.count("max_streams", MAX_STREAMS, 1),
        log_level=_log_level(sources),
        landing_page=sources.flag("landing_page", p.ENV_LANDING_PAGE),
        allow_in_band_sync=sources.flag(None, p.ENV_ALLOW_IN_BAND_SYNC),
        enable_unauthed_sync=sources.flag("enable_unauthed_sync", p.ENV_ENABLE_UNAUTHED_SYNC),
        request_timeout=sources.seconds("request_timeout", REQUEST_TIMEOUT_S, 1, MAX_REQUEST_MS),
        sync_timeout=sources.seconds("sync_timeout", SYNC_TIMEOUT_S, 1, MAX_REQUEST_MS),
        sync_retries=sources.count("sync_retries", SYNC_RETRIES, 0, MAX_SYNC_RETRIES),
        platform=sources.platform(),
        max_body_bytes=sources.count("max_body_bytes", MAX_BODY_BYTES, 1),
    )
    if serve is not None:
        _check_keys(settings)
    return settings


def route(
    serve_path: t.Optional[str], public_path: t.Optional[str]
) -> t.Tuple[str, t.Optional[str]]:
    """Return where in an application of a framework an adapter adds its route, and
    the path that is registered; None for that of the sync request.

    :param serve_path: the path of the route, as the official SDK has it, and so has
        ``INNGEST_SERVE_PATH``, which is registered too
    :param public_path: registered in place of the path of the route
    :raises errors.SettingsError: one of them is not a path
    """
    sources = Sources({}, {"serve_path": serve_path, "public_path": public_path}, os.environ)
    path = sources.read(origins.path_setting, "serve_path", p.ENV_SERVE_PATH)
    public = sources.read(origins.path_setting, "public_path")
    if public is None and sources.get(None, p.ENV_SERVE_PATH)[1] is not None:
        public = path
    inner = urllib.parse.unquote(path or p.DEFAULT_SERVE_PATH).rstrip("/")
    return inner, public


def in_test(settings: Settings) -> Settings:
    """Return the settings of a client or endpoint that a test calls in its own
    thread: whatever they were, nothing is signed, streamed, or sent to a real
    server, and the address of the endpoint is that of the test's requests."""
    return dataclasses.replace(
        settings,
        mode=p.DEV,
        api_origin=p.TEST_ORIGIN,
        event_api_origin=p.TEST_ORIGIN,
        event_key=None,
        signing_key=None,
        signing_key_fallback=None,
        serve_origin=None,
        serve_path=None,
        streaming=False,
        landing_page=False,
        stamps_events=False,
    )


def _mode(sources: Sources) -> t.Tuple[str, t.Optional[str]]:
    """Return the mode, and the dev server's origin if ``INNGEST_DEV`` is a
    URL."""
    _, is_production, _ = sources.get("is_production")
    if is_production is not None and not isinstance(is_production, bool):
        raise errors.SettingsError(
            "is_production", "must be True (cloud mode), False (dev mode) or None"
        )
    if is_production is True:
        return p.CLOUD, None
    _, text, _ = sources.get(None, p.ENV_DEV)
    if text is None or text.lower() in FALSE:
        return (p.CLOUD if is_production is None else p.DEV), None
    # the official SDKs take any word for dev mode; of these, all mean it
    if text.lower() in TRUE or MEANT.get(text.lower()) == "true":
        return p.DEV, None
    if "://" in text or origins.is_bare_host(text):
        return p.DEV, origins.origin_setting(p.ENV_DEV, text, "http")
    if MEANT.get(text.lower()) == "false":
        way_out = "write 0 for cloud mode"
    else:
        way_out = (
            "write 1 (dev mode), 0 (cloud mode), or the URL of a dev server such as "
            + p.DEV_SERVER_ORIGIN
        )
    raise errors.SettingsError(p.ENV_DEV, f"{text!r} is not a mode; {way_out}")


def _app_id(sources: Sources) -> str:
    name, value, _ = sources.get("app_id")
    if not validate.is_text(value) or not value.isprintable():
        raise errors.SettingsError(name, 'must be a name for the app, for example "shop"')
    return str(value)


def _check_keys(settings: Settings) -> None:
    if settings.mode == p.CLOUD and settings.signing_key is None:
        raise errors.SettingsError(
            "signing_key",
            "is missing, and the mode is cloud, where every request must be signed. Set "
            f"the environment variable {p.ENV_SIGNING_KEY}; or, to develop or test without "
            f"one, set {p.ENV_DEV}=1 or Inngest(is_production=False)",
        )
    if settings.signing_key is None and settings.signing_key_fallback is not None:
        raise errors.SettingsError(
            "signing_key_fallback",
            f"is set without a signing key; set {p.ENV_SIGNING_KEY} to the current key",
        )


def _own_origin(
    sources: Sources, check: t.Callable[[str, t.Any], str], argument: str, variable: str
) -> t.Optional[str]:
    """Return the origin that is set for one of the two APIs alone. The
    ``base_url`` of ``serve()`` is for both, and beats the client's."""
    if sources.serve.get("base_url") is not None:
        return None
    return sources.read(check, argument, variable)


def _serve_origin(sources: Sources) -> t.Optional[str]:
    origin, host = sources.serve.get("serve_origin"), sources.serve.get("serve_host")
    if origin is not None and host is not None and origin != host:
        raise errors.SettingsError(
            "serve_origin", "and serve_host, its older name, differ; give only serve_origin"
        )
    argument = "serve_host" if origin is None and host is not None else "serve_origin"
    name, value, _ = sources.get(argument, p.ENV_SERVE_ORIGIN, p.ENV_SERVE_HOST)
    if value is None:
        return None
    checked = origins.origin_setting(name, value)
    if urllib.parse.urlsplit(checked).path:
        raise errors.SettingsError(name, f"{value!r} has a path; put that into serve_path")
    return checked


def _streaming(sources: Sources) -> t.Union[str, bool]:
    name, value, variable = sources.get("streaming", p.ENV_STREAMING)
    if value is None or value is False:
        return False
    if isinstance(value, Streaming):
        value = value.value
    text = value.lower() if isinstance(value, str) else value
    if text == Streaming.DISABLE.value or (variable and text in FALSE):
        return False
    if text in (Streaming.ALLOW.value, Streaming.FORCE.value):
        return str(text)
    if variable and text in TRUE:
        return Streaming.ALLOW.value
    known = "allow, force or disable" if variable else '"allow", "force" or False'
    if isinstance(text, str) and text in MEANT:
        known = ("allow" if MEANT[text] == "true" else "disable") if variable else known
    raise errors.SettingsError(name, f"{value!r} is not a mode of streaming; use {known}")


def _checkpointing(sources: Sources) -> t.Optional[Checkpointing]:
    _, value, variable = sources.get("checkpointing", p.ENV_CHECKPOINTING)
    if value is None or variable is not None:
        value = sources.flag(None, p.ENV_CHECKPOINTING)
    try:
        return policy(checked(value), None)
    except ValueError as problem:
        raise errors.SettingsError("checkpointing", str(problem)) from None


def _log_level(sources: Sources) -> t.Optional[int]:
    name, value, _ = sources.get("log_level", p.ENV_LOG_LEVEL)
    if value is None:
        return None
    level = LOG_LEVELS.get(value.lower()) if isinstance(value, str) else None
    if level is None:
        raise errors.SettingsError(
            name, "{!r} is not a level; use one of {}".format(value, ", ".join(LOG_LEVELS))
        )
    return level
