"""Arguments and environment become one frozen :class:`Settings`.

The only reader of the environment. For every setting: argument of ``serve()``
before argument of the client before environment before default (PROTOCOL
section 1).
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t
import urllib.parse

from . import _protocol as p, errors
from ._codec import durations
from ._security import keys, origins

#: Names of the levels, as ``INNGEST_LOG_LEVEL`` and ``log_level`` take them,
#: and the level of :mod:`logging` that each is.
LOG_LEVELS = {
    "fatal": 50,
    "error": 40,
    "warn": 30,
    "info": 20,
    "debug": 10,
    "silent": 60,
}
STREAMING = ("allow", "force")
#: How long one request of ours to the server may take, in seconds, for
#: connecting and again for each read.
REQUEST_TIMEOUT_S = 30.0

#: How often a sync is tried again: a server that is busy answers with 500.
SYNC_RETRIES = 2

#: How long a sync may take, its retries included, in seconds: less than the
#: time after which common servers give a worker up.
SYNC_TIMEOUT_S = 20.0

#: The time between two spaces of a streamed answer, in seconds.
KEEPALIVE_S = 3.0
#: How many functions of streamed calls may run at once in one process.
MAX_STREAMS = 64

LONGEST_REQUEST_MS = 3600 * 1000
SHORTEST_KEEPALIVE_MS = 250
LONGEST_KEEPALIVE_MS = 3600 * 1000
MOST_SYNC_RETRIES = 10

_TRUE = ("1", "true")
_FALSE = ("0", "false")
_HEADER_SAFE = re.compile(r"[\x20-\x7e]+")

Arguments = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What was decided, from wherever it was said. Origins and paths are
    checked, and origins have no trailing slash; times are seconds.

    Keys are left out of ``repr()``.
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
    keepalive_interval: float = KEEPALIVE_S
    max_streams: int = MAX_STREAMS
    log_level: t.Optional[int] = None
    landing_page: bool = True
    allow_in_band_sync: bool = True
    enable_unauthed_sync: bool = True
    request_timeout: float = REQUEST_TIMEOUT_S
    sync_retries: int = SYNC_RETRIES
    sync_timeout: float = SYNC_TIMEOUT_S
    platform: t.Optional[str] = None

    @property
    def is_dev(self) -> bool:
        return self.mode == p.DEV


def resolve(
    client: Arguments,
    serve: t.Optional[Arguments] = None,
    environ: t.Optional[t.Mapping[str, str]] = None,
) -> Settings:
    """Decide every setting.

    :param client: the arguments of the client; None where none was given
    :param serve: the arguments of ``serve()``; None for a client used alone,
        which needs no signing key
    :param environ: the environment; ``os.environ`` when None
    :raises errors.SettingsError: names the setting and the way out
    """
    source = _Source(client, serve or {}, os.environ if environ is None else environ)
    mode, dev_origin = _mode(source)
    fallback_origin = source.read(origins.setting, "base_url", p.ENV_BASE_URL) or dev_origin
    default_api, default_event = (
        (p.DEV_SERVER_ORIGIN, p.DEV_SERVER_ORIGIN)
        if mode == p.DEV
        else (p.CLOUD_API_ORIGIN, p.CLOUD_EVENT_API_ORIGIN)
    )
    settings = Settings(
        app_id=_app_id(source),
        mode=mode,
        api_origin=_own_origin(source, "api_base_url", p.ENV_API_BASE_URL)
        or fallback_origin
        or default_api,
        event_api_origin=_own_origin(source, "event_api_base_url", p.ENV_EVENT_API_BASE_URL)
        or fallback_origin
        or default_event,
        app_version=_text(source, "app_version"),
        env=_text(source, "env", p.ENV_ENV),
        event_key=source.read(keys.event_key, "event_key", p.ENV_EVENT_KEY),
        signing_key=source.read(keys.signing_key, "signing_key", p.ENV_SIGNING_KEY),
        signing_key_fallback=source.read(
            keys.signing_key, "signing_key_fallback", p.ENV_SIGNING_KEY_FALLBACK
        ),
        serve_origin=_serve_origin(source),
        serve_path=source.read(origins.setting_path, "serve_path", p.ENV_SERVE_PATH),
        streaming=_streaming(source),
        keepalive_interval=_seconds(
            source,
            "keepalive_interval",
            KEEPALIVE_S,
            (SHORTEST_KEEPALIVE_MS, LONGEST_KEEPALIVE_MS, "250 milliseconds to 1 hour"),
        ),
        max_streams=_count(source, "max_streams", MAX_STREAMS, 1, None),
        log_level=_log_level(source),
        landing_page=_flag(source, "landing_page", p.ENV_LANDING_PAGE),
        allow_in_band_sync=_flag(source, None, p.ENV_ALLOW_IN_BAND_SYNC),
        enable_unauthed_sync=_flag(source, None, p.ENV_ENABLE_UNAUTHED_SYNC),
        request_timeout=_seconds(
            source,
            "request_timeout",
            REQUEST_TIMEOUT_S,
            (1, LONGEST_REQUEST_MS, "1 millisecond to 1 hour"),
        ),
        sync_timeout=_seconds(
            source,
            "sync_timeout",
            SYNC_TIMEOUT_S,
            (1, LONGEST_REQUEST_MS, "1 millisecond to 1 hour"),
        ),
        sync_retries=_count(source, "sync_retries", SYNC_RETRIES, 0, MOST_SYNC_RETRIES),
        platform=_platform(source.environ),
    )
    if serve is not None:
        _check_keys(settings)
    return settings


class _Source:
    """Where a setting may come from, in the order of precedence."""

    def __init__(self, client: Arguments, serve: Arguments, environ: t.Mapping[str, str]) -> None:
        self.client = client
        self.serve = serve
        self.environ = environ

    def get(self, name: t.Optional[str], *variables: str) -> t.Tuple[str, t.Any, t.Optional[str]]:
        """The value, the name to complain about, and the variable's name
        where it came from the environment. An empty variable is unset."""
        if name is not None:
            for arguments in (self.serve, self.client):
                if arguments.get(name) is not None:
                    return name, arguments[name], None
        for variable in variables:
            value = keys.stripped(self.environ.get(variable, ""))
            if value:
                return variable, value, variable
        return name or variables[0], None, None

    def read(
        self, check: t.Callable[[str, t.Any], str], argument: str, *variables: str
    ) -> t.Optional[str]:
        """The value, checked, where there is one."""
        name, value, _ = self.get(argument, *variables)
        return None if value is None else check(name, value)


def _mode(source: _Source) -> t.Tuple[str, t.Optional[str]]:
    """The mode, and the dev server's origin where ``INNGEST_DEV`` is a URL."""
    _, is_production, _ = source.get("is_production")
    if is_production is not None and not isinstance(is_production, bool):
        raise errors.SettingsError(
            "is_production", "must be True (cloud mode), False (dev mode) or None"
        )
    if is_production is True:
        return p.CLOUD, None
    _, text, _ = source.get(None, p.ENV_DEV)
    if text is None or text.lower() in _FALSE:
        return (p.CLOUD if is_production is None else p.DEV), None
    if text.lower() in _TRUE:
        return p.DEV, None
    if "://" not in text:
        raise errors.SettingsError(
            p.ENV_DEV,
            "{!r} is no mode; use 1 (dev mode), 0 (cloud mode), or the URL of a dev "
            "server such as {}".format(text, p.DEV_SERVER_ORIGIN),
        )
    return p.DEV, origins.setting(p.ENV_DEV, text)


