"""The WSGI iterable of a streamed answer (PROTOCOL section 7).

The function runs in a thread of its own, while the server's thread iterates
over what keeps the connection alive: a space at once, a space now and then,
and at last the answer, as one JSON object. Nothing is ever raised into the
iteration: to several servers that looks like the end of a whole answer.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
import threading
import time
import typing as t

from . import _encode, errors
from ._messages import Call

Environ = t.Dict[str, t.Any]
#: Called with the environ in the thread of the request; the context manager
#: that it gives is entered in the thread in which the function runs.
Carrier = t.Callable[[Environ], t.ContextManager[t.Any]]

KEEPALIVE = b" "

#: The answer where nothing is left that could make a better one.
_FAILED = _encode.streamed(
    _encode.error(errors.Error("The function's thread ended; see the application's log."))
)

#: How servers that send each chunk as it is yielded begin SERVER_SOFTWARE.
_LIVE = ("gunicorn/", "waitress", "Werkzeug/", "WSGIServer/", "Cheroot/", "gevent/")

#: What uWSGI takes for false; "true", True and the empty string are true.
_UWSGI_OFF = ("false", "off", "no", "0")

_log = logging.getLogger("inngest_wsgi")


def delivers(environ: Environ) -> bool:
    """Whether the server sends what an iterable yields as it is yielded, says
    when the client has gone, and lets a thread run on. What is not known to,
    does not."""
    if environ.get("wsgi.run_once"):
        # CGI: the process is killed with its client
        return False
    if "mod_wsgi.version" in environ:
        return True
    if "uwsgi.version" in environ:
        return _uwsgi_has_threads()
    return str(environ.get("SERVER_SOFTWARE", "")).startswith(_LIVE)


def _uwsgi_has_threads() -> bool:
    """Without them a thread stands still between two requests."""
    options = getattr(sys.modules.get("uwsgi"), "opt", {})
    given = {_text(name): _text(value).lower() for name, value in options.items()}
    # the number of threads, be it 0 or 1, turns them on
    return "threads" in given or given.get("enable-threads", "no") not in _UWSGI_OFF


def _text(value: t.Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Streams:
    """The streams of an endpoint, in one process.

    :param force: stream whatever the server
    :param keepalive_s: the time between two spaces, in seconds
    :param limit: how many functions may run in threads of ours at once
    :param carriers: for what lives in thread-locals
    """

    def __init__(
        self, force: bool, keepalive_s: float, limit: int, carriers: t.Sequence[Carrier] = ()
    ) -> None:
        self._force = force
        self._keepalive_s = keepalive_s
        self._slots = threading.BoundedSemaphore(limit)
        self._carriers = tuple(carriers)

    def open(
        self,
        environ: Environ,
        call: Call,
        work: t.Callable[[threading.Event, t.ContextManager[None]], bytes],
    ) -> t.Optional["Stream"]:
        """Begin to carry out a call in a thread.

        :param work: makes the answer; given what is set when the client has
            gone, and a context manager to do it in
        :returns: None where the call is to be answered in one piece: the
            server could not deliver a stream, or too many functions run
        :raises errors.StreamContextError: a carrier raised
        """
        if not (self._force or delivers(environ)):
            return None
        if not self._slots.acquire(blocking=False):
            _log.info("Run %s is not streamed: max_streams are open", call.run_id)
            return None
        try:
            return self._begin(environ, call, work)
        except BaseException as exc:
            self._slots.release()
            if not isinstance(exc, RuntimeError):
                raise
            # of Thread.start(): the system has no more threads
            _log.warning("Run %s is not streamed: %s", call.run_id, exc)
            return None

    def _begin(
        self,
        environ: Environ,
        call: Call,
        work: t.Callable[[threading.Event, t.ContextManager[None]], bytes],
    ) -> "Stream":
        carried = Carried(environ, self._carriers)
        # eventlet holds back what is shorter than this
        environ["eventlet.minimum_write_chunk_size"] = 0
        stream = Stream(call, self._keepalive_s, environ.get("waitress.client_disconnected"))
        # now: on some servers the next request has the same context
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run,
            args=(self._carry_out, stream, carried, work),
            name="inngest_wsgi run {}".format(call.run_id),
            daemon=True,
        )
        stream.is_running = thread.is_alive
        thread.start()
        return stream

    def _carry_out(
        self,
        stream: "Stream",
        carried: "Carried",
        work: t.Callable[[threading.Event, t.ContextManager[None]], bytes],
    ) -> None:
        answer = _FAILED
        try:
            answer = work(stream.disconnected, carried)
        except BaseException:
            _log.exception("Run %s: its stream failed", stream.run_id)
        finally:
            # first: who reads the answer may call again at once
            self._slots.release()
            stream.post(answer)


class Carried:
    """What the thread of the function has of the request's thread. To be made
    there, and entered here."""

    def __init__(self, environ: Environ, carriers: t.Sequence[Carrier]) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self._managers = [carrier(environ) for carrier in carriers]
        except Exception as exc:
            raise errors.StreamContextError(exc) from exc

    def __enter__(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                for manager in self._managers:
                    stack.enter_context(manager)
                self._stack = stack.pop_all()
        except Exception as exc:
            raise errors.StreamContextError(exc) from exc

    def __exit__(self, *exc_info: t.Any) -> None:
        try:
            self._stack.__exit__(*exc_info)
        except Exception:
            # what the call has come to is not lost for it
            _log.exception("stream_context failed as it was left")


class Stream:
    """One streamed answer, as the server iterates over it.

    :param has_gone: what the server gives to ask whether the client has gone
    """

    def __init__(
        self,
        call: Call,
        keepalive_s: float,
        has_gone: t.Optional[t.Callable[[], bool]] = None,
    ) -> None:
        self.run_id = call.run_id
        #: set when the client has gone
        self.disconnected = threading.Event()
        #: whether the function's thread lives
        self.is_running: t.Callable[[], bool] = bool
        self._fn_id = call.fn_id
        self._keepalive_s = keepalive_s
        self._has_gone = has_gone
        self._since = time.monotonic()
        self._answer: t.Optional[bytes] = None
        self._posted = threading.Event()
        self._begun = False
        self._sent = False
        self._closed = False

    def post(self, answer: bytes) -> None:
        """What the call has come to."""
        if not self._closed:
            self._answer = answer
        self._posted.set()

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        if self._sent:
            # only now is it certain that the server took the last chunk
            self._closed = True
        if self._closed:
            raise StopIteration
        if not self._begun:
            self._begun = True
            return KEEPALIVE
        if not self._posted.wait(self._keepalive_s) and self.is_running():
            if self._has_gone is not None and self._has_gone():
                self.close()
                raise StopIteration
            return KEEPALIVE
        self._sent = True
        answer, self._answer = self._answer, None
        return _FAILED if answer is None else answer

    def close(self) -> None:
        """The server is done with this; before the end, if the client has
        gone (PEP 3333)."""
        if self._closed:
            return
        self._closed = True
        self._answer = None
        self.disconnected.set()
        _log.warning(
            "Run %s of function %s lost its connection after %.1f s. What the call comes to "
            "is dropped; the Inngest server tries it again.",
            self.run_id,
            self._fn_id,
            time.monotonic() - self._since,
        )
