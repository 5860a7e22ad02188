"""Make runs on the local server over HTTP, of an application in another process."""

import contextlib
import http.client
import json
import logging
import time

import contestants
import processes
import stepped

from inngest_wsgi.testing import LocalServer

#: Threads of gunicorn: more than calls that the local server makes at once.
THREADS = 16
#: How long a run may take, in seconds.
PATIENCE_S = 300


class App:
    """An application that is registered with a local server.

    :param address: of gunicorn, ``127.0.0.1:<port>``
    """

    def __init__(self, server, address):
        self._server = server
        self._address = address
        server.sync(f"http://{address}/api/inngest")

    def run(self, shape, setting, steps):
        """Make one run, and return what it took.

        :param shape: ``row`` or ``group``
        :param setting: of checkpointing, one of :data:`stepped.SETTINGS`
        :returns: ``wall_s``; ``calls`` of the function and the requests ``sent`` by it; ``cpu_s``
            of its process, and the ``peak_bytes`` that were resident, None if that is unknown
        """
        before = observe(self._address)
        begun = time.perf_counter()
        (event,) = self._server.send(
            {"name": f"bench/{shape}-{setting}", "data": {"steps": steps}}
        )
        run = self._server.wait_for_run(event, timeout=PATIENCE_S)
        wall_s = time.perf_counter() - begun
        assert (run.status, run.output) == ("Completed", "done"), (run.status, run.error)
        after = observe(self._address)
        found = {name: after[name] - before[name] for name in ("calls", "sent", "cpu_s")}
        found["wall_s"] = wall_s
        found["peak_bytes"] = after["peak_bytes"]
        return found

    def idle_bytes(self):
        """Return the resident bytes of the application's process; None if unknown."""
        return observe(self._address)["resident_bytes"]


def observe(address):
    """Return what :class:`stepped.Observed` has counted."""
    return json.loads(fetch(address, stepped.OBSERVED))


def fetch(address, path):
    """GET a path, and return the body."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


@contextlib.contextmanager
def app(contestant, queue_delay=0.0):
    """Run a local server and an application; yields an :class:`App`.

    :param queue_delay: of the local server, in seconds
    """
    # a failure shows in the run
    logging.getLogger("inngest_wsgi.testing").setLevel(logging.CRITICAL)
    with LocalServer(queue_delay=queue_delay) as server:
        environ = dict(contestant.environ, BENCHMARK_KIND=contestant.kind, INNGEST_DEV=server.url)
        with processes.gunicorn("stepped:make()", THREADS, **environ) as address:
            yield App(server, address)


OURS, OFFICIAL = contestants.OURS, contestants.OFFICIAL
