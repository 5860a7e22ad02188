"""A rotation of the signing key under load.

The application runs under a real server and is restarted in steps; the local
server has first the old key, then the new one.
"""

import collections
import contextlib
import http.client
import os
import signal
import threading
import time
import typing as t
import urllib.parse

import pytest
from apps import KEY as OLD, OTHER_KEY as NEW, sign
from server_process import process
from stub_server import serving
from werkzeug.wrappers import Request, Response

from inngest_wsgi.testing import LocalServer

EVENT_KEY = "any"
LISTENING = r"Listening at: (http://\S+)"
CONFIG = """
bind = "127.0.0.1:0"
workers = {workers}
worker_class = {worker_class!r}
threads = {threads}
raw_env = {keys!r}
pidfile = {state!r} + ".pid"

def _note(what):
    with open({state!r} + what, "a") as file:
        file.write(".")

def post_worker_init(worker):
    _note(".begun")

def child_exit(server, worker):
    _note(".ended")
"""
#: What a run's history has no entry of where nothing has failed.
FAILURES = {"step error", "step failed", "function error", "retry scheduled"}
Passed = collections.namedtuple("Passed", "request body status headers answer")


def wait_until(condition, what):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.005)


class Relay:
    """Forwards requests to ``target``, and keeps them with their answers."""

    def __init__(self, target=None):
        self.target = target
        self.passed = []
        self._under_way = collections.Counter()
        self._lock = threading.Lock()

    def under_way(self, target):
        with self._lock:
            return self._under_way[target]

    def __call__(self, environ, start_response):
        request = Request(environ)
        body = request.get_data()
        with self._lock:
            target = self.target
            self._under_way[target] += 1
        try:
            status, headers, answer = self._pass_on(target, request, body)
        finally:
            with self._lock:
                self._under_way[target] -= 1
        self.passed.append(Passed(request, body, status, dict(headers), answer))
        return Response(answer, status, headers)(environ, start_response)

    @staticmethod
    def _pass_on(target, request, body):
        address = urllib.parse.urlsplit(target)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        with contextlib.closing(connection):
            path = request.environ["REQUEST_URI"]
            headers = dict(request.headers.items(), Connection="close")
            connection.request(request.method, path, body, headers)
            answer = connection.getresponse()
            hop = ("connection", "date", "server", "transfer-encoding")
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in hop]
            return answer.status, kept, answer.read()


class App:
    """The application under gunicorn, with the keys of its last start."""

    def __init__(self, relay, workers, threads, directory, **environ):
        self._relay = relay
        self._workers = workers
        self._threads = threads
        self._directory = directory
        self._environ = dict(environ, HOME=str(directory), INNGEST_EVENT_KEY=EVENT_KEY)
        self._stack = contextlib.ExitStack()
        self._started = 0

    def close(self):
        self._stack.close()

    def start(self, *keys):
        """Start a new process, which replaces the one before."""
        self._started += 1
        self._state = str(self._directory / f"app{self._started}")
        self._configure(keys)
        command = ["gunicorn", "--config=" + self._state + ".py", "rotating:endpoint"]
        origin = self._stack.enter_context(process(command, LISTENING, **self._environ))
        wait_until(lambda: self._count(".begun") == self._workers, "no workers")
        self._relay.target = origin

    def reload(self, keys, release):
        """Replace the workers of the process, as an operator would.

        :param release: lets a call end that is in progress in an old worker
        """
        begun, ended = self._count(".begun"), self._count(".ended")
        self._configure(keys)
        self._signal(signal.SIGHUP)
        wait_until(lambda: self._count(".begun") == begun + self._workers, "no new workers")
        self._others_end(ended)
        release()
        wait_until(lambda: self._count(".ended") == ended + self._workers, "an old worker stays")

    def replace(self, keys, release):
        """Start a second process beside the old one, which then ends."""
        state, origin = self._state, self._relay.target
        self.start(*keys)
        new, self._state = self._state, state
        wait_until(lambda: self._relay.under_way(origin) == 1, "calls go to the old process")
        self._signal(signal.SIGTERM)
        self._others_end(0)
        release()
        wait_until(lambda: not os.path.exists(state + ".pid"), "the old process stays")
        self._state = new

    def _others_end(self, ended):
        """Wait until all workers have ended except the one with a call in progress."""
        wait_until(lambda: self._count(".ended") >= ended + self._workers - 1, "old workers stay")
        assert self._count(".ended") == ended + self._workers - 1, "a call was broken off"

    def _configure(self, keys):
        names = ("INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK")
        text = CONFIG.format(
            workers=self._workers,
            worker_class="sync" if self._threads == 1 else "gthread",
            threads=self._threads,
            keys=[f"{name}={key}" for name, key in zip(names, keys)],
            state=self._state,
        )
        with open(self._state + ".py", "w") as file:
            file.write(text)

    def _signal(self, number):
        with open(self._state + ".pid") as file:
            os.kill(int(file.read()), number)

    def _count(self, what):
        try:
            return os.path.getsize(self._state + what)
        except FileNotFoundError:
            return 0


