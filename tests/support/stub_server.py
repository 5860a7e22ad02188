"""HTTP servers on loopback ports, for applications that run in the test's process."""

import contextlib
import json
import threading

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response


@contextlib.contextmanager
def serving(application, ssl_context=None, port=0, plain=False):
    """Serve a WSGI application on a loopback port; yields its origin.

    :param plain: serve it with :class:`PlainHandler`
    """
    server = make_server(
        "127.0.0.1",
        port,
        application,
        threaded=True,
        ssl_context=ssl_context,
        request_handler=PlainHandler if plain else None,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class PlainHandler(WSGIRequestHandler):
    """Keep connections open, and send no header that the application did not set.

    Werkzeug's own handler closes each connection, and adds ``Server`` and
    ``Date``. The request's headers, in their order, are ``raw.headers`` of the
    environ.
    """

    protocol_version = "HTTP/1.1"

    def make_environ(self):
        environ = super().make_environ()
        environ["raw.headers"] = self.headers.items()
        return environ

    def run_wsgi(self):
        chunks, status, headers = run_wsgi_app(self.server.app, self.make_environ())
        body = b"".join(chunks)
        headers["Content-Length"] = str(len(body))
        self.send_response_only(int(status.partition(" ")[0]))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Scripted:
    """A WSGI application that gives scripted answers, the last one repeatedly,
    and keeps the requests.

    :param answers: (status, body) or (status, body, headers); a body that is
        not text is sent as JSON
    :ivar requests: the requests, with their bodies read
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, environ, start_response):
        request = Request(environ)
        request.get_data()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status, body, *headers = answer
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, status, dict(*headers))(environ, start_response)
