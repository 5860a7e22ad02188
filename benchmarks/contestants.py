"""Name the endpoints that are compared, and make each of them.

A process holds one endpoint only, because what another one has imported would
count for it: modules, memory, the work of the garbage collector.
"""

import importlib.util
import os
import sys
import typing

#: The environment variable that keeps orjson from being imported.
WITHOUT_ORJSON = "BENCHMARK_WITHOUT_ORJSON"


class Contestant(typing.NamedTuple):
    """An endpoint that is measured.

    :ivar name: the name in tables and JSON
    :ivar kind: a key of :data:`MAKERS`
    :ivar needs: modules without which it cannot be measured
    :ivar environ: additional environment variables of its process
    """

    name: str
    kind: str
    needs: typing.Tuple[str, ...] = ()
    environ: typing.Mapping[str, str] = {}

    @property
    def missing(self):
        """The reason why it cannot be measured here; None if it can."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"without {' and '.join(absent)}" if absent else None


EMPTY = Contestant("empty", "empty")
FLOOR = Contestant("floor", "floor")
OURS = Contestant("ours", "ours", environ={WITHOUT_ORJSON: "1"})
ORJSON = Contestant("ours+orjson", "ours", needs=("orjson",))
STREAMED = Contestant(
    "ours, streamed", "ours", environ={WITHOUT_ORJSON: "1", "INNGEST_STREAMING": "allow"}
)
OFFICIAL = Contestant("official", "official", needs=("inngest", "flask"))


def other_tree(name, path):
    """Return the package of another source tree as a contestant, without orjson."""
    environ = {WITHOUT_ORJSON: "1", "PYTHONPATH": os.path.abspath(path)}
    return Contestant(name, "ours", environ=environ)


def prepare():
    """Keep orjson out of this process if it is to do without. Call this first."""
    if os.environ.get(WITHOUT_ORJSON):
        # makes ``import orjson`` an ImportError
        sys.modules["orjson"] = None


def make(kind, count):
    """Make an endpoint whose function has so many steps with a memo, and one without."""
    prepare()
    return MAKERS[kind](count)


def empty(environ, start_response):
    """Answer at once. The body is read, because gunicorn closes the connection if much is left."""
    environ["wsgi.input"].read()
    start_response("206 Partial Content", [("Content-Length", "2")])
    return [b"[]"]


def _floor(count):
    import floor
    import in_process

    return floor.Floor(in_process.SECRET, count)


def _ours(count):
    import in_process

    return in_process.ours(count)


def _official(count):
    import in_process

    return in_process.official(count)


MAKERS = {
    "empty": lambda count: empty,
    "floor": _floor,
    "ours": _ours,
    "official": _official,
}
