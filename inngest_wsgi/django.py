"""Serve functions in a project of Django."""

from __future__ import annotations

import contextlib
import io
import re
import typing as t

from ._adapters import DJANGO, ServeSettings, endpoint, importing, mounted, takes_settings
from ._endpoint.call_context import Maker
from ._messages import Environ
from .client import Inngest
from .function import Function
from .wsgi import Application

with importing(DJANGO):
    from django.conf import settings as django_settings
    from django.core.exceptions import DisallowedHost, ImproperlyConfigured
    from django.db import connections, transaction
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.urls import URLPattern, re_path
    from django.views.decorators.csrf import csrf_exempt

    from ._transactions.django import (
        close_old_connections,
        open_transaction,
        step_transaction,
    )

if t.TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["serve", "step_transaction"]


@takes_settings
def serve(
    client: Inngest,
    functions: t.Sequence[Function[t.Any]],
    *,
    serve_path: t.Optional[str] = None,
    public_path: t.Optional[str] = None,
    call_context: t.Sequence[Maker] = (),
    **settings: Unpack[ServeSettings],
) -> URLPattern:
    """Return the endpoint as an entry for ``urlpatterns``, at ``api/inngest``.

    The endpoint authenticates each request by its signature. So it is exempt from
    CSRF protection and from ``LoginRequiredMiddleware``. ``ATOMIC_REQUESTS`` does not
    apply to it: a transaction around a whole call would commit the half-done work of
    a step that has failed. Database connections that are unusable or too old are
    closed before and after each call, in the thread of its function.

    :param client: the app of Inngest
    :param functions: declared with ``client.create_function``
    :param serve_path: ``INNGEST_SERVE_PATH``: the path of the entry,
        ``/api/inngest`` if it is not set
    :param public_path: the path by which the Inngest server reaches the entry, if
        something in front of the project changes it
    :param call_context: as :func:`inngest_wsgi.serve` takes it
    :param settings: the other settings of :func:`inngest_wsgi.serve`
    :raises SettingsError: names the setting and the way out
    :raises FunctionConfigError: two functions have one id
    """
    path, application = endpoint(
        client,
        functions,
        settings,
        serve_path=serve_path,
        public_path=public_path,
        call_context=call_context,
        around=_connections,
        open_transaction=open_transaction,
    )

    def inngest(request: HttpRequest) -> t.Union[HttpResponse, StreamingHttpResponse]:
        return _answer(application, _environ(request))

    view: t.Any = csrf_exempt(inngest)
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    # Django 5.1 has a decorator that does this
    view.login_required = False
    # with a slash or without, so that APPEND_SLASH has nothing to redirect
    pattern = f"^{re.escape(path[1:])}/?$" if path else "^$"
    entry: URLPattern = re_path(pattern, view, name="inngest")
    return entry


@contextlib.contextmanager
def _connections(environ: Environ) -> t.Generator[None, None, None]:
    """Close unusable and old connections, as Django does around a request; the
    thread of a streamed call has no request."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def _environ(request: t.Any) -> Environ:
    """Return the environ for the endpoint, with the address of the request as Django's
    settings have it."""
    environ = dict(getattr(request, "environ", ()))
    if not environ:
        raise ImproperlyConfigured(
            "inngest_wsgi needs Django's WSGI handler, and this request is of its ASGI handler: "
            "serve the project's wsgi.py, at least for the path of the endpoint"
        )
    # Django keeps these as text
    for name in ("SCRIPT_NAME", "PATH_INFO"):
        environ[name] = environ.get(name, "").encode("utf-8").decode("latin-1")
    environ["wsgi.url_scheme"] = request.scheme
    if django_settings.USE_X_FORWARDED_HOST:
        with contextlib.suppress(DisallowedHost):
            environ["HTTP_HOST"] = request.get_host()
    if "_body" in vars(request):
        # a middleware has read it
        environ["wsgi.input"] = io.BytesIO(request.body)
    else:
        # one that asks for it after the endpoint, as the debug toolbar does, would be told that
        # it is lost or too large, and its error be the answer
        request._body = b""
    return mounted(environ)


_Headers = t.List[t.Tuple[str, str]]


class _Given:
    """A response whose headers and body no middleware changes: the Inngest server
    verifies what the endpoint has signed, and compression would hold back a stream.
    """

    def __init__(self, status: str, headers: _Headers, chunks: t.Iterable[bytes]) -> None:
        self._headers_given = headers
        self._chunks_given = chunks
        super().__init__(chunks, status=int(status[:3]))  # type: ignore[call-arg]
        for name, value in headers:
            self[name] = value  # type: ignore[index]

    def items(self) -> _Headers:
        return self._headers_given

    def __iter__(self) -> t.Iterator[bytes]:
        return iter(self._chunks_given)


class _Answer(_Given, HttpResponse):
    @property
    def content(self) -> bytes:
        return b"".join(self._chunks_given)

    @content.setter
    def content(self, value: t.Any) -> None:
        pass


class _Stream(_Given, StreamingHttpResponse):
    pass


def _answer(
    application: Application, environ: Environ
) -> t.Union[HttpResponse, StreamingHttpResponse]:
    started: t.List[t.Any] = []
    chunks = application(environ, lambda *start: started.append(start))
    status, headers = started[0]
    return (_Answer if isinstance(chunks, list) else _Stream)(status, headers, chunks)
