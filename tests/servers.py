"""Real servers for tests."""

import contextlib
import json
import threading

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response


@contextlib.contextmanager
def serving(application):
    """Serve an application on a loopback port; gives its origin."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield "http://127.0.0.1:{}".format(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Scripted:
    """A server that gives the answers it was told, the last one again and
    again, and keeps the requests. An answer is (status, body), with headers
    behind them if there are any."""

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
