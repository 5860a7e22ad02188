"""Read a registration, and refuse what a real server refuses.

A function that only this server cannot run is registered with a fault, and
fails whenever it would run: to go on as if the setting were not there would
make a test pass for the wrong reason, and the other functions are not to blame.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ... import _protocol
from .._wire.canonical import canonical, loads
from .functions import Function
from .settings import RegistrationRefused, Settings, fold, invalid, unreadable

_DEFAULT_RETRIES = 4
_MOST_RETRIES = 20


@dataclass(frozen=True)
class Registration:
    """An acceptable registration."""

    app_id: str
    functions: t.Tuple[Function, ...]
    #: Equal for equal registrations; tells if one is ``modified``.
    checksum: bytes


def read_registration(body: bytes) -> Registration:
    """Read the body of ``POST /fn/register`` (PROTOCOL section 5).

    :raise RegistrationRefused: it is not acceptable, as a whole.
    """
    try:
        value = loads(body)
        if not isinstance(value, dict):
            raise ValueError("a registration is a JSON object")
        value["url"] = _without_deploy_id(value.get("url"))
    except ValueError as error:
        raise unreadable(str(error)) from None
    fields = fold(value)
    app_id = fields.get("appname")
    if not isinstance(app_id, str) or not app_id:
        raise RegistrationRefused({"error": "App ID required", "data": None, "status": 400})
    entries = fields.get("functions") or []
    if not isinstance(entries, list):
        raise unreadable("functions is not a list")
    functions = tuple(_read_function(app_id, entry) for entry in entries)
    return Registration(app_id, functions, canonical(value))


def _without_deploy_id(url: t.Any) -> t.Any:
    if not isinstance(url, str) or not _is_address(url):
        return url
    parts = urlsplit(url)
    query = [
        pair
        for pair in parse_qsl(parts.query, keep_blank_values=True)
        if pair[0] != _protocol.QUERY_DEPLOY_ID
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _read_function(app_id: str, entry: t.Any) -> Function:
    if not isinstance(entry, dict):
        raise unreadable("a function is not an object")
    fields = fold(entry)
    function_id, name = fields.get("id"), fields.get("name")
    step = _one_step(fields.get("steps"))
    runtime = step.get("runtime")
    url = runtime.get("url") if isinstance(runtime, dict) else None
    usable = all(isinstance(text, str) and text for text in (function_id, name, url))
    if not usable or not _is_address(str(url)):
        raise invalid()
    settings = Settings(fields)
    triggers, crons = settings.triggers()
    settings.checkpoint()
    start_timeout, finish_timeout = settings.timeouts()
    function = Function(
        function_id=str(function_id),
        app_id=app_id,
        name=str(name),
        url=str(url),
        retries=_retries(step.get("retries"), fields.get("retries")),
        triggers=triggers,
        crons=crons,
        batching=settings.batching(),
        cancelling=settings.cancelling(),
        concurrency=settings.concurrency(),
        debounce=settings.debounce(),
        idempotency=settings.idempotency(),
        priority=settings.priority(),
        rate_limit=settings.rate("rateLimit"),
        singleton=settings.singleton(),
        throttle=settings.rate("throttle"),
        start_timeout=start_timeout,
        finish_timeout=finish_timeout,
    )
    return replace(function, faults=tuple(settings.faults), left_out=tuple(settings.left_out))


def _one_step(steps: t.Any) -> t.Dict[str, t.Any]:
    values = list(steps.values()) if isinstance(steps, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], dict) else {}


def _retries(retries: t.Any, of_function: t.Any) -> int:
    """Return the retries of the step, or else those of the function."""
    attempts = retries.get("attempts") if isinstance(retries, dict) else of_function
    if attempts is None:
        return _DEFAULT_RETRIES
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 0:
        raise invalid()
    return min(attempts, _MOST_RETRIES)


def changed(registration: Registration, previous: t.Optional[Registration]) -> bool:
    """Return True if a registration differs from the one before."""
    return previous is None or previous.checksum != registration.checksum
