"""Measure how time and memory of a run grow with the number of its steps.

Without checkpointing, and in a group, call n carries the memos of the steps before it. That is
the protocol: the bytes grow with the square of the steps. So the time for each memo that was
carried is shown, too.
"""

import contextlib

import runs
import stepped
from report import Table, digits, mebibytes

NAME = "growth"
TITLE = "A run as its steps become more"
#: The most steps that a server takes is 1000, less one.
SIZES = (100, 250, 500, 750, 999)
CURVES = {
    "a row without checkpointing": ("row", "off"),
    "a row with checkpointing": ("row", "on"),
    f"a row, buffered_steps={stepped.BUFFERED_STEPS}": ("row", "buffered"),
    "a group": ("group", "on"),
}
CALLED_FOR_EACH_STEP = ("a row without checkpointing", "a group")


def measure(quick, skips, others=()):
    """Return a row for each curve and number of steps.

    Each curve has a process of its own, whose runs grow: so the most memory that it ever had is
    that of the run.
    """
    found = []
    sizes, rounds = ((3, 6), 1) if quick else (SIZES, 2)
    with contextlib.ExitStack() as stack:
        apps, idle = {}, {}
        for name, (shape, setting) in CURVES.items():
            app = apps[name] = stack.enter_context(runs.app(runs.OURS))
            app.run(shape, setting, 2)
            idle[name] = app.idle_bytes()
        for steps in sizes:
            for name, (shape, setting) in CURVES.items():
                results = [apps[name].run(shape, setting, steps) for _ in range(rounds)]
                row = min(results, key=lambda one: one["cpu_s"])
                if idle[name] is not None:
                    row["peak_bytes"] = max(one["peak_bytes"] for one in results) - idle[name]
                found.append({"curve": name, "steps": steps, **row})
    if None in idle.values():
        skips.add(f"{NAME}, memory", "without /proc, which Linux has")
    return found


def memos_carried(row):
    """Return how many memos all calls of a run have carried."""
    steps = row["steps"]
    if row["curve"] not in CALLED_FOR_EACH_STEP:
        return None
    return steps * (steps - 1) // 2


def tables(rows):
    lines = []
    for row in rows:
        carried = memos_carried(row)
        lines.append(
            [
                row["curve"],
                str(row["steps"]),
                digits(row["wall_s"]),
                digits(row["cpu_s"]),
                digits(row["cpu_s"] * 1e3 / row["steps"]),
                digits(row["cpu_s"] * 1e6 / carried) if carried else "-",
                mebibytes(row["peak_bytes"]),
            ]
        )
    heads = [
        "run",
        "steps",
        "seconds",
        "CPU seconds of the app",
        "ms of that a step",
        "µs of that a memo",
        "MiB more at most",
    ]
    return [Table(NAME, TITLE, heads, lines)]
