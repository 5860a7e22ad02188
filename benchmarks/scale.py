"""Show how the time of a test grows with the number of runs on the local server.

    python benchmarks/scale.py                       # a table for each situation
    python benchmarks/scale.py runs backlog          # these only
    python benchmarks/scale.py --sizes 250,500,1000  # other numbers of runs
    python benchmarks/scale.py --profile runs        # where the time goes, for the largest

Each situation is carried out with 250, 500, 1,000, 2,000 and 4,000 runs. The
last column is the time of the largest divided by that of the smallest, and by
the ratio of the two numbers: 1 is linear. ``sockets`` is the same as ``runs``
with a :class:`LocalServer`, threads and HTTP; all others go on in process.
"""

import argparse
import cProfile
import json
import logging
import pstats
import socketserver
import sys
import threading
import time
import types
import wsgiref.simple_server

import werkzeug.test

import inngest_wsgi as inngest
from inngest_wsgi.testing import LocalServer, VirtualClock
from inngest_wsgi.testing._stepping import Stepper

SIZES = (250, 500, 1000, 2000, 4000)
URL = "http://app.test/api/inngest"
MOST_EVENTS = 500


class Forwarding:
    """The server's API, as the application's HTTP client sees it."""

    def __init__(self, api):
        self._client = werkzeug.test.Client(api)

    def request(self, method, url, body=b"", headers=None, **options):
        path = "/" + url.split("/", 3)[3]
        response = self._client.open(path, method=method, data=body)
        return types.SimpleNamespace(status=response.status_code, data=response.data, headers={})


class InProcess:
    """A server without threads that calls an application with these functions."""

    def __init__(self, client, functions):
        application = inngest.serve(client, functions, http=self, checkpointing=False)
        self.stepper = Stepper(
            application, {"appName": client.app_id, "url": URL, "functions": []}
        )
        self._api = Forwarding(self.stepper.api)
        answer = werkzeug.test.Client(application).put("/api/inngest", base_url="http://app.test")
        assert answer.status_code == 200, answer.data

    def request(self, *arguments, **options):
        return self._api.request(*arguments, **options)

    def send(self, events):
        for start in range(0, len(events), MOST_EVENTS):
            text = json.dumps(events[start : start + MOST_EVENTS])
            _, error = self.stepper._store.accept_events(text, None)
            assert error is None, error

    def work(self):
        """Do what is due now, and all that follows from it."""
        while self.stepper.run_next():
            pass

    def finish(self):
        """Do all there is, and let time pass."""
        self.work()
        while self.stepper.pass_time():
            self.work()

    def check(self, status, count):
        found = [run.status for run in self.stepper._store.runs.by_id.values()]
        assert found.count(status) == count, (status, count, {s: found.count(s) for s in found})


def client_and_function(body, **options):
    client = inngest.Inngest(app_id="bench", is_production=False)
    options.setdefault("trigger", inngest.TriggerEvent(event="bench/go"))
    return client, client.create_function(fn_id="f", **options)(body)


def five_steps(ctx):
    for n in range(5):
        ctx.step.run(f"step-{n}", int)


def one_step(ctx):
    ctx.step.run("step", int)


def go(count, name="bench/go"):
    return [{"name": name, "data": {"id": n}} for n in range(count)]


def simple(body, events=go, runs=lambda count: count, **options):
    """Return a situation: all runs of a function, from the event to the end."""

    def situation(count):
        client, function = client_and_function(body, **options)
        server = InProcess(client, [function])

        def play():
            server.send(events(count))
            server.finish()
            server.check("Completed", runs(count))

        return play

    return situation


def sockets(count):
    client, function = client_and_function(five_steps)

    class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
        daemon_threads = True
        request_queue_size = 128

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *arguments):
            pass

    def play():
        with LocalServer(clock=VirtualClock(), retry_interval=0) as server:
            application = inngest.serve(
                client, [function], base_url=server.url, checkpointing=False
            )
            web = wsgiref.simple_server.make_server("127.0.0.1", 0, application, Server, Quiet)
            threading.Thread(target=web.serve_forever, daemon=True).start()
            server.sync(f"http://127.0.0.1:{web.server_port}/api/inngest")
            events = go(count)
            last = None
            for start in range(0, count, MOST_EVENTS):
                last = server.send(events[start : start + MOST_EVENTS])[-1]
            server.wait_for_run(last, timeout=600)
            for run in server.runs():
                server.wait_for_run(run.run_id, timeout=600)
            web.shutdown()
            web.server_close()

    return play


def waiting(expression, body_expression=None):
    def body(ctx):
        ctx.step.wait_for_event(
            "wait", event="bench/paid", timeout="1d", if_exp=body_expression or expression
        )

    def situation(count):
        client, function = client_and_function(body)
        server = InProcess(client, [function])

        def play():
            server.send(go(count))
            server.work()
            server.send(go(count, "bench/paid"))
            server.finish()
            server.check("Completed", count)

        return play

    return situation


def sleeping(ctx):
    ctx.step.sleep("sleep", "1d")


