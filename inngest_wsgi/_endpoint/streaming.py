"""The WSGI iterable of a streamed answer (PROTOCOL section 7).

The function runs in a thread of its own, while the server's thread iterates
over what keeps the connection alive: a space at once, a space now and then,
and at last the answer, as one JSON object. Nothing is ever raised into the
iteration: to several servers that looks like the end of a whole answer.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import sys
import threading
import time
import typing as t

from .. import errors
from .._codec import encode
from .._messages import Call

Environ = t.Dict[str, t.Any]
#: Makes the answer; given the environ, which is its own, and what is set when
#: the client has gone.
Work = t.Callable[[Environ, threading.Event], bytes]

KEEPALIVE = b" "

#: The answer where nothing is left that could make a better one.
_FAILED = encode.streamed(
    encode.error(errors.Error("The function's thread ended; see the application's log."))
)

#: How servers that send each chunk as it is yielded begin SERVER_SOFTWARE.
_LIVE = ("gunicorn/", "Werkzeug/", "WSGIServer/", "Cheroot/", "gevent/")

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
    if "mod_wsgi.version" in environ or "waitress.client_disconnected" in environ:
        return True
    if "uwsgi.version" in environ:
        return _uwsgi_has_threads(sys.modules.get("uwsgi"))
    return str(environ.get("SERVER_SOFTWARE", "")).startswith(_LIVE)


@functools.lru_cache(maxsize=1)
def _uwsgi_has_threads(uwsgi: t.Any) -> bool:
    """Without them a thread stands still between two requests."""
    options = getattr(uwsgi, "opt", {})
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
    """

    def __init__(self, force: bool, keepalive_s: float, limit: int) -> None:
        self._force = force
        self._keepalive_s = keepalive_s
        self._limit = limit
        self._slots = threading.BoundedSemaphore(limit)
        self._has_declined = False

    def open(self, environ: Environ, call: Call, work: Work) -> t.Optional["Stream"]:
        """Begin to carry out a call in a thread.

        :returns: None where the call is to be answered in one piece: the
            server could not deliver a stream, or too many functions run
        """
        if not (self._force or delivers(environ)):
            self._decline(environ)
            return None
        if not self._slots.acquire(blocking=False):
            _log.warning(_TOO_MANY, call.run_id, self._limit)
            return None
        slot = _Slot(self._slots)
        # eventlet holds back what is shorter than this
        environ["eventlet.minimum_write_chunk_size"] = 0
        stream = Stream(call, self._keepalive_s, environ.get("waitress.client_disconnected"))
        thread = threading.Thread(
            # now: on some servers the next request has the same context
            target=contextvars.copy_context().run,
            # and the next request has the same environ
            args=(_carry_out, stream, slot, functools.partial(work, dict(environ))),
            name="inngest_wsgi run {}".format(call.run_id),
            daemon=True,
        )
        stream.is_running = thread.is_alive
        try:
            thread.start()
        except BaseException as exc:
            slot.release()
            if isinstance(exc, RuntimeError):
                # the system has no more threads
                _log.warning("Run %s is answered in one piece: %s", call.run_id, exc)
                return None
            # the thread may run all the same
            stream.close()
            raise
        return stream

    def _decline(self, environ: Environ) -> None:
        if not self._has_declined:
            self._has_declined = True
            _log.info(
                "Calls are answered in one piece: nothing is known of how this WSGI server (%s) "
                'treats a stream. If it delivers one, set streaming="force".',
                environ.get("SERVER_SOFTWARE") or "it gives no name",
            )


_TOO_MANY = (
    "Run %s is answered in one piece, which something on the way may cut: the functions of "
    "max_streams=%d streamed calls are running. If their clients have gone, let them look at "
    "ctx.disconnected; else raise max_streams."
)


class _Slot:
    """One of the threads that may run; given back once, by whoever is first."""

    def __init__(self, slots: threading.BoundedSemaphore) -> None:
        self._slots = slots
        self._returned = threading.Lock()

    def release(self) -> None:
        if self._returned.acquire(blocking=False):
            self._slots.release()


def _carry_out(stream: "Stream", slot: _Slot, work: t.Callable[[threading.Event], bytes]) -> None:
    answer = _FAILED
    try:
        answer = work(stream.disconnected)
    except BaseException:
        _log.exception("Run %s: its stream failed", stream.run_id)
    finally:
        # first: who reads the answer may call again at once
        slot.release()
        stream.post(answer)


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
        self.is_running: t.Callable[[], bool] = lambda: False
        self._call = call
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
            if not self._is_gone():
                return KEEPALIVE
            self.close()
            raise StopIteration
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
        call = self._call
        with contextlib.suppress(Exception):
            # a filter or handler of the user's: nothing is raised in a stream
            _log.warning(
                "Run %s of function %s has lost its connection, as was noticed after %.1f s. What "
                "the call comes to is dropped; %s.",
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
                "Run %s: the server cannot say whether its client has gone", self.run_id
            )
            return False