class Load:
    """Syncs and runs functions without a pause, in several threads, until the
    context is left."""

    THREADS = 3

    def __init__(self, server, address, directory):
        self._server = server
        self._address = address
        self._directory = directory
        self._changed = threading.Condition()
        self._n = 0
        self._done = collections.Counter()
        self._failed = []
        self._over = False
        self._threads = [
            threading.Thread(target=self._repeat, args=(number,)) for number in range(self.THREADS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info):
        self._over = True
        for thread in self._threads:
            thread.join()

    def go_on(self):
        """Wait until every thread has begun and completed another piece of work."""
        with self._changed:
            wanted = {number: self._done[number] + 2 for number in range(len(self._threads))}
            for number, count in wanted.items():
                went_on = self._changed.wait_for(
                    lambda: self._done[number] >= count or self._failed, 20
                )
                assert went_on, "the load stands still"
        self.check()

    def check(self):
        assert not self._failed, self._failed

    @contextlib.contextmanager
    def long_call(self):
        """Keep a call in progress until the yielded function is called."""
        n = self._next()
        begun, end = (str(self._directory / f"{n}.{what}") for what in ("begun", "end"))
        data = {"n": n, "begun": begun, "end": end}
        (event_id,) = self._server.send({"name": "rotating/long", "data": data})
        wait_until(lambda: os.path.exists(begun), "the long call does not begin")
        yield lambda: open(end, "x").close()
        self._check(self._server.wait_for_run(event_id, timeout=60))

    @property
    def effects(self):
        """Return the side effects that must have happened, each once."""
        return self._n

    def _next(self):
        with self._changed:
            self._n += 1
            return self._n

    def _repeat(self, number):
        while not self._over and not self._failed:
            try:
                self._once()
            except Exception as error:
                self._failed.append(repr(error))
            with self._changed:
                self._done[number] += 1
                self._changed.notify_all()

    def _once(self):
        n = self._next()
        self._server.sync(self._address)
        (waits,) = self._server.send({"name": "rotating/waits", "data": {"n": n}})
        self._server.wait_for(waits, "waiting", timeout=60)
        (work,) = self._server.send({"name": "rotating/work", "data": {"n": n}})
        run = self._server.wait_for_run(work, timeout=60)
        self._check(run)
        waited = self._server.wait_for_run(waits, timeout=60)
        self._check(waited)
        assert (run.output[1], waited.output) == (waited.run_id, n)
        self._check(self._server.wait_for_run(run.output[0], timeout=60))

    @staticmethod
    def _check(run):
        told = [(entry.kind, entry.step, entry.detail) for entry in run.history]
        assert run.status == "Completed", told
        assert not FAILURES & {kind for kind, _, _ in told}, told


def key_of(header, body):
    """Return the key that made a signature."""
    stamp = (header or "").partition("t=")[2].partition("&")[0]
    (key,) = [key for key in (OLD, NEW) if sign(body, key, int(stamp)) == header]
    return key


def kinds(passed):
    """Return the last part of each path, with the status."""
    return {(p.request.path.rpartition("/")[2], p.status) for p in passed}


@pytest.mark.parametrize(
    "restart, workers, threads, both",
    [
        # the order that Inngest's documentation gives; the threaded workers of
        # an older gunicorn lose connections at a reload
        ("reload", 3, 1, [NEW, OLD]),
        ("replace", 2, 4, [OLD, NEW]),
    ],
)
def test_a_rotation_under_load_loses_no_call(restart, workers, threads, both, tmp_path):
    effects = tmp_path / "effects"
    effects.touch()
    calls, api = Relay(), Relay()
    with contextlib.ExitStack() as stack:
        options: t.Dict[str, t.Any] = {
            "signing_key": OLD,
            "body_limit": 2000,
            "retry_interval": 0.1,
        }
        server = stack.enter_context(LocalServer(**options))
        api.target = server.url
        address = stack.enter_context(serving(calls)) + "/api/inngest"
        environ = {"EFFECTS": str(effects)}
        environ["INNGEST_BASE_URL"] = stack.enter_context(serving(api))
        app = App(calls, workers, threads, tmp_path, **environ)
        stack.callback(app.close)
        app.start(OLD)
        server.sync(address)
        marks = []
        with Load(server, address, tmp_path) as load:
            load.go_on()
            marks.append(len(api.passed))
            with load.long_call() as release:
                getattr(app, restart)(both, release)
            load.go_on()
            marks.append(len(api.passed))
            with load.long_call() as release:
                server.signing_key = NEW
                load.go_on()
                release()
            marks.append(len(api.passed))
            with load.long_call() as release:
                getattr(app, restart)([NEW], release)
            marks.append(len(api.passed))
            load.go_on()
        load.check()

    # every call was answered, with the key that it came with
    assert {p.status for p in calls.passed} == {200, 206}
    answered = collections.Counter()
    for p in calls.passed:
        key = key_of(p.request.headers["X-Inngest-Signature"], p.body)
        assert key_of(p.headers["X-Inngest-Signature"], p.answer) == key
        answered[key] += 1
    assert set(answered) == {OLD, NEW}

    # every kind of request was refused with one key, and repeated with the other
    marks.append(len(api.passed))
    before, overlap, switched, restarted, after = (
        kinds(api.passed[begin:end]) for begin, end in zip([0] + marks, marks)
    )
    asked = {"register", "batch", "actions", "signals", "async"}
    accepted = {(kind, 200) for kind in asked | {EVENT_KEY}}
    refused = {(kind, 401) for kind in asked}
    assert before == after == accepted
    if both[0] == NEW:
        assert overlap == accepted | refused
        assert accepted <= switched <= accepted | refused
        assert restarted <= accepted
    else:
        assert overlap == accepted
        assert switched == accepted | refused
        assert restarted <= accepted | refused

    # every step has run once
    lines = collections.Counter(effects.read_text().splitlines())
    assert set(lines.values()) == {1}
    named = collections.Counter(line.split(" ", 1)[1] for line in lines)
    assert named["long"] == named["after it"] == 3
    once = {named[name] for name in ("first", "last", "told", "before", "after")}
    assert once == {load.effects - 3}