def cancelled(count):
    client, function = client_and_function(
        sleeping,
        cancel=[inngest.Cancel(event="bench/stop", if_exp="event.data.id == async.data.id")],
    )
    server = InProcess(client, [function])

    def play():
        server.send(go(count))
        server.work()
        server.send(go(count, "bench/stop"))
        server.finish()
        server.check("Cancelled", count)

    return play


def cancelled_at_once(count):
    client, function = client_and_function(sleeping, cancel=[inngest.Cancel(event="bench/stop")])
    server = InProcess(client, [function])

    def play():
        server.send(go(count))
        server.work()
        server.send(go(1, "bench/stop"))
        server.finish()
        server.check("Cancelled", count)

    return play


def invoking(count):
    client = inngest.Inngest(app_id="bench", is_production=False)
    child = client.create_function(fn_id="child", trigger=inngest.TriggerEvent(event="bench/no"))(
        one_step
    )
    parent = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="bench/go"))(
        lambda ctx: ctx.step.invoke("invoke", function=child)
    )
    server = InProcess(client, [parent, child])

    def play():
        server.send(go(count))
        server.finish()
        server.check("Completed", 2 * count)

    return play


def branches(count):
    """Groups of 250 branches each, in as many runs as give this number of branches."""
    width = 250

    def body(ctx):
        ctx.group.parallel(tuple(lambda n=n: ctx.step.run(f"step-{n}", int) for n in range(width)))

    client, function = client_and_function(body)
    server = InProcess(client, [function])

    def play():
        server.send(go(count // width))
        server.finish()
        server.check("Completed", count // width)

    return play


def many_functions(count):
    client = inngest.Inngest(app_id="bench", is_production=False)
    functions = [
        client.create_function(fn_id=f"f{n}", trigger=inngest.TriggerEvent(event=f"bench/go.{n}"))(
            one_step
        )
        for n in range(500)
    ]
    server = InProcess(client, functions)

    def play():
        server.send([{"name": f"bench/go.{n % 500}", "data": {}} for n in range(count)])
        server.finish()
        server.check("Completed", count)

    return play


KEY = "event.data.id"

SITUATIONS = {
    "runs": simple(five_steps),
    "sockets": sockets,
    "backlog": simple(one_step, concurrency=[inngest.Concurrency(limit=1)]),
    "backlog with keys": simple(
        one_step,
        concurrency=[
            inngest.Concurrency(limit=1, key="event.data.id"),
            inngest.Concurrency(limit=2),
        ],
    ),
    "waits": waiting("event.data.id == async.data.id"),
    "waits, two conditions": waiting("async.data.id >= 0 && async.data.id == event.data.id"),
    "sleeps": simple(sleeping),
    "invokes": invoking,
    "cancelled by event": cancelled,
    "cancelled by one": cancelled_at_once,
    "throttle": simple(one_step, throttle=inngest.Throttle(limit=10, period="60s", key=KEY)),
    "throttle, one key": simple(one_step, throttle=inngest.Throttle(limit=10, period="60s")),
    "debounce": simple(one_step, debounce=inngest.Debounce(period="60s", key=KEY)),
    "debounce, one key": simple(
        one_step, runs=lambda count: 1, debounce=inngest.Debounce(period="60s")
    ),
    "rate limit": simple(one_step, rate_limit=inngest.RateLimit(limit=1, period="60s", key=KEY)),
    "rate limit, one key": simple(
        one_step, rate_limit=inngest.RateLimit(limit=5000, period="60s")
    ),
    "batches": simple(one_step, batch_events=inngest.Batch(max_size=10, timeout="60s", key=KEY)),
    "batches, one key": simple(
        one_step,
        runs=lambda count: count // 10,
        batch_events=inngest.Batch(max_size=10, timeout="60s"),
    ),
    "singleton": simple(one_step, singleton=inngest.Singleton(mode="skip", key=KEY)),
    "branches": branches,
    "500 functions": many_functions,
    "no function": simple(
        one_step, events=lambda count: go(count, "bench/other"), runs=lambda count: 0
    ),
}


def seconds_of(situation, count):
    play = situation(count)
    started = time.process_time()
    play()
    return time.process_time() - started


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("situations", nargs="*", help=", ".join(SITUATIONS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    logging.getLogger("inngest_wsgi").setLevel(logging.ERROR)
    chosen = options.situations or list(SITUATIONS)
    seconds_of(SITUATIONS["runs"], 10)
    if options.profile:
        for name in chosen:
            profile = cProfile.Profile()
            profile.runcall(seconds_of, SITUATIONS[name], sizes[-1])
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    print(
        f"{'seconds for so many runs':<24}" + "".join(f"{size:>9}" for size in sizes) + "   growth"
    )
    for name in chosen:
        times = [seconds_of(SITUATIONS[name], size) for size in sizes]
        growth = times[-1] / times[0] / (sizes[-1] / sizes[0])
        print(
            f"{name:<24}" + "".join(f"{each:>9.2f}" for each in times) + f"{growth:>9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
