"""GET: what is there (PROTOCOL section 4)."""

from __future__ import annotations

import hashlib
import typing as t

from .. import _protocol as p
from .._codec import encode
from .._messages import Response
from .._security.signing import SigningKey
from .._settings import Settings

#: What this endpoint can do, as an introspection and a sync tell it.
CAPABILITIES = {"in_band_sync": "v1", "trust_probe": "v1"}

#: As many characters of a key's hash as tell two keys apart.
_HASH_PREFIX = 12


def respond(settings: Settings, function_count: int, authenticated: t.Optional[bool]) -> Response:
    """The answer to a GET."""
    return encode.document(200, describe(settings, function_count, authenticated))


def describe(
    settings: Settings, function_count: int, authenticated: t.Optional[bool]
) -> t.Dict[str, t.Any]:
    """The introspection.

    :param authenticated: True for a valid signature, which is told more;
        False for an invalid one, None for none
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
