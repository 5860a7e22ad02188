"""Measure runs of many short steps on the local server, in a row and side by side.

With a queue delay this is what a user sees: a real server takes some 150 ms between two calls.
Without one, what is left is the work of both processes.
"""

import contextlib
import statistics

import runs
import stepped
import turns
from report import Table, digits

NAME = "steps"
TITLE = "A run of many short steps on the local server"
QUEUE_DELAY_S = 0.15
STEPS = 100
#: What each is called in tables: who makes the calls, and the setting of checkpointing.
ENTRANTS = {
    "without checkpointing": (runs.OURS, "off"),
    "with checkpointing": (runs.OURS, "on"),
    f"buffered_steps={stepped.BUFFERED_STEPS}": (runs.OURS, "buffered"),
    "official SDK": (runs.OFFICIAL, "off"),
}
SHAPES = {"row": "in a row", "group": "side by side"}
#: The entrant that the others are compared with.
BASE = "without checkpointing"
#: A run of a hundred calls after one another waits for fifteen seconds, and does so reliably: it
#: is made once.
SLOW = (BASE, "official SDK")


def measure(quick, skips, others=()):
    """Return a row for each queue delay, shape and entrant, with medians."""
    steps, rounds, slow_rounds = (5, 1, 1) if quick else (STEPS, 5, 1)
    entrants = {}
    for name, (contestant, setting) in ENTRANTS.items():
        if contestant.missing:
            skips.add(f"{NAME}, {name}", contestant.missing)
        else:
            entrants[name] = (contestant, setting)
    found = []
    for delay_s in (0.0, QUEUE_DELAY_S):
        with contextlib.ExitStack() as stack:
            apps = {
                contestant.name: stack.enter_context(runs.app(contestant, delay_s))
                for contestant in {each.name: each for each, _ in entrants.values()}.values()
            }
            for shape in SHAPES:
                number = rounds if delay_s or quick else 2 * rounds
                few = slow_rounds if delay_s and shape == "row" else number
                found += measure_shape(entrants, apps, delay_s, shape, steps, number, few)
    return found


def measure_shape(entrants, apps, delay_s, shape, steps, rounds, slow_rounds):
    results = {name: [] for name in entrants}
    for turn in range(rounds + 1):
        for name, (contestant, setting) in entrants.items():
            app = apps[contestant.name]
            if turn == 0:
                # opens connections, starts threads
                app.run(shape, setting, 2)
            elif name not in SLOW or turn <= slow_rounds:
                results[name].append(app.run(shape, setting, steps))
    faster = turns.ratios(results, BASE, lambda one: one["wall_s"])
    return [
        {
            "queue_delay_s": delay_s,
            "shape": shape,
            "entrant": name,
            "steps": steps,
            "rounds": len(each),
            "wall_ratio": 1 / faster[name],
            **{key: statistics.median(one[key] for one in each) for key in ("wall_s", "cpu_s")},
            **{key: statistics.median_low(one[key] for one in each) for key in ("calls", "sent")},
        }
        for name, each in results.items()
    ]


def tables(rows):
    found = []
    for delay_s in sorted({row["queue_delay_s"] for row in rows}, reverse=True):
        chosen = [row for row in rows if row["queue_delay_s"] == delay_s]
        lines = []
        for row in chosen:
            lines.append(
                [
                    f"{row['steps']} {SHAPES[row['shape']]}, {row['entrant']}",
                    digits(row["wall_s"]),
                    digits(row["wall_ratio"]),
                    digits(row["cpu_s"]),
                    str(row["calls"]),
                    str(row["sent"]),
                ]
            )
        heads = [
            "steps",
            "seconds",
            "of without checkpointing",
            "CPU seconds of the app",
            "calls",
            "requests of the app",
        ]
        name = "steps-delayed" if delay_s else "steps-at-once"
        title = f"{TITLE}, {delay_s * 1000:.0f} ms of queue before each call"
        found.append(Table(name, title, heads, lines))
    return found
