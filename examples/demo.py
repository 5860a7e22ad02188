"""Run one of the examples once, and show what happens.

Starts the shop under gunicorn and the local server that comes with
inngest_wsgi, both on free loopback ports; syncs; orders something through the
shop's own page; prints the run as it happens; and checks the SQLite file for
side effects that are missing or happened twice.

    python examples/demo.py bottle
    python examples/demo.py pyramid

The exit status is 0 only if the run completed and each effect happened
exactly once.
"""

import argparse
import json
import sqlite3
import sys
import urllib.parse
import urllib.request

from running import PATIENCE_S, DemoError, Gunicorn, demonstrate, follow, say, sync

EFFECTS = ("orders", "charges", "confirmations")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("app", choices=["bottle", "pyramid"])
    app = arguments.parse_args().app
    return demonstrate(
        lambda folder: run(app, folder),
        f"How to go on: examples/{app}/README.md, and the README.",
    )


def run(app, folder):
    # imported here, so that a Ctrl-C during the import is handled
    from inngest_wsgi.testing import LocalServer

    database = folder / "shop.sqlite3"
    with LocalServer(retry_interval=1.0) as server:
        say("local server", server.url)
        with Shop(app, server.url, database) as shop:
            say(f"shop ({app}, gunicorn)", shop.origin)
            sync(server, shop.origin)
            order = shop.order("a teapot", 2599)
            say("order", "number {order_id}, event {event_id}".format(**order))
            found = follow(server, order["event_id"])
            check(found, database)


class Shop(Gunicorn):
    """The example, in a separate process."""

    def __init__(self, app, server_url, database):
        super().__init__(
            "the shop",
            app,
            database.parent,
            "--workers=2",
            INNGEST_DEV=server_url,
            SHOP_DATABASE=str(database),
        )

    def order(self, item, price):
        form = urllib.parse.urlencode({"item": item, "price": price}).encode()
        url = self.origin + "/orders"
        with urllib.request.urlopen(url, form, timeout=PATIENCE_S) as answer:
            return json.load(answer)


def check(found, database):
    """Print the result, and check that each effect happened exactly once."""
    print(f"\noutput: {json.dumps(found.output)}")
    connection = sqlite3.connect(str(database))
    counts = {}
    for table in EFFECTS:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        counts[table] = len(rows)
        print("{:<14} {}".format(table + ":", rows), flush=True)
    connection.close()
    if found.status != "Completed":
        raise DemoError(f"the run is {found.status}: {found.output}")
    wrong = {table: count for table, count in counts.items() if count != 1}
    if wrong:
        raise DemoError(f"not each effect is there exactly once: {wrong}")


if __name__ == "__main__":
    sys.exit(main())
