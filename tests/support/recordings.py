"""Traffic recorded from a real Inngest server, as test material."""

import json
import pathlib
import re
import types

import freezegun
from werkzeug.test import Client, EnvironBuilder

HERE = pathlib.Path(__file__).resolve().parents[1] / "wire"

#: Fillers are shortened in the stored bodies.
_SHORTENED = re.compile(r"([^\s<\"])<(\d+) times>")


def load(number):
    """Return a recording, with its exchanges as objects."""
    (path,) = HERE.glob(f"{number}-*.json")
    found = json.loads(path.read_text())
    found["exchanges"] = [_exchange(e) for e in found["exchanges"]]
    return types.SimpleNamespace(**found)


def _exchange(raw):
    request, response = raw["request"], raw["response"]
    return types.SimpleNamespace(
        direction=raw["direction"],
        note=raw.get("note", ""),
        method=request["method"],
        path=request["path"],
        query=request["query"],
        headers=request["headers"],
        body=_full(request["body"]),
        answer=types.SimpleNamespace(
            status=response["status"],
            headers={k.lower(): v for k, v in response["headers"].items()},
            body=_full(response["body"]),
        ),
    )


def _full(body):
    return _SHORTENED.sub(lambda m: m.group(1) * int(m.group(2)), body).encode()


def calls(recording):
    """Return the exchanges in which the server called a function."""
    return [
        e
        for e in recording.exchanges
        if e.direction == "server->sdk" and e.method == "POST" and "fnId" in e.query
    ]


def replay(application, exchange):
    """Make the recorded request to an application, at the time of its
    signature if it has one."""
    builder = EnvironBuilder(
        path=exchange.path,
        base_url="http://localhost:3000/",
        query_string=exchange.query,
        method=exchange.method,
        headers=list(exchange.headers.items()),
        data=exchange.body,
    )
    signature = exchange.headers.get("X-Inngest-Signature", "")
    signed_at = re.search(r"t=(\d+)", signature)
    if signed_at is None:
        return Client(application).open(builder, buffered=True)
    with freezegun.freeze_time(_datetime(int(signed_at.group(1))), tick=False):
        return Client(application).open(builder, buffered=True)


def _datetime(seconds):
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)


def verdicts(kind):
    """Return a table of :file:`server-verdicts.json`: rows that end with what
    a server said to them. None is for a request that broke it."""
    return json.loads((HERE / "server-verdicts.json").read_text())[kind]
