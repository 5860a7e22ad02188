"""Measure how long imports take, and how much memory a process has after one call."""

import importlib.util
import statistics
import subprocess
import sys

import child
import contestants
from report import Table, mebibytes, millis, ratio

NAME = "startup"
TITLE = "Time to import, and memory after one call with 10 memos"
#: The names of what is imported, and the modules of each.
IMPORTS = {
    "the dependencies": ("werkzeug", "urllib3", "itsdangerous"),
    "ours": ("inngest_wsgi",),
    "Flask": ("flask",),
    "official": ("inngest", "inngest.flask"),
}
CODE = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"
CONTESTANTS = (
    contestants.FLOOR,
    contestants.OURS,
    contestants.ORJSON,
    contestants.OFFICIAL,
)


def measure(quick, skips, others=()):
    """Return the median seconds of imports, and the median resident bytes after a call."""
    return {
        "import_s": measure_imports(1 if quick else 9, skips),
        "resident_bytes": measure_memory(1 if quick else 5, skips, others),
    }


def measure_imports(rounds, skips):
    found = {}
    for name, modules in IMPORTS.items():
        absent = [each for each in modules if importlib.util.find_spec(each.split(".")[0]) is None]
        if absent:
            skips.add(f"{NAME}, import of {name}", f"without {absent[0]}")
        else:
            found[name] = []
    for turn in range(rounds + 1):
        for name, seconds in found.items():
            code = CODE.format(", ".join(IMPORTS[name]))
            environ = child.environ_for({})
            printed = subprocess.check_output([sys.executable, "-c", code], env=environ)
            if turn:
                # the first round may have to compile
                seconds.append(float(printed))
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def measure_memory(rounds, skips, others):
    found, entrants = {}, []
    for contestant in [*CONTESTANTS, *others]:
        if contestant.missing:
            skips.add(f"{NAME}, memory of {contestant.name}", contestant.missing)
        else:
            found[contestant.name] = []
            entrants.append(contestant)
    for _ in range(rounds):
        for contestant in entrants:
            with child.Child(contestant) as process:
                # makes one call
                process.ask("prepare", 10, 0)
                found[contestant.name].append(process.ask("memory"))
    known = {name: sizes for name, sizes in found.items() if None not in sizes}
    if len(known) < len(found):
        skips.add(f"{NAME}, memory", "without /proc, which Linux has")
    return {name: statistics.median(sizes) for name, sizes in known.items()}


def tables(results):
    imports, sizes = results["import_s"], results["resident_bytes"]
    base = imports["the dependencies"]
    lines = [[name, millis(seconds), ratio(seconds, base)] for name, seconds in imports.items()]
    heads = ["import of", "ms", "of the dependencies"]
    found = [Table("imports", "Time to import", heads, lines)]
    if sizes:
        floor = sizes["floor"]
        lines = [[name, mebibytes(size), mebibytes(size - floor)] for name, size in sizes.items()]
        heads = ["after one call of", "MiB", "MiB more than the floor"]
        found.append(Table("memory", "Resident memory of the process", heads, lines))
    return found
