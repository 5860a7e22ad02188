"""Show how the time of a test grows with the number of runs on the local server.

    python benchmarks/scale.py                       # a table of all situations
    python benchmarks/scale.py runs backlog          # these only
    python benchmarks/scale.py --sizes 250,500,1000  # other numbers of runs
    python benchmarks/scale.py --profile runs        # the costs of the largest

Each situation of ``tests/support/scaled.py`` is carried out with 250, 500,
1,000, 2,000 and 4,000 runs; the numbers are seconds of processor time. The
last column is the time of the largest divided by that of the smallest, and by
the ratio of the two numbers: 1 is linear. ``sockets`` is the same as ``runs``
with a :class:`LocalServer`, threads and HTTP; all others go on in process.
"""

import argparse
import cProfile
import logging
import pathlib
import pstats
import socketserver
import sys
import threading
import time
import wsgiref.simple_server

import inngest_wsgi as inngest
from inngest_wsgi.testing import LocalServer, VirtualClock

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "support"))

import scaled  # noqa: E402

SIZES = (250, 500, 1000, 2000, 4000)


def sockets(count):
    client, function = scaled.client_and_function(scaled.five_steps)

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
            events = scaled.go(count)
            last = None
            for start in range(0, count, scaled.MOST_EVENTS):
                last = server.send(events[start : start + scaled.MOST_EVENTS])[-1]
            server.wait_for_run(last, timeout=600)
            for run in server.runs():
                server.wait_for_run(run.run_id, timeout=600)
            web.shutdown()
            web.server_close()

    return play


SITUATIONS = {
    **scaled.SITUATIONS,
    "wide branches": scaled.branches(250),
    "sockets": sockets,
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
