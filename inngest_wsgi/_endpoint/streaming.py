"""The WSGI iterable of a streamed answer (PROTOCOL section 7).

The function runs in a thread of its own. Meanwhile the server's thread
iterates over spaces, which keep the connection alive: one at once, then one
every few seconds. The last chunk is the answer, as one JSON object. The
iteration never raises: several servers would send what they have as a
complete response.
"""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import threading
import time
import typing as t

from .. import errors
from .._codec import encode
from .._logs import log as _log, printable
from .._messages import Call, Environ
from .threads import Threads

#: Makes the answer, given a copy of the environ and an event that is set when
#: the client has gone.
Work = t.Callable[[Environ, threading.Event], bytes]

KEEPALIVE = b" "

#: The answer if the function's thread ended without one.
_FAILED = encode.streamed(
    encode.error(errors.Error("The function's thread ended; see the application's log."))
)

#: How SERVER_SOFTWARE begins on servers that send each chunk as it is yielded.
_LIVE = ("gunicorn/", "Werkzeug/", "WSGIServer/", "Cheroot/", "gevent/")

#: Texts that uWSGI takes for false; "true", True and the empty text are true.
_UWSGI_OFF = ("false", "off", "no", "0")


def delivers(environ: Environ) -> bool:
    """Return True if the WSGI server is known to send each chunk as it is
    yielded, to say when the client has gone, and to let threads run on."""
    if environ.get("wsgi.run_once"):
        # CGI: the process is killed with its client
        return False
    if "mod_wsgi.version" in environ or "waitress.client_disconnected" in environ:
        return True
    if "uwsgi.version" in environ:
        return _uwsgi_has_threads(sys.modules.get("uwsgi"))
    return str(environ.get("SERVER_SOFTWARE", "")).startswith(_LIVE)


@functools.lru_cache(maxsize=1)
def _uwsgi_has_threads(uwsgi: t.Any) -> bool:
    """Return True if uWSGI runs threads between two requests."""
    options = getattr(uwsgi, "opt", {})
    given = {_text(name): _text(value).lower() for name, value in options.items()}
    # any number of threads, 0 included, turns them on
    return "threads" in given or given.get("enable-threads", "no") not in _UWSGI_OFF


