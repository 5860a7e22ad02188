"""Call the apps of a test: in its own thread, or over HTTP."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import typing as t
from urllib.parse import urlsplit

from ... import _protocol
from .._http.caller import AnswerTooLarge, Caller, CallFailed
from .._http.inprocess import answer_of, environ_of, shown
from .._wire.answers import Answer
from .raised import Raised

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
        return App(given, functools.partial(_django, given))
    raise TypeError(
        f"serve() takes a WSGI application, its URL, a webtest.TestApp, or a test client of "
        f"Flask, Werkzeug or Django, and not {given!r}"
    )


def _wsgi(given: t.Any, application: t.Any, base: t.Mapping[str, t.Any]) -> App:
    def called(environ: t.Dict[str, t.Any]) -> Answer:
        with _django_connections_kept():
            return answer_of(application, {**base, **environ})

    return App(given, called)


@contextlib.contextmanager
def _django_connections_kept() -> t.Generator[None, None, None]:
    """Let Django close no database connection around a request meanwhile, as its own test
    client does: a ``TestCase`` has a transaction open, and would lose it."""
    signals = sys.modules.get("django.core.signals")
    database = sys.modules.get("django.db")
    if signals is None or database is None:
        yield
        return
    close = database.close_old_connections
    both = [signals.request_started, signals.request_finished]
    disconnected = [signal for signal in both if signal.disconnect(close)]
    try:
        yield
    finally:
        for signal in disconnected:
            # as Django does it at first, it would keep an object for each connect
            signal.connect(close, weak=False)


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
    :ivar raised: what the apps have raised.
    """

    def __init__(self, allow_network: bool) -> None:
        super().__init__()
        self.binding: t.Any = None
        self.last: t.Optional[Answer] = None
        self.raised = Raised()
        #: The app that answered the last request, which may have redirected it.
        self._before: t.Optional[App] = None
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
        self.last = self._before = None
        self.raised.last = None
        self.last = super().request(method, url, headers, body)
        return self.last

    def _once(self, method: str, url: str, headers: _Headers, body: bytes) -> Answer:
        app = self._before = self._find(url)
        if app is not None:
            environ = environ_of(method, url, headers, body)
            environ[_protocol.ENVIRON_TEST] = self.binding
            try:
                return app.call(environ)
            except AnswerTooLarge:
                raise
            except Exception as error:
                self.raised.add(method, url, error)
                logger.exception("the application raised, and a server would answer 500")
                return Answer(500, {}, shown(error))
        if self._allow_network or _origin(url) in self._origins:
            return super()._once(method, url, headers, body)
        raise CallFailed(f"no application is served at {url.partition('?')[0]}")

    def _find(self, url: str) -> t.Optional[App]:
        """Return the app for a URL; None if there is none on its host.

        A framework may redirect to another path of the host: to the same one with a
        slash at its end, or to another page of its own.

        :raise CallFailed: there are several on the host, and none of them is at the path.
        """
        path = url.partition("?")[0]
        found = self._apps.get(path)
        if found is not None:
            return found
        here = {known: app for known, app in self._apps.items() if _origin(known) == _origin(url)}
        but_for_slash = [
            app for known, app in here.items() if known.rstrip("/") == path.rstrip("/")
        ]
        before = [app for app in here.values() if app is self._before]
        for some in (but_for_slash, before):
            if some:
                return some[0]
        if len({id(app.given) for app in here.values()}) > 1:
            raise CallFailed(
                f"no application is served at {path}, and several are at other paths of its host: "
                + ", ".join(here)
            )
        return next(iter(here.values()), None)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
