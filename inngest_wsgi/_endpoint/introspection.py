"""GET: describe the endpoint to a server (PROTOCOL section 4)."""

from __future__ import annotations

import hashlib
import typing as t

from .. import _protocol as p
from .._codec import encode
from .._messages import Response
from .._security.signing import SigningKey
from .._settings import Settings

#: The capabilities that an introspection and a sync report.
CAPABILITIES = {"in_band_sync": "v1", "trust_probe": "v1"}

#: Characters of a key's hash that are shown: enough to tell two keys apart.
_HASH_PREFIX = 12


def respond(settings: Settings, function_count: int, authenticated: t.Optional[bool]) -> Response:
    """Answer a GET; see :func:`describe`."""
    return encode.document(200, describe(settings, function_count, authenticated))


def describe(
    settings: Settings, function_count: int, authenticated: t.Optional[bool]
) -> t.Dict[str, t.Any]:
    """Return the introspection as JSON.

    :param function_count: failure handlers included
    :param authenticated: True if the request has a valid signature, and then
        the introspection has more fields; False if its signature is invalid;
        None if it has none
    """
    found: t.Dict[str, t.Any] = {
        "schema_version": p.INTROSPECTION_SCHEMA,
        "authentication_succeeded": authenticated,
        "extra": {},
        "function_count": function_count,
        "has_event_key": settings.event_key is not None,
        "has_signing_key": settings.signing_key is not None,
        "has_signing_key_fallback": settings.signing_key_fallback is not None,
        "mode": settings.mode,
    }
    if authenticated:
        found.update(
            api_origin=settings.api_origin,
            app_id=settings.app_id,
            capabilities=CAPABILITIES,
            env=settings.env,
            event_api_origin=settings.event_api_origin,
            event_key_hash=_event_key_hash(settings.event_key),
            extra={"is_streaming": bool(settings.streaming)},
            framework=p.FRAMEWORK,
            sdk_language=p.LANGUAGE,
            sdk_version=p.VERSION,
            serve_origin=settings.serve_origin,
            serve_path=settings.serve_path,
            signing_key_fallback_hash=_signing_key_hash(settings.signing_key_fallback),
            signing_key_hash=_signing_key_hash(settings.signing_key),
        )
    return found


def _event_key_hash(key: t.Optional[str]) -> t.Optional[str]:
    if key is None:
        return None
    return hashlib.sha256(key.encode("ascii")).hexdigest()[:_HASH_PREFIX]


def _signing_key_hash(key: t.Optional[str]) -> t.Optional[str]:
    return None if key is None else SigningKey(key).hash[:_HASH_PREFIX]
