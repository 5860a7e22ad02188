"""A raw WSGI application that the local server calls in its tests.

It does not use the SDK: a test decides what it registers, and how it answers
calls.
"""

import contextlib
import hashlib
import hmac
import http.client
import json
import pathlib
import threading
import time
import types
from urllib.parse import parse_qsl, urlsplit

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from inngest_wsgi.testing import LocalServer, VirtualClock

WIRE = pathlib.Path(__file__).resolve().parents[1] / "wire"
SDK = {"X-Inngest-Sdk": "raw:v0.0.0", "X-Inngest-Req-Version": "2"}


def recording(number):
    (path,) = WIRE.glob(f"{number}-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def calls_of(recorded):
    """Return the exchanges in which the server called a function."""
    return [
        exchange
        for exchange in recorded["exchanges"]
        if exchange["direction"] == "server->sdk" and "fnId" in exchange["request"]["query"]
    ]


def hashed(step):
    return hashlib.sha1(step.encode()).hexdigest()


def op(kind, step, **fields):
    return dict({"op": kind, "id": hashed(step), "displayName": step}, **fields)


def ops(*reported, **headers):
    return answer(206, list(reported), **headers)


def answer(status, value, **headers):
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return {
        "status": status,
        "headers": dict(SDK, **named),
        "body": json.dumps(value),
    }


def in_order(*answers):
    """Answer the n-th call with the n-th of these, and then with the last."""
    return lambda call: answers[min(call.number, len(answers) - 1)]


def function(url, name="fn", event="raw/go", retries=0, **settings):
    step = {
        "id": "step",
        "name": "step",
        "runtime": {"type": "http", "url": url + f"?fnId=raw-{name}&stepId=step"},
        "retries": {"attempts": retries},
    }
    trigger = {"event": event} if event else {"cron": "0 3 * * *"}
    return dict(
        {"id": "raw-" + name, "name": name, "triggers": [trigger], "steps": {"step": step}},
        **settings,
    )


class RawApp:
    """The application on a socket.

    :param reply: given a call, returns ``{"status", "headers", "body"}``.
    :param register: given the app's URL, returns the registration's functions.
    :param key: hex; signs the answers to calls, and the registration.
    """

    def __init__(self, reply, register=None, key=None):
        self.reply = reply
        self.register = register or (lambda url: [function(url)])
        self.key = key
        self.server_url = ""
        self.calls = []
        self.syncs = []
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/inngest"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __call__(self, environ, start_response):
        request = Request(environ)
        body = request.get_data()
        seen = types.SimpleNamespace(
            method=request.method,
            query=environ["QUERY_STRING"],
            header_list=environ["raw.headers"],
            headers=request.headers,
            raw=body,
            environ=environ,
        )
        if request.method == "PUT":
            self.syncs.append(seen)
            return self._sync(seen)(environ, start_response)
        if body:
            self._read(seen)
        with self._lock:
            seen.number = len(self.calls)
            self.calls.append(seen)
        reply = self.reply(seen)
        content = reply["body"]
        content = content.encode() if isinstance(content, str) else content
        headers = dict(reply["headers"])
        if self.key is not None:
            headers.setdefault("X-Inngest-Signature", signature(self.key, content))
        # As an iterable, for Werkzeug to leave a wrong Content-Length alone.
        return Response([content], reply["status"], headers)(environ, start_response)

    def _read(self, seen):
        seen.body = json.loads(seen.raw)
        seen.step_id = dict(parse_qsl(seen.query)).get("stepId")
        seen.ctx = seen.body["ctx"]
        seen.steps = seen.body["steps"]
        seen.attempt = seen.ctx["attempt"]

    def _sync(self, seen):
        payload = {"appName": "raw", "url": self.url, "functions": self.register(self.url)}
        headers = {}
        if self.key is not None:
            digest = hashlib.sha256(bytes.fromhex(self.key)).hexdigest()
            headers["Authorization"] = "Bearer signkey-test-" + digest
        got = post(self.server_url + "/fn/register", payload, headers)
        if got.status == 200:
            body = {"message": "ok", "modified": got.json["modified"]}
            sync_kind = {"X-Inngest-Sync-Kind": "out_of_band"}
            return Response(json.dumps(body), 200, dict(SDK, **sync_kind))
        message = got.json["error"] if got.json else got.text
        return Response(json.dumps({"message": message, "modified": False}), 500, SDK)


class _Handler(WSGIRequestHandler):
    def make_environ(self):
        environ = super().make_environ()
        environ["raw.headers"] = self.headers.items()
        environ["raw.socket"] = self.connection
        return environ

    def log(self, type, message, *args):
        pass


def signature(key, body, at=None):
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256)
    return f"t={stamp}&s={digest.hexdigest()}"


def ask(method, url, body=b"", headers=None):
    """Make an HTTP request; return the answer, already read."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        target = parts.path + ("?" + parts.query if parts.query else "")
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return types.SimpleNamespace(
        status=response.status, headers=response.headers, text=text, json=value
    )


def post(url, value, headers=None):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return ask("POST", url, body, headers)


@contextlib.contextmanager
def served(reply, register=None, key=None, **options):
    """Yield a synced raw app and the server that calls it, in virtual time."""
    options.setdefault("clock", VirtualClock())
    options.setdefault("retry_interval", 2)
    with RawApp(reply, register, key) as app:
        with LocalServer(signing_key=key, **options) as server:
            app.server_url = server.url
            server.sync(app.url)
            yield app, server


def run_of(server, name="raw/go", timeout=60):
    """Send the event and wait for its run to end."""
    (event_id,) = server.send({"name": name, "data": {}})
    return server.wait_for_run(event_id, timeout)
