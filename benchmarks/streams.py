"""Measure streamed calls: what one costs, the memory of an open one, and how late its spaces are
when many are open.

The client is a process of its own on the same machine, so what it sees includes its own delays.
"""

import contextlib
import io
import selectors
import socket
import statistics
import threading
import time

import in_process
import processes
import runs
import turns
import waiting
from report import Table, digits, kibibytes, micros, millis

NAME = "streams"
TITLE = "Streamed calls"
OPEN = 200
KEEPALIVE_S = 1.0
SPACE = b"1\r\n \r\n"
#: How long the streams may take to open, in seconds.
PATIENCE_S = 60

#: The ways to answer a call: the setting, and the name of the server.
WAYS = {
    "in one piece, streaming=False": (False, "gunicorn/23.0.0"),
    "in one piece, a server that cannot stream": ("allow", "unknown"),
    "streamed": ("allow", "gunicorn/23.0.0"),
}


#: What no streamed call can do without.
HAND_OVER = "to wake a thread and be woken by it, nothing else"


def measure(quick, skips, others=()):
    """Return the seconds of a call in each way, and what is found of open streams."""
    count, keepalive_s, spaces = (5, 0.25, 3) if quick else (OPEN, KEEPALIVE_S, 8)
    results = {"call": measure_calls(*((3, 5) if quick else (301, 10)))}
    results["open"] = measure_open(count, keepalive_s, spaces)
    if results["open"]["streamed_bytes"] is None:
        skips.add(f"{NAME}, memory", "without /proc, which Linux has")
    return results


# -- one call -------------------------------------------------------------------


def measure_calls(rounds, times):
    body = in_process.call(10)
    applications = {name: make(streaming) for name, (streaming, _) in WAYS.items()}
    found = {name: [] for name in [*WAYS, HAND_OVER]}
    partner = Partner()
    for _ in range(rounds):
        for name, (_, software) in WAYS.items():
            found[name].append(make_calls(applications[name], body, software, times))
        found[HAND_OVER].append(partner.wake(times))
    base = next(iter(WAYS))
    return {
        "seconds": turns.medians(found),
        # how much longer, not how much faster
        "ratio": {name: 1 / each for name, each in turns.ratios(found, base).items()},
    }


class Partner:
    """A thread that does nothing but wake the one that has woken it."""

    def __init__(self):
        self._asked, self._answered = threading.Lock(), threading.Lock()
        self._asked.acquire()
        self._answered.acquire()
        threading.Thread(target=self._work, daemon=True).start()

    def wake(self, times):
        """Return the seconds that it takes to wake the thread and be woken by it."""
        begun = time.perf_counter()
        for _ in range(times):
            self._asked.release()
            self._answered.acquire()
        return (time.perf_counter() - begun) / times

    def _work(self):
        while self._asked.acquire():
            self._answered.release()


def make(streaming):
    import inngest_wsgi

    client = inngest_wsgi.Inngest(app_id="bench", is_production=True)
    trigger = inngest_wsgi.TriggerEvent(event="bench/call")

    @client.create_function(fn_id="f", trigger=trigger)
    def function(ctx):
        for number in range(10):
            ctx.step.run(f"step-{number}", int)
        return ctx.step.run("new", int)

    return inngest_wsgi.serve(client, [function], signing_key=in_process.KEY, streaming=streaming)


def make_calls(application, body, software, times):
    fixed = dict(in_process.environ_of(body), SERVER_SOFTWARE=software)
    begun = time.perf_counter()
    for _ in range(times):
        environ = dict(fixed)
        environ["wsgi.input"] = io.BytesIO(body)
        answer = b"".join(application(environ, lambda status, headers: None))
        assert b"displayName" in answer, answer
    return (time.perf_counter() - begun) / times


# -- open streams -----------------------------------------------------------------


