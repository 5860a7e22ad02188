"""Call the apps of a test: in its own thread, or over HTTP."""

from __future__ import annotations

import logging
import typing as t
from urllib.parse import urlsplit

from ... import _protocol
from .._http.caller import Caller, CallFailed
from .._http.inprocess import call, environ_of, shown
from .._wire.answers import Answer

logger = logging.getLogger("inngest_wsgi.testing")

_Headers = t.List[t.Tuple[str, str]]


class App(t.NamedTuple):
    """An app in this process.

    :ivar given: what the test gave.
    :ivar call: calls it, given an environ.
    """

    given: t.Any
    call: t.Callable[[t.Dict[str, t.Any]], Answer]


def app_of(given: t.Any) -> App:
    """Return the app that a test gave.

    :param given: a WSGI application, or a client of a framework's tests.
    :raise TypeError: it is neither.
    """
    if callable(given):
        return _wsgi(given, given, {})
    # werkzeug.test.Client, and Flask's, which adds to the environ
    application = getattr(given, "application", None)
    if callable(application):
        return _wsgi(given, application, getattr(given, "environ_base", {}))
    # webtest.TestApp
    application = getattr(given, "app", None)
    if callable(application):
        return _wsgi(given, application, getattr(given, "extra_environ", {}))
    # django.test.Client
    if callable(getattr(given, "generic", None)):
        return App(given, lambda environ: _django(given, environ))
    raise TypeError(
        f"serve() takes a WSGI application, its URL, a webtest.TestApp, or a test client of "
        f"Flask, Werkzeug or Django, and not {given!r}"
    )


def _wsgi(given: t.Any, application: t.Any, base: t.Mapping[str, t.Any]) -> App:
    return App(given, lambda environ: call(application, {**base, **environ}))


def _django(client: t.Any, environ: t.Dict[str, t.Any]) -> Answer:
    """Call Django by its test client, which leaves the test's transaction open."""
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    own = ("REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "wsgi.input", "CONTENT_TYPE")
    extra = {name: value for name, value in environ.items() if name not in own}
    response = client.generic(
        environ["REQUEST_METHOD"],
        path,
        environ["wsgi.input"].read(),
        environ.get("CONTENT_TYPE", "application/octet-stream"),
        environ["wsgi.url_scheme"] == "https",
        **extra,
    )
    headers = {name.lower(): value for name, value in response.items()}
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return Answer(response.status_code, headers, body)


class AppCaller(Caller):
    """Makes the server's requests to the apps of a test.

    :param allow_network: whether other addresses may be requested, over HTTP.
    :ivar binding: is handed to the endpoints.
    :ivar last: the answer to the last request; None if there was none.
    """

    def __init__(self, allow_network: bool) -> None:
        super().__init__()
        self.binding: t.Any = None
        self.last: t.Optional[Answer] = None
        self._allow_network = allow_network
        #: By the URL that the app registers, without a query.
        self._apps: t.Dict[str, App] = {}
        self._origins: t.Set[str] = set()

    def add(self, url: str, given: t.Any) -> None:
        """Call an app at a URL.

        :raise ValueError: another app is called there.
        :raise TypeError: it is no app.
        """
        other = self._apps.get(url)
        if other is not None and other.given is not given:
            raise ValueError(
                f"another application is served at {url} already: give this one another path= or "
                "base_url="
            )
        self._apps[url] = app_of(given)

    def allow(self, url: str) -> None:
        """Allow requests over HTTP to the host of a URL."""
        self._origins.add(_origin(url))

    def clear(self) -> None:
        """Forget all apps."""
        self._apps.clear()
        self._origins.clear()

    def request(self, method: str, url: str, headers: _Headers, body: bytes) -> Answer:
        self.last = None
        self.last = super().request(method, url, headers, body)
        return self.last

    def _once(self, method: str, url: str, headers: _Headers, body: bytes) -> Answer:
        app = self._find(url)
        if app is not None:
            environ = environ_of(method, url, headers, body)
            environ[_protocol.ENVIRON_TEST] = self.binding
            try:
                return app.call(environ)
            except Exception as error:
                # of a test client, for a WSGI application's own are answered
                logger.exception("the application raised, and a server would answer 500")
                return Answer(500, {}, shown(error))
        if self._allow_network or _origin(url) in self._origins:
            return super()._once(method, url, headers, body)
        raise CallFailed(f"no application is served at {url.partition('?')[0]}")

    def _find(self, url: str) -> t.Optional[App]:
        """Return the app at a URL, or else at another path of the same host, to which
        a framework may have redirected."""
        found = self._apps.get(url.partition("?")[0])
        if found is None:
            origin = _origin(url)
            others = [app for known, app in self._apps.items() if _origin(known) == origin]
            found = others[0] if others else None
        return found


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
