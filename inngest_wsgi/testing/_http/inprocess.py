"""Call a WSGI application in this process instead of over HTTP."""

from __future__ import annotations

import io
import logging
import sys
import typing as t
from urllib.parse import unquote, urlsplit

from .._wire.answers import Answer
from .caller import RESPONSE_LIMIT, AnswerTooLarge, Caller

logger = logging.getLogger("inngest_wsgi.testing")

#: A WSGI application, as PEP 3333 has it.
Application = t.Callable[[t.Dict[str, t.Any], t.Callable[..., t.Any]], t.Iterable[bytes]]


class InProcessCaller(Caller):
    """Makes the server's requests to an application of this process.

    What the application raises is answered 500, as WSGI servers do.
    """

    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application

    def _once(
        self, method: str, url: str, headers: t.List[t.Tuple[str, str]], body: bytes
    ) -> Answer:
        return call(self._application, environ_of(method, url, headers, body))


def call(application: Application, environ: t.Dict[str, t.Any]) -> Answer:
    """Call an application, and return its answer.

    What the application raises is logged, and answered 500, as WSGI servers do.

    :raise AnswerTooLarge: more than :data:`RESPONSE_LIMIT` bytes came back.
    """
    try:
        return answer_of(application, environ)
    except AnswerTooLarge:
        raise
    except Exception as error:
        logger.exception("the application raised, and a WSGI server would answer 500")
        return Answer(500, {}, shown(error))


def answer_of(application: Application, environ: t.Dict[str, t.Any]) -> Answer:
    """Call an application, and return its answer.

    :raise AnswerTooLarge: more than :data:`RESPONSE_LIMIT` bytes came back.
    :raise Exception: what the application raises.
    """
    status, answered, chunks = _call(application, environ)
    content = b"".join(chunks)
    if len(content) > RESPONSE_LIMIT:
        raise AnswerTooLarge
    return Answer(
        int(status.split(" ")[0]), {name.lower(): value for name, value in answered}, content
    )


def shown(error: Exception) -> bytes:
    """Return what an application raised, as the body of an answer in its place."""
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace")


def environ_of(
    method: str, url: str, headers: t.List[t.Tuple[str, str]], body: bytes
) -> t.Dict[str, t.Any]:
    """Return the WSGI environ of a request (PEP 3333)."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    environ: t.Dict[str, t.Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path or "/", "latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or (443 if secure else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = value
    return environ


def _call(
    application: Application, environ: t.Dict[str, t.Any]
) -> t.Tuple[str, t.List[t.Tuple[str, str]], t.List[bytes]]:
    status = ""
    answered: t.List[t.Tuple[str, str]] = []
    chunks: t.List[bytes] = []

    def start_response(
        line: str, headers: t.List[t.Tuple[str, str]], exc_info: t.Optional[t.Any] = None
    ) -> t.Callable[[bytes], None]:
        nonlocal status, answered
        status, answered = line, headers
        return chunks.append

    iterable = application(environ, start_response)
    try:
        chunks.extend(iterable)
    finally:
        close = getattr(iterable, "close", None)
        if close is not None:
            close()
    return status, answered, chunks