def _text(value: t.Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Streams:
    """Opens the streams of an endpoint.

    :param force: stream on every WSGI server
    :param keepalive_s: the keep-alive interval in seconds
    :param limit: the most functions of streamed calls that may run at once in
        one process
    """

    def __init__(self, force: bool, keepalive_s: float, limit: int) -> None:
        self._force = force
        self._keepalive_s = keepalive_s
        self._limit = limit
        self._threads = Threads()
        self._counting = threading.Lock()
        #: the streams whose functions run. One is taken out by a single call of
        #: a method, whoever does it first
        self._running: t.Dict["Stream", None] = {}
        self._pid = os.getpid()
        self._has_declined = False

    def open(self, environ: Environ, call: Call, work: Work) -> t.Optional["Stream"]:
        """Start a call in a thread, and return its stream.

        :returns: None if the call is to be answered in one piece, since the
            server cannot deliver a stream or too many functions run
        """
        if not (self._force or delivers(environ)):
            self._decline(environ)
            return None
        stream = Stream(call, self._keepalive_s, environ.get("waitress.client_disconnected"))
        if not self._begin(stream):
            _log.warning(_TOO_MANY, call.run_id, self._limit)
            return None
        # eventlet holds back chunks that are shorter than this
        environ["eventlet.minimum_write_chunk_size"] = 0
        job = functools.partial(
            _carry_out,
            stream,
            self._running,
            # both copied now: some servers reuse them for the next request
            contextvars.copy_context(),
            work,
            dict(environ),
        )
        try:
            thread = self._threads.run(job, printable(f"inngest_wsgi run {call.run_id}"))
        except BaseException as exc:
            self._running.pop(stream, None)
            if isinstance(exc, RuntimeError):
                # the system has no more threads
                _log.warning("Run %s is answered in one piece: %s", call.run_id, exc)
                return None
            # the thread may run all the same
            stream.close()
            raise
        stream.is_running = thread.is_alive
        return stream

    def _begin(self, stream: "Stream") -> bool:
        """Count a stream; return False if there are too many."""
        with self._counting:
            if self._pid != os.getpid():
                # the functions of the process that has forked do not run here
                self._running, self._pid = {}, os.getpid()
            if len(self._running) >= self._limit:
                return False
            self._running[stream] = None
            return True

    def _decline(self, environ: Environ) -> None:
        if not self._has_declined:
            self._has_declined = True
            _log.info(
                "Calls are answered in one piece: nothing is known of how this WSGI server (%s) "
                'treats a stream. If it delivers one, set streaming="force".',
                environ.get("SERVER_SOFTWARE") or "it gives no name",
            )


_TOO_MANY = (
    "Run %s is answered in one piece, without keep-alives, since max_streams=%d functions of "
    "streamed calls are running. If their clients have gone, let the functions check "
    "ctx.disconnected; else raise max_streams."
)


def _carry_out(
    stream: "Stream",
    running: t.Dict["Stream", None],
    context: contextvars.Context,
    work: Work,
    environ: Environ,
) -> t.Callable[[], None]:
    """Carry out a call in this thread, and return what hands over its answer."""
    answer = _FAILED
    try:
        answer = context.run(work, environ, stream.disconnected)
    except BaseException:
        _log.exception("Run %s: its stream failed", stream.run_id)
    # before the answer: who reads that may call again at once
    running.pop(stream, None)
    return stream.keep(answer)


class Stream:
    """The WSGI iterable of one streamed answer.

    :param keepalive_s: the keep-alive interval in seconds
    :param has_gone: returns True when the client has gone, if the server has
        such a function
    """

    def __init__(
        self,
        call: Call,
        keepalive_s: float,
        has_gone: t.Optional[t.Callable[[], bool]] = None,
    ) -> None:
        self.run_id: str = call.run_id
        #: set when the client has gone
        self.disconnected: threading.Event = threading.Event()
        #: tells whether the function's thread is alive
        self.is_running: t.Callable[[], bool] = bool
        self._call = call
        self._keepalive_s = keepalive_s
        self._has_gone = has_gone
        self._since = time.monotonic()
        self._answer: t.Optional[bytes] = None
        # an Event costs several times as much
        self._unposted = threading.Lock()
        self._unposted.acquire()
        self._begun = False
        self._sent = False
        self._closed = False

    def keep(self, answer: bytes) -> t.Callable[[], None]:
        """Keep the answer, and return what hands it over. To be called once."""
        if not self._closed:
            self._answer = answer
        return self._unposted.release

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        if self._sent:
            # only now it is certain that the server took the last chunk
            self._closed = True
        if self._closed:
            raise StopIteration
        if not self._begun:
            self._begun = True
            return KEEPALIVE
        if not self._unposted.acquire(True, self._keepalive_s) and self.is_running():
            if not self._is_gone():
                return KEEPALIVE
            self.close()
            raise StopIteration
        self._sent = True
        answer, self._answer = self._answer, None
        return _FAILED if answer is None else answer

    def close(self) -> None:
        """End the iteration. A server calls this at the end, and earlier if
        the client has gone (PEP 3333)."""
        if self._closed:
            return
        self._closed = True
        self._answer = None
        self.disconnected.set()
        call = self._call
        _log.warning(
            "Run %s of function %s has lost its connection, as was noticed after %.1f s. The "
            "outcome of the call is dropped; %s.",
            self.run_id,
            call.fn_id,
            time.monotonic() - self._since,
            "it was the last attempt"
            if call.is_last_attempt
            else "the Inngest server tries it again",
        )

    def _is_gone(self) -> bool:
        try:
            return self._has_gone is not None and self._has_gone()
        except Exception:
            self._has_gone = None
            _log.exception(
                "Run %s: asking the server whether its client has gone raised", self.run_id
            )
            return False
