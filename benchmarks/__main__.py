"""Measure how fast the package is, beside what it can be compared with.

    python benchmarks                       # everything, in some five minutes
    python benchmarks --only calls,steps    # a part of it
    python benchmarks --quick               # few rounds: shows that it works, and no more
    python benchmarks --also before=../old  # another source tree beside this one, in each call

``make bench`` does it in an environment that has the official SDK, Flask, gunicorn, wrk,
orjson and matplotlib. What is not there is left out, with a line that says so. The results are
printed as tables, and written as JSON with the charts to the folder ``--output``.
``--write-docs`` writes them to docs/performance.md, too.
"""

import argparse
import os
import pathlib
import platform
import sys
import time

import calls
import contestants
import growth
import pages
import servers
import startup
import steps
import streams
from report import Skipped, Skips

MEASUREMENTS = {
    module.NAME: module for module in (calls, servers, startup, steps, streams, growth)
}
HERE = pathlib.Path(__file__).resolve().parent


def main(arguments):
    options = read(arguments)
    results, skips = {"machine": machine(), "quick": options.quick}, Skips()
    begun = time.monotonic()
    shown = []
    for name in options.only:
        module = MEASUREMENTS[name]
        print(f"[{time.monotonic() - begun:4.0f} s] {module.TITLE} ...", flush=True)
        try:
            results[name] = module.measure(options.quick, skips, options.also)
        except Skipped as skipped:
            skips.add(name, str(skipped))
            continue
        found = module.tables(results[name])
        shown += found
        for table in found:
            print(f"\n{table.text()}\n", flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    drawn = pages.draw(results, options.output, skips)
    results["skipped"] = list(skips)
    results["seconds"] = round(time.monotonic() - begun)
    (options.output / "results.json").write_text(pages.dump(results), encoding="utf-8")
    if options.write_docs:
        pages.write(options.docs, results, shown, drawn)
    for line in skips:
        print(f"Skipped: {line}")
    print(f"Results in {options.output}, after {results['seconds']} s.", flush=True)


def read(arguments):
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--only", type=names, default=list(MEASUREMENTS), metavar="NAME,NAME")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--also", type=tree, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("build/benchmarks"))
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--docs", type=pathlib.Path, default=HERE.parent / "docs")
    return parser.parse_args(arguments)


def names(text):
    found = text.split(",")
    unknown = [name for name in found if name not in MEASUREMENTS]
    if unknown:
        known = ", ".join(MEASUREMENTS)
        raise argparse.ArgumentTypeError(f"no such measurement: {unknown[0]}; there are {known}")
    return found


def tree(text):
    name, equals, path = text.partition("=")
    if not equals or not os.path.isdir(os.path.join(path, "inngest_wsgi")):
        raise argparse.ArgumentTypeError(f"{text}: NAME=FOLDER, where the folder has inngest_wsgi")
    return contestants.other_tree(name, path)


def machine():
    """Describe what the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
