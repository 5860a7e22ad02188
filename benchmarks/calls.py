"""Measure one signed call in process, without a WSGI server.

The floor is the least that Python could do for a call (``floor.py``).
"""

import contextlib
import statistics

import child
import contestants
import in_process
from report import Table, micros, ratio

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
    rounds, round_s = (3, 0.001) if quick else (61, in_process.ROUND_S / 2)
    rows = []
    with contextlib.ExitStack() as stack:
        children = {}
        for contestant in [*CONTESTANTS, *others]:
            if contestant.missing:
                skips.add(f"{NAME}, {contestant.name}", contestant.missing)
            else:
                children[contestant.name] = stack.enter_context(child.Child(contestant))
        for name, (count, size) in CASES.items():
            times, found = {}, {each: [] for each in children}
            for each, process in children.items():
                body_bytes = process.ask("prepare", count, size)
                process.ask("time", 1)
                times[each] = max(1, int(round_s / process.ask("time", 1)))
            for _ in range(rounds):
                for each, process in children.items():
                    found[each].append(process.ask("time", times[each]))
            medians = {each: statistics.median(seconds) for each, seconds in found.items()}
            rows.append({"memos": name, "body_bytes": body_bytes, "seconds": medians})
    return rows


def tables(rows):
    names = list(rows[0]["seconds"])
    heads = ["memos", *(f"{name}, µs" for name in names)]
    heads += [f"floor / {name}" for name in names if name != "floor"]
    if "official" in names:
        heads += [f"official / {name}" for name in names if name not in ("floor", "official")]
    lines = []
    for row in rows:
        seconds = row["seconds"]
        line = [row["memos"], *(micros(seconds[name]) for name in names)]
        line += [ratio(seconds["floor"], seconds[name]) for name in names if name != "floor"]
        if "official" in names:
            line += [
                ratio(seconds["official"], seconds[name])
                for name in names
                if name not in ("floor", "official")
            ]
        lines.append(line)
    return [Table(NAME, TITLE, heads, lines)]
