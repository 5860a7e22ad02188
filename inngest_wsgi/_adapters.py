"""The parts that the adapters of frameworks share: the settings that they take, the
path of their route, and the environ that the endpoint is given there."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import re
import typing as t

from . import _settings
from ._endpoint.call_context import Maker
from ._execution.step_contexts import Maker as StepMaker
from ._messages import Environ, RunningStep
from ._server_api.client import Pool
from ._settings import LogLevel, Streaming, StreamingMode
from .checkpointing import Option
from .client import Inngest
from .function import Function
from .wsgi import Application, serve


class ServeSettings(t.TypedDict, total=False):
    """The keywords of :func:`inngest_wsgi.serve` that each adapter hands on as
    they are. ``serve_path`` and ``call_context`` are the adapters' own."""

    app_id: t.Optional[str]
    signing_key: t.Optional[str]
    signing_key_fallback: t.Optional[str]
    checkpointing: Option
    serve_origin: t.Optional[str]
    serve_host: t.Optional[str]
    streaming: t.Union[Streaming, StreamingMode, None]
    keepalive_interval: t.Union[int, str, datetime.timedelta, None]
    max_streams: t.Optional[int]
    step_context: t.Sequence[StepMaker]
    log_level: t.Optional[LogLevel]
    base_url: t.Optional[str]
    http: t.Optional[Pool]
    landing_page: t.Optional[bool]
    enable_unauthed_sync: t.Optional[bool]
    sync_retries: t.Optional[int]
    sync_timeout: t.Union[int, str, datetime.timedelta, None]
    max_body_bytes: t.Optional[int]


#: Distribution and oldest version that its adapter runs with.
FLASK = ("Flask", (1, 0))
DJANGO = ("Django", (2, 0))
PYRAMID = ("Pyramid", (1, 9))


@contextlib.contextmanager
def importing(framework: t.Tuple[str, t.Tuple[int, int]]) -> t.Generator[None, None, None]:
    """Import what an adapter needs of its framework in this block: a version that is
    too old would fail with a name that is missing, or at the first request.

    :raises ImportError: names the version that is needed, and the way out
    """
    problem: t.Optional[ImportError] = None
    try:
        yield
    except ImportError as error:
        problem = error
    name, oldest = framework
    found = _installed(name)
    if found is not None and _numbers(found) < oldest:
        raise ImportError(
            f"inngest_wsgi.{name.lower()} needs {name} {oldest[0]}.{oldest[1]} or newer, and this "
            f"is {name} {found}. With an older one, put the endpoint before the application: "
            'DispatcherMiddleware(application, {"/api/inngest": inngest_wsgi.serve(...)}) of '
            "werkzeug.middleware.dispatcher; see docs/frameworks/index.md"
        ) from problem
    if problem is not None:
        raise problem


def _installed(name: str) -> t.Optional[str]:
    """Return the version of a distribution; None if it is not installed as one."""
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> t.Tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


_Adapter = t.TypeVar("_Adapter", bound=t.Callable[..., t.Any])


def takes_settings(adapter: _Adapter) -> _Adapter:
    """Show each setting of :class:`ServeSettings` in the signature of a function
    that takes them as ``**settings``: ``help()`` and editors read it."""
    own = inspect.signature(adapter)
    hints = t.get_type_hints(serve)
    keywords = [
        known.replace(annotation=hints[name])
        for name, known in inspect.signature(serve).parameters.items()
        if name in ServeSettings.__annotations__
    ]
    shown = [known for name, known in own.parameters.items() if name != "settings"]
    del adapter.__annotations__["settings"]
    adapter.__annotations__.update({known.name: known.annotation for known in keywords})
    adapter.__signature__ = own.replace(parameters=shown + keywords)  # type: ignore[attr-defined]
    return adapter


def endpoint(
    client: Inngest,
    functions: t.Sequence[Function[t.Any]],
    settings: t.Any,
    *,
    serve_path: t.Optional[str],
    public_path: t.Optional[str],
    call_context: t.Sequence[Maker],
    around: Maker,
    open_transaction: t.Optional[t.Callable[[], t.Optional[str]]] = None,
) -> t.Tuple[str, Application]:
    """Return the path of the route in the framework's application, and the endpoint
    to call there.

    :param settings: a :class:`ServeSettings`
    :param around: the adapter's own context manager, entered before the user's
    :param open_transaction: describes the transaction of the framework that is open
        in this thread, for a warning where it is open around steps
    :returns: the path begins with a slash, has none at its end, and is not
        percent-encoded; empty for the root
    """
    route, public_path = _settings.route(serve_path, public_path)
    if isinstance(call_context, (list, tuple)):
        # anything else is refused by serve()
        call_context = [around, *call_context]
    settings = {**settings, "serve_path": public_path, "call_context": call_context}
    steps = settings.get("step_context", ())
    if isinstance(steps, (list, tuple)) and open_transaction is not None:
        # also beside a form that can tell: it may be another library's
        settings["step_context"] = [*steps, _Looks(open_transaction)]
    return route, serve(client, functions, **settings)


class _Looks:
    """A ``step_context`` that only looks for open transactions."""

    only_looks = True

    def __init__(self, open_transaction: t.Any) -> None:
        self.open_transaction = open_transaction

    def __call__(self, step: RunningStep) -> t.ContextManager[None]:
        return contextlib.nullcontext()


def mounted(environ: Environ) -> Environ:
    """Return the environ for an endpoint that is mounted at the path of a request,
    as PEP 3333 has it: the path is in ``SCRIPT_NAME``."""
    inner = dict(environ)
    path = environ.get("PATH_INFO") or ""
    mount = path.rstrip("/")
    inner["SCRIPT_NAME"] = (environ.get("SCRIPT_NAME") or "").rstrip("/") + mount
    inner["PATH_INFO"] = path[len(mount) :][:1]
    return inner