def measure_open(count, keepalive_s, spaces):
    """Open so many streams, and watch them for so many spaces each."""
    threads = 2 * count + 10
    environ = {"BENCHMARK_KEEPALIVE_MS": str(int(keepalive_s * 1000))}
    environ.update(runs.OURS.environ)
    with processes.gunicorn("waiting:make()", threads, **environ) as address:
        with contextlib.ExitStack() as stack:
            # what the first call of each kind imports and creates is not counted
            stack.enter_context(Clients(address, "/streamed", 1)).watch(1)
            stack.enter_context(Clients(address, "/whole", 1))
            wait_for_calls(address, 2)
            before = runs.observe(address)["resident_bytes"]
            streams = stack.enter_context(Clients(address, "/streamed", count))
            gaps = streams.watch(spaces)
            streamed = runs.observe(address)["resident_bytes"]
            stack.enter_context(Clients(address, "/whole", count))
            wait_for_calls(address, 2 * count + 2)
            both = runs.observe(address)["resident_bytes"]
            runs.fetch(address, waiting.RELEASE)
    late = sorted(gap - keepalive_s for gap in gaps)
    known = None not in (before, streamed, both)
    return {
        "count": count,
        "keepalive_s": keepalive_s,
        "spaces": len(late),
        "streamed_bytes": (streamed - before) / count if known else None,
        "whole_bytes": (both - streamed) / count if known else None,
        "late_p50_s": statistics.median(late),
        "late_p99_s": late[int(len(late) * 0.99)],
        "late_max_s": late[-1],
    }


def wait_for_calls(address, calls):
    """Wait until so many calls have begun."""
    until = time.monotonic() + PATIENCE_S
    while runs.observe(address)["calls"] < calls:
        if time.monotonic() > until:
            raise RuntimeError(f"not all of {calls} calls have begun")
        time.sleep(0.05)


class Clients:
    """Connections that have each sent a call. Closed at the end of the ``with`` block."""

    def __init__(self, address, way, count):
        host, _, port = address.partition(":")
        body = in_process.call(0)
        head = (
            f"POST {way}/api/inngest?fnId=waiting-f&stepId=step HTTP/1.1\r\nHost: {address}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._sockets = []
        for _ in range(count):
            sock = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
            sock.sendall(head.encode() + body)
            sock.setblocking(False)
            self._sockets.append(sock)

    def watch(self, spaces):
        """Read until each has so many spaces, and return the times between two of them.

        Watching begins when all have the first one: to open many takes a while.
        """
        with selectors.DefaultSelector() as selector:
            heads = dict.fromkeys(self._sockets, b"")
            times = {sock: [] for sock in self._sockets}
            for sock in self._sockets:
                selector.register(sock, selectors.EVENT_READ)
            begun = None
            until = time.monotonic() + PATIENCE_S + spaces * KEEPALIVE_S
            while min(map(len, times.values())) < spaces + 1:
                if time.monotonic() > until:
                    raise RuntimeError("the spaces of the streams do not come")
                for key, _ in selector.select(1):
                    sock, now = key.fileobj, time.monotonic()
                    got = sock.recv(65536)
                    if not got:
                        raise RuntimeError(f"a stream has ended: {heads[sock]!r}")
                    heads[sock] = (heads[sock] + got)[-1000:]
                    if begun is None and all(SPACE in head for head in heads.values()):
                        begun = now
                    if begun is not None:
                        times[sock] += [now] * got.count(SPACE)
        return [
            later - sooner
            for moments in times.values()
            for sooner, later in zip(moments, moments[1:])
        ]

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for sock in self._sockets:
            sock.close()


def tables(results):
    seconds, ratios = results["call"]["seconds"], results["call"]["ratio"]
    lines = [[name, micros(each), digits(ratios[name])] for name, each in seconds.items()]
    title = "One signed call with 10 memos in process, by the way it is answered"
    found = [Table("stream-calls", title, ["a call", "µs", "of one piece"], lines)]
    row = results["open"]
    heads = [
        "open streams",
        "KiB a stream",
        "KiB a call in one piece",
        "space late, median, ms",
        "99 %, ms",
        "longest, ms",
    ]
    line = [
        str(row["count"]),
        kibibytes(row["streamed_bytes"]),
        kibibytes(row["whole_bytes"]),
        millis(row["late_p50_s"]),
        millis(row["late_p99_s"]),
        millis(row["late_max_s"]),
    ]
    title = f"Open streams under gunicorn gthread, one space each {row['keepalive_s']:g} s"
    return [*found, Table("stream-open", title, heads, [line])]
