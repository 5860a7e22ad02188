"""Real servers for tests."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

HERE = pathlib.Path(__file__).resolve().parent


@contextlib.contextmanager
def serving(application, ssl_context=None, port=0):
    """Serve an application on a loopback port; gives its origin."""
    server = make_server("127.0.0.1", port, application, threaded=True, ssl_context=ssl_context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield "http://127.0.0.1:{}".format(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def keeping_alive(answer):
    """A server that keeps connections open and gives one answer, as JSON, to
    every POST; gives its origin and the list of the ports it was asked from."""
    ports = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            ports.append(self.client_address[1])
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield "http://127.0.0.1:{}".format(server.server_port), ports
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


@contextlib.contextmanager
def process(command, listening, **environ):
    """Run a server as a process of its own; gives its origin.

    :param listening: what its log says when it listens, the origin as group 1
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
    env.update(environ)
    env["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1] / "examples")])
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(
            [sys.executable, "-m"] + command, cwd=str(HERE), env=env, stdout=log, stderr=log
        )
        try:
            yield _wait_for(listening, child, log)
        finally:
            child.terminate()
            child.wait(20)


def _wait_for(listening, child, log):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        # the child writes at the offset that we share with it
        text = os.pread(log.fileno(), 100000, 0).decode()
        found = re.search(listening, text)
        if found:
            return found.group(1)
        if child.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError("the server does not listen:\n" + text)
