"""Measure one signed call in process, without a WSGI server.

The floor is the least that Python could do for a call (``floor.py``). Each endpoint takes turns
with it in one process.
"""

import contextlib

import child
import contestants
import turns
from report import Table, digits, micros

NAME = "calls"
TITLE = "One signed call in process"
#: The cases by name: memos of a call, and additional bytes of its event. The body has these twice.
CASES = {
    "0": (0, 0),
    "10": (10, 0),
    "100": (100, 0),
    "1000": (1000, 0),
    "4 MiB": (0, 2 * 1024 * 1024 - 1024),
}
#: A round is shorter than what a busy system gives a process at a time, so that most rounds are
#: not interrupted.
ROUND_S = 0.003
ROUNDS = 151
#: Fewer are made for calls that take so long that the rounds of one would take more seconds.
PATIENCE_S = 3.0
LEAST_ROUNDS = 3
CONTESTANTS = (
    contestants.FLOOR,
    contestants.OURS,
    contestants.ORJSON,
    contestants.OFFICIAL,
)


def measure(quick, skips, others=()):
    """Return a row for each case, with the median seconds of a call of each endpoint.

    :param others: additional endpoints, such as another source tree
    """
    rounds, round_s = (LEAST_ROUNDS, 0.001) if quick else (ROUNDS, ROUND_S)
    rows = []
    with contextlib.ExitStack() as stack:
        children = {}
        for contestant in [*CONTESTANTS, *others]:
            if contestant.missing:
                skips.add(f"{NAME}, {contestant.name}", contestant.missing)
            else:
                children[contestant.name] = stack.enter_context(child.Child(contestant))
        for name, (count, size) in CASES.items():
            times, found, slowest_s = {}, {each: [] for each in children}, 0.0
            of_floor = {each: [] for each in children}
            for each, process in children.items():
                body_bytes = process.ask("prepare", count, size)
                once = min(process.ask("time", 1)[1] for _ in range(3))
                times[each] = max(1, int(round_s / once))
                slowest_s = max(slowest_s, once)
            for _ in range(max(LEAST_ROUNDS, min(rounds, int(PATIENCE_S / slowest_s)))):
                for each, process in children.items():
                    floor_s, own_s = process.ask("time", times[each])
                    found[each].append(own_s)
                    of_floor[each].append(floor_s / own_s)
            rows.append(
                {
                    "memos": name,
                    "body_bytes": body_bytes,
                    "seconds": turns.medians(found),
                    "floor_ratio": turns.medians(of_floor),
                    "official_ratio": turns.ratios(found, "official"),
                }
            )
    return rows


def tables(rows):
    heads = ["memos", "endpoint", "µs", "speed, of the floor's", "of the official SDK's"]
    lines = []
    for row in rows:
        for name, seconds in row["seconds"].items():
            found = [row[base].get(name) for base in ("floor_ratio", "official_ratio")]
            lines.append([row["memos"], name, micros(seconds), *map(digits, found)])
    return [Table(NAME, TITLE, heads, lines)]
