"""Applications with a database on real servers, called by the local server over
HTTP."""

import contextlib
import os

import pytest
from server_process import process
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from inngest_wsgi.testing import LocalServer, VirtualClock

GTHREAD = ["gunicorn", "--bind=127.0.0.1:0", "--workers=1", "-k", "gthread", "--threads=4"]
#: all calls are in the same thread
ONE_THREAD = ["gunicorn", "--bind=127.0.0.1:0", "--workers=1", "-k", "gthread", "--threads=1"]
WAITRESS = ["waitress", "--listen=127.0.0.1:0"]
LISTENING = r"(?:Listening at:|Serving on) (http://\S+)"

#: The applications that the documentation describes: the module, how it is
#: mounted, further settings, the server.
APPS = {
    "sqlalchemy": ("sqlalchemy", "alone", {}, GTHREAD),
    "sqlalchemy, preload": ("sqlalchemy", "alone", {}, [*GTHREAD, "--workers=2", "--preload"]),
    "sqlalchemy, streamed": ("sqlalchemy", "alone", {"INNGEST_STREAMING": "allow"}, WAITRESS),
    "flask": ("flask", "adapter", {}, GTHREAD),
    "flask, streamed": ("flask", "adapter", {"INNGEST_STREAMING": "allow"}, GTHREAD),
    "flask, beside": ("flask", "dispatcher", {}, WAITRESS),
    "pyramid": ("pyramid", "adapter", {}, WAITRESS),
    "pyramid, explicit": ("pyramid", "adapter", {"EXPLICIT": "1"}, GTHREAD),
    "pyramid, streamed": (
        "pyramid",
        "adapter",
        {"EXPLICIT": "1", "INNGEST_STREAMING": "allow"},
        GTHREAD,
    ),
    "pyramid, in a view": ("pyramid", "view", {}, WAITRESS),
    "pyramid, in a view, explicit": (
        "pyramid",
        "view",
        {"EXPLICIT": "1", "VETO": "pyramid_tm.default_commit_veto"},
        GTHREAD,
    ),
    "django": ("django", "adapter", {}, GTHREAD),
    "django, atomic": ("django", "adapter", {"ATOMIC": "1"}, WAITRESS),
    "django, streamed": (
        "django",
        "adapter",
        {"ATOMIC": "1", "INNGEST_STREAMING": "allow"},
        GTHREAD,
    ),
    "django, beside": ("django", "dispatcher", {}, GTHREAD),
}

#: The same without transactions of steps, as one writes it at first.
AT_FIRST = {
    "flask": ("flask", "dispatcher", {}, GTHREAD),
    "pyramid": ("pyramid", "view", {}, WAITRESS),
    "pyramid, veto": (
        "pyramid",
        "view",
        {"VETO": "pyramid_tm.default_commit_veto"},
        GTHREAD,
    ),
    "django": ("django", "view", {}, WAITRESS),
    "django, atomic": ("django", "view", {"ATOMIC": "1"}, GTHREAD),
}

NEEDED = {
    "flask": ["flask_sqlalchemy"],
    "pyramid": ["pyramid_tm", "zope.sqlalchemy"],
    "django": ["django"],
    "sqlalchemy": [],
}


class Database:
    """A database with the tables, seen from outside of the application."""

    def __init__(self, url):
        self.url = url
        self.engine = create_engine(url, poolclass=NullPool)
        serial = "serial" if url.startswith("postgresql") else "integer"
        with self.engine.begin() as connection:
            connection.execute(
                text(f"create table rows (id {serial} primary key, text varchar(80))")
            )
            connection.execute(text("create table done (key varchar(80) primary key)"))

    def take(self):
        """Return the texts of the rows, and delete the rows."""
        with self.engine.begin() as connection:
            found = connection.execute(text("select text from rows order by id")).fetchall()
            connection.execute(text("delete from rows"))
        return [name for (name,) in found]

    def drop_connections(self):
        """End all others, as a failing server or a proxy does."""
        with self.engine.begin() as connection:
            done = connection.execute(
                text(
                    "select pg_terminate_backend(pid, 10000) from pg_stat_activity where "
                    "datname = current_database() and pid <> pg_backend_pid()"
                )
            )
            return len(done.fetchall())


class Running:
    def __init__(self, server, database, log):
        self.server, self.database = server, database
        self.log = log.read_text

    def run(self, name, **data):
        """Send an event, and return how its run ended and the rows."""
        (event_id,) = self.server.send({"name": "test/" + name, "data": data})
        run = self.server.wait_for_run(event_id, timeout=60)
        return run.status, self.database.take()


@contextlib.contextmanager
def running(app, form, url, tmp_path, **environ):
    module, mount, more, server = app
    for needed in NEEDED[module]:
        pytest.importorskip(needed)
    database = Database(url)
    with LocalServer(clock=VirtualClock()) as inngest_server:
        environ.update(
            more,
            DATABASE_URL=url,
            MOUNT=mount,
            FORM=form,
            HOME=str(tmp_path),
            LOG=str(tmp_path / "log"),
            INNGEST_DEV=inngest_server.url,
        )
        with process([*server, f"db_{module}:application"], LISTENING, **environ) as origin:
            inngest_server.sync(origin + "/api/inngest")
            yield Running(inngest_server, database, tmp_path / "log")


@pytest.mark.parametrize("name", APPS)
def test_no_row_is_lost_or_doubled(name, database_url, tmp_path):
    with running(APPS[name], "steps", database_url, tmp_path) as app:
        assert app.run("half") == ("Completed", ["half 1", "after"])
        status, rows = app.run("group")
        assert (status, sorted(rows)) == ("Completed", ["a", "b1"])
        assert app.run("row", text="x") == ("Completed", ["x"])
        assert app.run("once") == ("Completed", ["once"])
        module = APPS[name][0]
        # the row of the step is in the step's own transaction; where this would
        # be within the other one, the step fails
        status, rows = app.run("around")
        if module in ("sqlalchemy", "pyramid"):
            assert (status, rows) == ("Completed", ["around"])
        else:
            assert (status, rows) == ("Failed", [])


