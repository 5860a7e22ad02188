"""Runs one of the examples once, and shows what happens.

Starts the shop under gunicorn and the local server that comes with
inngest_wsgi, both on free loopback ports; syncs; orders something through the
shop's own page; prints the run as it happens; and looks into the SQLite file
for effects that are missing or double.

    python examples/demo.py bottle
    python examples/demo.py pyramid

The exit status is 0 only if the run completed and each effect is there
exactly once.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
LISTENING = re.compile(r"Listening at: (http://\S+)")
EFFECTS = ("orders", "charges", "confirmations")
#: How long anything may take before the demo gives up, in seconds.
PATIENCE_S = 25
#: What ends the demo early: Ctrl-C, a kill, a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class DemoError(Exception):
    """The demo did not come to its end; the message says why."""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("app", choices=["bottle", "pyramid"])
    app = arguments.parse_args().app
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="inngest-wsgi-demo-") as folder:
            run(app, pathlib.Path(folder) / "shop.sqlite3")
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 130
    except DemoError as error:
        print("\nThe demo failed: {}".format(error), file=sys.stderr, flush=True)
        return 1
    print("\nHow to go on: examples/{}/README.md, and the README.".format(app), flush=True)
    return 0


def _interrupt(signum, frame):
    raise KeyboardInterrupt


@contextlib.contextmanager
def signals_held():
    """Put off a Ctrl-C: one in the middle of starting a process would leave
    nobody who knows of it."""
    came = []
    before = [signal.signal(number, lambda *_: came.append(1)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before):
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def run(app, database):
    # here, so that a Ctrl-C while it is read finds somebody who listens
    from inngest_wsgi.testing import LocalServer

    with LocalServer(retry_interval=1.0) as server:
        say("local server", server.url)
        with Shop(app, server.url, database) as shop:
            say("shop ({}, gunicorn)".format(app), shop.origin)
            synced = server.sync(shop.origin + "/api/inngest")
            say("sync", "HTTP {}: {}".format(synced.status, synced.body))
            order = shop.order("a teapot", 2599)
            say("order", "number {order_id}, event {event_id}".format(**order))
            found = follow(server, order["event_id"])
            check(found, database)


class Shop:
    """The example, in a process of its own."""

    def __init__(self, app, server_url, database):
        self.origin = None
        self._command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--chdir={}".format(HERE / app),
            "--pythonpath={}".format(HERE),
            "--bind=127.0.0.1:0",
            "--workers=2",
            "app:application",
        ]
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
        self._environ.update(INNGEST_DEV=server_url, SHOP_DATABASE=str(database))
        # gunicorn keeps a folder at home, which is to go with the demo's own
        self._environ["HOME"] = str(database.parent)
        self._log = []
        self._listening = threading.Event()
        self._process = None
        self._reader = threading.Thread(target=self._read)

    def __enter__(self):
        try:
            with signals_held():
                # a session of its own: Ctrl-C reaches us alone and we end it
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environ,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    universal_newlines=True,
                    start_new_session=True,
                )
                self._reader.start()
            self._listening.wait(PATIENCE_S)
            if self.origin is None:
                raise DemoError("the shop did not start:\n" + "".join(self._log))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind, error, trace):
        self._end()
        if isinstance(error, DemoError):
            print("\nThe shop's log:\n" + "".join(self._log), file=sys.stderr)

    def _read(self):
        for line in self._process.stdout:
            self._log.append(line)
            match = LISTENING.search(line)
            if match:
                self.origin = match.group(1)
                self._listening.set()
        self._listening.set()

    def _end(self):
        # an impatient second Ctrl-C must not leave the shop running
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            # with the workers of a gunicorn that was stopped while it started
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def order(self, item, price):
        form = urllib.parse.urlencode({"item": item, "price": price}).encode()
        url = self.origin + "/orders"
        with urllib.request.urlopen(url, form, timeout=PATIENCE_S) as answer:
            return json.load(answer)


def follow(server, event_id):
    """Print the run as it happens."""
    (started,) = server.runs(event_id)
    print("\nrun {} of {}\n".format(started.run_id, started.function_id), flush=True)
    print("{:>8}  {:<17} {:<17} {}".format("time", "step", "what", ""), flush=True)
    for entry in server.follow(started.run_id, timeout=PATIENCE_S):
        print(line(entry), flush=True)
    (ended,) = server.runs(event_id)
    return ended


def line(entry):
    notes = []
    if entry.attempt is not None:
        notes.append("attempt {}".format(entry.attempt))
    if entry.retry_in is not None:
        notes.append("in {:.1f} s".format(entry.retry_in))
    if entry.detail:
        notes.append(entry.detail.splitlines()[0])
    return "{:>6.2f} s  {:<17} {:<17} {}".format(
        entry.at / 1000, entry.step or "", entry.kind, ", ".join(notes)
    )


def check(found, database):
    """Say what came of it, and whether each effect is there exactly once."""
    print("\noutput: {}".format(json.dumps(found.output)))
    connection = sqlite3.connect(str(database))
    counts = {}
    for table in EFFECTS:
        rows = connection.execute("SELECT * FROM {}".format(table)).fetchall()
        counts[table] = len(rows)
        print("{:<14} {}".format(table + ":", rows), flush=True)
    connection.close()
    if found.status != "Completed":
        raise DemoError("the run is {}: {}".format(found.status, found.output))
    wrong = {table: count for table, count in counts.items() if count != 1}
    if wrong:
        raise DemoError("not each effect is there exactly once: {}".format(wrong))


def say(what, text):
    print("{:<24} {}".format(what, text), flush=True)


if __name__ == "__main__":
    sys.exit(main())
