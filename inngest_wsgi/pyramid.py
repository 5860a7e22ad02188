"""Serve functions in an application of Pyramid.

::

    config.include("inngest_wsgi.pyramid")
    config.add_inngest(client, functions)
"""

from __future__ import annotations

import contextlib
import io
import typing as t

from ._adapters import PYRAMID, ServeSettings, endpoint, importing, mounted, takes_settings
from ._endpoint.call_context import Maker
from ._messages import Environ
from .client import Inngest
from .function import Function
from .wsgi import Application, StartResponse

with importing(PYRAMID):
    from pyramid.config import Configurator
    from pyramid.events import ApplicationCreated
    from pyramid.request import apply_request_extensions
    from pyramid.security import NO_PERMISSION_REQUIRED
    from pyramid.threadlocal import get_current_request

if t.TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._transactions.zope import StepTransaction

_Wsgi = t.Callable[[Environ, StartResponse], t.Iterable[bytes]]

#: A key of the registry, and of the environ.
_KEY = "inngest_wsgi.endpoints"


def includeme(config: Configurator) -> None:
    """Add the directive ``config.add_inngest()``, which is :func:`add_inngest`."""
    _registry(config).setdefault(_KEY, _Endpoints())
    config.add_directive("add_inngest", add_inngest)
    config.add_subscriber(_wrap, ApplicationCreated)


def _registry(config: Configurator) -> t.Any:
    """Return the registry; without hints it would be None, as the class has it."""
    return config.registry


@takes_settings
def add_inngest(
    config: Configurator,
    client: Inngest,
    functions: t.Sequence[Function[t.Any]],
    *,
    serve_path: t.Optional[str] = None,
    public_path: t.Optional[str] = None,
    route_name: str = "inngest",
    call_context: t.Sequence[Maker] = (),
    **settings: Unpack[ServeSettings],
) -> None:
    """Add the endpoint to an application of Pyramid, at ``/api/inngest``.

    The endpoint authenticates each request by its signature, and answers it before
    the tweens, subscribers and views of the application: neither ``require_csrf`` nor
    a default permission, an exception view, the debug toolbar or ``pyramid_tm`` has
    to do with it. Each call has a request of its own, in the thread of its function,
    which ``get_current_request()`` returns there: with the request methods of the
    application, and with its finished callbacks called when the call is over.

    :param client: the app of Inngest
    :param functions: declared with ``client.create_function``
    :param serve_path: ``INNGEST_SERVE_PATH``: the pattern of the route,
        ``/api/inngest`` if it is not set; ``config.route_prefix`` stands before it
    :param public_path: the path by which the Inngest server reaches the route, if
        something in front of the application changes it
    :param route_name: for ``request.route_url()``
    :param call_context: as :func:`inngest_wsgi.serve` takes it; entered when the
        request is the current one
    :param settings: the other settings of :func:`inngest_wsgi.serve`
    :raises SettingsError: names the setting and the way out
    :raises FunctionConfigError: two functions have one id
    """
    endpoints: _Endpoints = _registry(config)[_KEY]
    path, application = endpoint(
        client,
        functions,
        settings,
        serve_path=serve_path,
        public_path=public_path,
        call_context=call_context,
        around=endpoints.request_of_call,
        open_transaction=_open_transaction,
    )
    prefix = (config.route_prefix or "").strip("/")
    whole = "/" + prefix + path if prefix else path

    respond = _mounted(application)

    def view(context: t.Any, request: t.Any) -> t.Any:
        # only for subrequests: others are answered earlier
        return request.get_response(respond)

    config.action(("inngest_wsgi", whole), endpoints.add, args=(whole, respond))
    config.add_route(route_name, path or "/")
    config.add_view(
        view, route_name=route_name, permission=NO_PERMISSION_REQUIRED, require_csrf=False
    )


def _mounted(application: Application) -> _Wsgi:
    def respond(environ: Environ, start_response: StartResponse) -> t.Iterable[bytes]:
        inner = mounted(environ)
        # for the request of the call
        inner[_KEY] = {name: environ.get(name, "") for name in ("SCRIPT_NAME", "PATH_INFO")}
        return application(inner, start_response)

    return respond


class _Endpoints:
    """The endpoints of an application of Pyramid.

    It is an execution policy, the first that Pyramid calls with a request.
    """

    def __init__(self) -> None:
        self._by_path: t.Dict[str, _Wsgi] = {}
        self._router: t.Any = None
        self._policy: t.Any = None

    def add(self, path: str, respond: _Wsgi) -> None:
        # as PEP 3333 has it in an environ
        self._by_path[path.encode("utf-8").decode("latin-1")] = respond

    def wrap(self, router: t.Any) -> None:
        """Answer the requests to the endpoints; leave others to the execution policy
        that there was."""
        self._router = router
        if router.execution_policy is not self:
            self._policy, router.execution_policy = router.execution_policy, self

    def __call__(self, environ: Environ, router: t.Any) -> t.Any:
        respond = self._by_path.get((environ.get("PATH_INFO") or "").rstrip("/"))
        # what it returns is called as a WSGI application
        return self._policy(environ, router) if respond is None else respond

    @contextlib.contextmanager
    def request_of_call(self, environ: Environ) -> t.Generator[t.Any, None, None]:
        """Make a request the current one for the time of a call."""
        # what another request has left here is its own
        own = {k: v for k, v in environ.items() if not k.startswith(("webob.", "tm."))}
        # the endpoint has read the body
        own.update(own.pop(_KEY), **{"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"})
        own.pop("HTTP_TRANSFER_ENCODING", None)
        with self._router.request_context(own) as request:
            try:
                apply_request_extensions(request)
                with _transaction_of_call(request, environ):
                    yield request
            finally:
                if request.finished_callbacks:
                    request._process_finished_callbacks()


def _wrap(event: ApplicationCreated) -> None:
    event.app.registry[_KEY].wrap(event.app)


def step_transaction(
    manager: t.Optional[t.Callable[[], t.Any]] = None,
) -> "StepTransaction":
    """Return what gives each step a transaction of its own, with ``pyramid_tm`` or
    the package ``transaction`` alone.

    :param manager: returns the transaction manager; by default ``request.tm`` of the
        current request, or ``transaction.manager`` if it has none
    """
    from ._transactions import zope

    def find() -> t.Any:
        found = getattr(get_current_request(), "tm", None)
        return zope.thread_local() if found is None else found

    return zope.StepTransaction(find if manager is None else manager)


def _transaction_of_call(request: t.Any, environ: Environ) -> t.ContextManager[None]:
    """Return the transaction in which the code between steps can read: no tween makes
    or ends one for a call."""
    if getattr(request, "tm", None) is None:
        # the package "transaction" may not be there
        return contextlib.nullcontext()
    return step_transaction().call_context(environ)


def _open_transaction() -> t.Optional[str]:
    if getattr(get_current_request(), "tm", None) is None:
        return None
    return step_transaction().open_transaction()