def _app_id(source: _Source) -> str:
    name, value, _ = source.get("app_id")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise errors.SettingsError(name, 'must be a name for the app, for example "shop"')
    return value


def _text(source: _Source, argument: str, *variables: str) -> t.Optional[str]:
    name, value, _ = source.get(argument, *variables)
    if value is None:
        return None
    if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value):
        raise errors.SettingsError(name, "must be printable ASCII text, not {!r}".format(value))
    return value


def _check_keys(settings: Settings) -> None:
    if settings.mode == p.CLOUD and settings.signing_key is None:
        raise errors.SettingsError(
            "signing_key",
            "is missing, and the mode is cloud, where every request must be signed. Set "
            "the environment variable {}; or, to develop without one, set {}=1 or "
            "Inngest(is_production=False)".format(p.ENV_SIGNING_KEY, p.ENV_DEV),
        )
    if settings.signing_key is None and settings.signing_key_fallback is not None:
        raise errors.SettingsError(
            "signing_key_fallback",
            "is set without a signing key; set {} to the current key".format(p.ENV_SIGNING_KEY),
        )


def _own_origin(source: _Source, argument: str, variable: str) -> t.Optional[str]:
    """The origin that was set for one of the two APIs alone. ``serve()`` has
    only ``base_url``, for both; given there, it beats what the client says."""
    if source.serve.get("base_url") is not None:
        return None
    return source.read(origins.setting, argument, variable)


