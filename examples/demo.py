"""Run one of the sites once, and show what happens.

Starts the site under gunicorn and the local server that comes with inngest_wsgi, both on
free loopback ports; syncs; and does what people do, through the site's own pages: an
order that is charged at the second attempt, one that somebody has to approve, and one
that fails for good. Prints each run as it happens, and checks that each effect happened
exactly once.

    python examples/demo.py bottle          flask, pyramid or django
    python examples/demo.py bottle --keep   starts the site, for you to click around

The site has an SQLite file in a temporary folder, or the empty database that
``DATABASE_URL`` names. The exit status is 0 only if all went as it should.
"""

from __future__ import annotations

import argparse
import html
import http.cookiejar
import os
import pathlib
import re
import select
import subprocess
import sys
import time
import typing
import urllib.error
import urllib.parse
import urllib.request

from running import (
    HERE,
    PATIENCE_S,
    DemoError,
    Gunicorn,
    demonstrate,
    follow,
    notes,
    say,
    sync,
)

if typing.TYPE_CHECKING:
    from inngest_wsgi.testing import HistoryEntry, LocalServer, Run


class Site(typing.NamedTuple):
    """What is to be done on the pages of a site, and what is to come of it."""

    #: The path of the form, and its fields.
    path: str
    fields: typing.Dict[str, str]
    #: What is changed in the form for one that has to be approved, and for one that fails.
    large: typing.Dict[str, str]
    failing: typing.Dict[str, str]
    #: Ids of the function that the form starts, and of the one that fires by cron.
    function: str
    cron: str
    #: The mails, in their order; some once the third one is sent.
    mails: typing.List[str]
    #: How many rows the tables of an SQLite file have at the end.
    rows: typing.Dict[str, int]
    #: Arguments of Python that make the tables.
    prepare: typing.List[str]


SHOP = Site(
    path="/orders",
    fields={"item": "a teapot", "pieces": "2", "price": "2599", "card": "good"},
    large={"item": "a piano", "pieces": "1", "price": "250000"},
    failing={"item": "a kettle", "pieces": "1", "card": "declined"},
    function="shop-fulfil-order",
    cron="shop-remind",
    mails=[
        "Order 1 (a teapot) is on its way",
        "Order 2 is still to be approved",
        "Order 2 (a piano) is on its way",
        "Order 3 failed: the card was declined",
    ],
    rows={"orders": 3, "charges": 2, "parcels": 3, "mails": 4},
    prepare=[],
)
CLAIMS = Site(
    path="/claims",
    fields={"employee": "Ann", "purpose": "a taxi", "amount": "2599", "account": "good"},
    large={"purpose": "a flight", "amount": "250000"},
    failing={"purpose": "a meal", "account": "closed"},
    function="claims-settle-claim",
    cron="claims-weekly",
    mails=[
        "Claim 1 (a taxi) is paid",
        "You have 2 claims, of 2525.99 together",
        "Claim 2 (a flight) is paid",
        "Claim 3 failed: the account is closed",
    ],
    rows={"claims_claim": 3, "claims_payment": 2, "claims_mail": 4},
    prepare=["manage.py", "migrate", "--verbosity=0"],
)
SITES = {"bottle": SHOP, "flask": SHOP, "pyramid": SHOP, "django": CLAIMS}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("app", choices=sorted(SITES))
    parser.add_argument("--keep", action="store_true", help="start the site, and keep it running")
    arguments = parser.parse_args()
    app = arguments.app
    farewell = f"How to go on: examples/{app}/README.md, and make demo APP={app} KEEP=1."
    steps = keep if arguments.keep else play
    return demonstrate(lambda folder: run(app, folder, steps), farewell)


def run(app: str, folder: pathlib.Path, steps: Steps) -> None:
    # imported here, so that a Ctrl-C during the import is handled
    from inngest_wsgi.testing import LocalServer

    site = SITES[app]
    database = folder / "demo.sqlite3"
    environ = {
        "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{database}",
        "SECRET_KEY": os.urandom(16).hex(),
    }
    with LocalServer(retry_interval=0.5) as server:
        say("local server", server.url)
        environ["INNGEST_DEV"] = server.url
        if site.prepare:
            command = [sys.executable, *site.prepare]
            subprocess.run(command, cwd=HERE / app, env={**os.environ, **environ}, check=True)
        with Gunicorn(f"the site ({app})", app, folder, "--workers=2", **environ) as process:
            say(f"site ({app}, gunicorn)", process.origin)
            sync(server, process.origin)
            steps(site, server, Browser(process.origin))
        if steps is play and "DATABASE_URL" not in os.environ:
            check_rows(site, database)


# -- what people do --------------------------------------------------------------