@pytest.mark.parametrize("name", AT_FIRST)
def test_without_transactions_of_steps_a_failed_step_leaves_rows(name, database_url, tmp_path):
    with running(AT_FIRST[name], "none", database_url, tmp_path) as app:
        assert app.run("half") == ("Completed", ["half 0", "half 1", "after"])


@pytest.mark.parametrize(
    "app",
    [
        ("sqlalchemy", "alone", {}, GTHREAD),
        ("django", "view", {}, WAITRESS),
    ],
    ids=["sqlalchemy", "django"],
)
def test_a_transaction_around_steps_loses_the_rows_of_recorded_steps(app, database_url, tmp_path):
    with running(app, "none", database_url, tmp_path) as found:
        assert found.run("around") == ("Completed", [])


def test_closing_all_connections_loses_the_rows_of_a_request(database_url, tmp_path):
    app = ("django", "view", {"ATOMIC": "1", "CLOSE_ALL": "1"}, GTHREAD)
    with running(app, "none", database_url, tmp_path) as found:
        status, rows = found.run("row", text="x")
        assert (status, rows) == ("Completed", [])


KILLED = ["sqlalchemy", "flask", "pyramid", "pyramid, explicit", "django, atomic"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals")
@pytest.mark.parametrize("name", KILLED)
def test_a_worker_that_is_killed_between_commit_and_answer(name, database_url, tmp_path):
    """The step runs again; a row with its key in the same transaction makes that
    harmless."""
    module, mount, more, _ = APPS[name]
    app = (module, mount, more, GTHREAD)
    kill = tmp_path / "kill"
    with running(app, "steps", database_url, tmp_path, KILL=str(kill)) as found:
        kill.touch()
        assert found.run("row", text="x") == ("Completed", ["x", "x"])
        assert not kill.exists()
        kill.touch()
        assert found.run("once") == ("Completed", ["once"])
        assert not kill.exists()


@pytest.mark.postgresql
@pytest.mark.parametrize("name", APPS)
def test_after_a_lost_connection_the_thread_works_again(name, database_url, tmp_path):
    module, mount, more, _ = APPS[name]
    app = (module, mount, more, ONE_THREAD)
    with running(app, "steps", database_url, tmp_path) as found:
        assert found.run("row", text="x") == ("Completed", ["x"])
        assert found.database.drop_connections() >= 1
        # the first attempt may be the one that notices
        for name in ("y", "z"):
            assert found.run("row", text=name) == ("Completed", [name])


@pytest.mark.postgresql
def test_a_lost_connection_fails_each_later_call_beside_django(database_url, tmp_path):
    app = ("django", "dispatcher", {}, ONE_THREAD)
    with running(app, "none", database_url, tmp_path) as found:
        assert found.run("row", text="x") == ("Completed", ["x"])
        assert found.database.drop_connections() == 1
        for name in ("y", "z"):
            assert found.run("row", text=name) == ("Failed", [])


@pytest.mark.postgresql
@pytest.mark.parametrize("checks", [False, True])
def test_health_checks_of_django_notice_a_lost_connection(checks, database_url, tmp_path):
    app = ("django", "adapter", {"HEALTH_CHECKS": "1" if checks else ""}, ONE_THREAD)
    with running(app, "steps", database_url, tmp_path) as found:
        assert found.run("row", text="x") == ("Completed", ["x"])
        assert found.database.drop_connections() == 1
        (event_id,) = found.server.send({"name": "test/row", "data": {"text": "y"}})
        run = found.server.wait_for_run(event_id, timeout=60)
        assert (run.status, found.database.take()) == ("Completed", ["y"])
        failed = [entry for entry in run.history if "StepError" in str(entry)]
        assert bool(failed) is not checks, run.history


@pytest.mark.postgresql
@pytest.mark.parametrize("name", ["sqlalchemy", "flask", "pyramid, explicit", "django, atomic"])
def test_pgbouncer_in_transaction_mode(name, database_url, tmp_path):
    from postgresql import bouncer

    with bouncer(database_url) as url, running(APPS[name], "steps", url, tmp_path) as app:
        assert app.run("half") == ("Completed", ["half 1", "after"])
        status, rows = app.run("group")
        assert (status, sorted(rows)) == ("Completed", ["a", "b1"])


def test_a_streamed_call_in_a_view_of_pyramid_has_no_request(database_url, tmp_path):
    app = ("pyramid", "view", {"INNGEST_STREAMING": "force"}, GTHREAD)
    with running(app, "steps", database_url, tmp_path) as found:
        assert found.run("row", text="x") == ("Failed", [])


def test_the_adapter_of_django_warns_without_transactions_of_steps(database_url, tmp_path):
    app = ("django", "adapter", {}, GTHREAD)
    with running(app, "none", database_url, tmp_path) as found:
        assert found.run("around") == ("Completed", [])
        assert found.run("around") == ("Completed", [])
        log = found.log()
    assert log.count("around its steps") == 1
    assert "db-around has a transaction.atomic() on the database 'default' open" in log


def test_the_adapter_of_pyramid_warns_without_transactions_of_steps(database_url, tmp_path):
    app = ("pyramid", "adapter", {}, GTHREAD)
    with running(app, "none", database_url, tmp_path) as found:
        found.run("around")
        log = found.log()
    assert log.count("around its steps") == 1
    assert "db-around has a transaction of transaction.manager or request.tm" in log