def _serve_origin(source: _Source) -> t.Optional[str]:
    origin, host = source.serve.get("serve_origin"), source.serve.get("serve_host")
    if origin is not None and host is not None and origin != host:
        raise errors.SettingsError(
            "serve_origin", "and serve_host, its older name, differ; give only serve_origin"
        )
    argument = "serve_host" if origin is None and host is not None else "serve_origin"
    name, value, _ = source.get(argument, p.ENV_SERVE_ORIGIN, p.ENV_SERVE_HOST)
    if value is None:
        return None
    checked = origins.setting(name, value)
    if urllib.parse.urlsplit(checked).path:
        raise errors.SettingsError(name, "{!r} has a path; put that into serve_path".format(value))
    return checked


def _streaming(source: _Source) -> t.Union[str, bool]:
    name, value, variable = source.get("streaming", p.ENV_STREAMING)
    if value is None or value is False:
        return False
    text = value.lower() if isinstance(value, str) else value
    if text in STREAMING:
        return str(text)
    if variable and text in _TRUE:
        return "allow"
    if variable and text in _FALSE:
        return False
    raise errors.SettingsError(
        name, '{!r} is not a way to stream; use "allow", "force" or False'.format(value)
    )


def _log_level(source: _Source) -> t.Optional[int]:
    name, value, _ = source.get("log_level", p.ENV_LOG_LEVEL)
    if value is None:
        return None
    level = LOG_LEVELS.get(value.lower()) if isinstance(value, str) else None
    if level is None:
        raise errors.SettingsError(
            name, "{!r} is not a level; use one of {}".format(value, ", ".join(LOG_LEVELS))
        )
    return level


def _flag(source: _Source, argument: t.Optional[str], variable: str) -> bool:
    """A switch that is on unless somebody turns it off."""
    name, value, _ = source.get(argument, variable)
    if value is None or value is True:
        return True
    if value is False:
        return False
    text = value.lower() if isinstance(value, str) else value
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise errors.SettingsError(name, "{!r} is neither true nor false".format(value))


def _seconds(
    source: _Source, argument: str, default: float, limits: t.Tuple[int, int, str]
) -> float:
    """A time, in seconds.

    :param limits: in milliseconds, and in words
    """
    name, value, _ = source.get(argument)
    if value is None:
        return default
    shortest, longest, words = limits
    try:
        ms = durations.milliseconds(value)
        if not shortest <= ms <= longest:
            raise ValueError("must be from {}".format(words))
    except ValueError as error:
        raise errors.SettingsError(name, str(error)) from None
    return ms / 1000


def _count(source: _Source, argument: str, default: int, least: int, most: t.Optional[int]) -> int:
    name, value, _ = source.get(argument)
    if value is None:
        return default
    if type(value) is not int or value < least or (most is not None and value > most):
        limits = "{} or more".format(least) if most is None else "{} to {}".format(least, most)
        raise errors.SettingsError(name, "must be a whole number, {}".format(limits))
    return value


def _platform(environ: t.Mapping[str, str]) -> t.Optional[str]:
    for variable, platform in p.ENV_PLATFORMS:
        if environ.get(variable):
            return platform
    return None
