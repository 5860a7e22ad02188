"""Serve functions in an application of Flask."""

from __future__ import annotations

import functools
import typing as t

from . import errors
from ._adapters import FLASK, ServeSettings, endpoint, importing, mounted, takes_settings
from ._endpoint.call_context import Maker
from ._messages import Environ
from .client import Inngest
from .function import Function
from .wsgi import StartResponse

with importing(FLASK):
    import flask

if t.TYPE_CHECKING:
    from typing_extensions import Unpack

#: RFC 9110 and RFC 5789: the endpoint itself answers those that it does not take.
_METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")


@takes_settings
def serve(
    app: flask.Flask,
    client: Inngest,
    functions: t.Sequence[Function[t.Any]],
    *,
    serve_path: t.Optional[str] = None,
    public_path: t.Optional[str] = None,
    call_context: t.Sequence[Maker] = (),
    **settings: Unpack[ServeSettings],
) -> None:
    """Add the endpoint to an application of Flask, at ``/api/inngest``.

    The endpoint authenticates each request by its signature. So the hooks
    ``before_request`` and ``after_request``, CSRF protection and error handlers are
    for the other pages alone: none of them is called for the endpoint. Each call
    runs in an ``app.app_context()`` of its own, in the thread of its function.

    :param app: the application; its other routes may be added before or after
    :param client: the app of Inngest
    :param functions: declared with ``client.create_function``
    :param serve_path: ``INNGEST_SERVE_PATH``: the path of the route in the
        application, ``/api/inngest`` if it is not set
    :param public_path: the path by which the Inngest server reaches the route, if
        something in front of the application changes it
    :param call_context: as :func:`inngest_wsgi.serve` takes it; entered in the
        application context
    :param settings: the other settings of :func:`inngest_wsgi.serve`
    :raises SettingsError: names the setting and the way out
    :raises FunctionConfigError: two functions have one id
    """
    if not isinstance(app, flask.Flask):
        raise errors.SettingsError("app", f"must be a flask.Flask object, not {app!r}")
    path, application = endpoint(
        client,
        functions,
        settings,
        serve_path=serve_path,
        public_path=public_path,
        call_context=call_context,
        around=lambda environ: app.app_context(),
    )

    def respond(environ: Environ, start_response: StartResponse) -> t.Iterable[bytes]:
        return application(mounted(environ), start_response)

    def inngest(**values: str) -> t.Any:
        # Flask calls what is no response as a WSGI application
        return respond

    # a dot would be the name of a blueprint
    name = "inngest:" + (path or "/").replace(".", "_")
    if name in app.view_functions:
        raise errors.SettingsError(
            "serve_path", f"{path!r} is served already; give each serve() a path of its own"
        )
    # every host, where the rules of the application have one
    host = {"host": "<inngest_host>"} if app.url_map.host_matching else {}
    app.add_url_rule(
        path or "/",
        name,
        inngest,
        methods=_METHODS,
        provide_automatic_options=False,
        strict_slashes=False,
        **host,
    )
    _pass_by_hooks(app, name, inngest)


def _pass_by_hooks(app: flask.Flask, name: str, view: t.Callable[[], t.Any]) -> None:
    """Let a view answer without the application's hooks.

    To leave out only those before the request would break those after it, which
    often rely on what the first ones have put into ``flask.g``.
    """
    dispatch = app.full_dispatch_request

    @functools.wraps(dispatch)
    def full_dispatch_request(*context: t.Any) -> t.Any:
        if flask.request.endpoint != name:
            return dispatch(*context)
        if hasattr(app, "before_first_request_funcs"):
            _prepare(app)
        return view()

    setattr(app, "full_dispatch_request", full_dispatch_request)


def _prepare(app: t.Any) -> None:  # pragma: no cover (only where Flask is old)
    """Call the functions of ``before_first_request``, which Flask has before 2.3: the
    first request may be a call, whose function needs what they prepare."""
    prepare = getattr(app, "try_trigger_before_first_request_functions", None)
    if prepare is not None:
        prepare()
    elif not app._got_first_request:
        # the same in Flask 2.2, where it is no method
        with app._before_request_lock:
            if not app._got_first_request:
                for function in app.before_first_request_funcs:
                    function()
                app._got_first_request = True
