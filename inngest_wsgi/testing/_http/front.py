"""Serve a WSGI application on a socket, with threads that can be ended.

Werkzeug's development server does the serving; it does not offer a
way to end the threads of connections that are still open.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import threading
import time
import typing as t

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

logger = logging.getLogger("inngest_wsgi.testing")

_BACKLOG = 128


class Front:
    """Serves an application from the call of :meth:`start` on. Each of its
    responses must have a ``Content-Length``.

    :raise OSError: the address is taken.
    """

    def __init__(self, host: str, port: int, application: t.Any) -> None:
        connections: t.Dict[threading.Thread, socket.socket] = {}
        lock = threading.Lock()

        class Handler(WSGIRequestHandler):
            """Keeps its connection for the next request, and where stop()
            finds it, and its log quiet."""

            protocol_version = "HTTP/1.1"
            # an answer is sent in two parts, and the second waits for nothing
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                with lock:
                    for thread in [each for each in connections if not each.is_alive()]:
                        del connections[thread]
                    connections[threading.current_thread()] = self.connection

            def run_wsgi(self) -> None:
                # In place of Werkzeug's own, which closes each connection:
                # there an application may leave a part of the request unread.
                environ = self.make_environ()
                environ["wsgi.input"] = io.BytesIO(get_input_stream(environ).read())
                chunks, status, headers = run_wsgi_app(application, environ, buffered=True)
                code, _, reason = status.partition(" ")
                self.send_response(int(code), reason)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(b"".join(chunks))

            def log(self, type: str, message: str, *args: t.Any) -> None:
                # A request line holds an event key, so none is logged.
                if type == "error":
                    logger.debug("an error on a connection to the local server")

        self._connections = connections
        self._lock = lock
        # Bound here, because Werkzeug ends the process over a taken port.
        with _listening(host, port) as listener:
            self.port: int = listener.getsockname()[1]
            self._server: BaseWSGIServer = make_server(
                host,
                self.port,
                application,
                threaded=True,
                request_handler=Handler,
                fd=listener.fileno(),
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="inngest-local-front",
            daemon=True,
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Close the socket and all connections; ``grace`` seconds at most."""
        deadline = time.monotonic() + grace
        if self._thread.is_alive():
            # shutdown() waits for serve_forever() and hangs if it never ran.
            self._server.shutdown()
            self._thread.join(grace)
        self._server.server_close()
        with self._lock:
            left = dict(self._connections)
        for connection in left.values():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                # Closed already by its own thread.
                pass
        for thread in left:
            thread.join(max(deadline - time.monotonic(), 0.0))


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