class Browser:
    """Visits pages and sends their forms, with cookies and CSRF tokens."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def get(self, path: str, form: typing.Optional[bytes] = None) -> str:
        try:
            with self._opener.open(self.origin + path, form, timeout=PATIENCE_S) as answer:
                page: bytes = answer.read()
                return html.unescape(page.decode())
        except urllib.error.HTTPError as error:
            raise DemoError(f"{path}: HTTP {error.code}: {error.read().decode()}") from error

    def send(self, page: str, path: str, fields: typing.Dict[str, str]) -> None:
        """Send a form of a page."""
        name, token = re.findall('name="(csrf\\w*)" value="(.*?)"', self.get(page))[0]
        print(f"\nPOST {path}: " + ", ".join(f"{k} {v}" for k, v in fields.items()), flush=True)
        self.get(path, urllib.parse.urlencode({name: token, **fields}).encode())


#: What is done with the site, once it is started and synced.
Steps = typing.Callable[[Site, "LocalServer", Browser], None]


def play(site: Site, server: LocalServer, browser: Browser) -> None:
    """Send three forms, and follow their runs to the end."""
    title("1. One that is fulfilled; the first attempt to get the money fails")
    browser.send("/", site.path, site.fields)
    expect(follow(server, newest(server, site)), "Completed")
    show_others(server, site)

    title("2. One that somebody has to approve")
    browser.send("/", site.path, {**site.fields, **site.large})

    def happened(entry: HistoryEntry) -> None:
        if (entry.kind, entry.step) == ("step ran", "ask-for-approval"):
            approve(site, server, browser)

    expect(follow(server, newest(server, site), happened), "Completed")
    show_others(server, site)

    title("3. One that fails for good, and calls on_failure")
    browser.send("/", site.path, {**site.fields, **site.failing})
    expect(follow(server, newest(server, site)), "Failed")
    wait_for(lambda: site.mails[-1] in browser.get("/"), "the mail of on_failure")
    show_others(server, site)
    check_mails(site, browser)


def approve(site: Site, server: LocalServer, browser: Browser) -> None:
    """Approve the second one; it is on the page now."""
    if "/approvals/2" not in browser.get("/approvals"):
        raise DemoError("what is to be approved is not on the page /approvals")
    print("\nThe cron schedule fires, and sends an event for each run to start.", flush=True)
    expect(server.wait_for_run(server.fire_cron(site.cron), PATIENCE_S), "Completed")
    wait_for(lambda: site.mails[1] in browser.get("/"), "the mail that the schedule leads to")
    browser.send("/approvals", "/approvals/2", {"decision": "approve"})
    print(flush=True)


def newest(server: LocalServer, site: Site) -> str:
    return [run for run in server.runs() if run.function_id == site.function][-1].run_id


def show_others(server: LocalServer, site: Site, shown: typing.Set[str] = set()) -> None:
    """Print the runs of other functions that have come since the last time."""
    for run in server.runs():
        if run.function_id != site.function and run.run_id not in shown:
            shown.add(run.run_id)
            ended = expect(server.wait_for_run(run.run_id, PATIENCE_S), "Completed")
            print(f"run {run.run_id} of {ended.function_id}: {ended.output}", flush=True)


def expect(run: Run, status: str) -> Run:
    if run.status != status:
        raise DemoError(f"the run of {run.function_id} is {run.status}: {run.output}")
    return run


def wait_for(condition: typing.Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise DemoError(f"{what} does not come")
        time.sleep(0.05)


# -- what came of it ---------------------------------------------------------------


def check_mails(site: Site, browser: Browser) -> None:
    title("What came of it")
    page = browser.get("/")
    for mail in site.mails:
        print(f"{page.count('>' + mail)} mail: {mail}", flush=True)
    counts = [page.count(">" + mail) for mail in site.mails]
    if counts != [1] * len(counts):
        raise DemoError("not each mail is there exactly once")


def check_rows(site: Site, database: pathlib.Path) -> None:
    """Check that each effect happened exactly once."""
    import sqlite3

    connection = sqlite3.connect(str(database))
    found = {
        table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in site.rows
    }
    connection.close()
    print("rows: " + ", ".join(f"{table} {count}" for table, count in found.items()), flush=True)
    if found != site.rows:
        raise DemoError(f"not each effect is there exactly once; these were expected: {site.rows}")


# -- to click around -----------------------------------------------------------------


def keep(site: Site, server: LocalServer, browser: Browser) -> None:
    """Print all that happens, until Ctrl-C."""
    print(f"\nOpen {browser.origin}/ and {browser.origin}/approvals in a browser. Here you see")
    print(
        f"the runs. To fire the cron schedule of {site.cron}: press Enter. To end: Ctrl-C.\n",
        flush=True,
    )
    seen: typing.Dict[str, int] = {}
    watched = [sys.stdin]
    try:
        while True:
            if select.select(watched, [], [], 0.2)[0]:
                # at the end of the input there is nothing more to come
                if sys.stdin.readline():
                    server.fire_cron(site.cron)
                else:
                    watched.clear()
            for run in server.runs():
                for entry in run.history[seen.get(run.run_id, 0) :]:
                    text = f"{run.function_id:<22} {entry.kind:<17} {entry.step or '':<21}"
                    print(f"{text} {notes(entry)}".rstrip(), flush=True)
                seen[run.run_id] = len(run.history)
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
