"""``inngest_wsgi.django.step_transaction()``."""

import contextlib
import unittest
from urllib.parse import parse_qs, urlsplit

import django
import django_settings
import pytest
from apps import Endpoint, step_hash

import inngest_wsgi as inngest

ALIASES = ["shop", "stock"]
TABLES = [
    "create table parents (id integer primary key)",
    "create table rows (text varchar(80), parent integer references parents (id) "
    "deferrable initially deferred)",
]


def settings_of(url, number):
    found = urlsplit(url)
    if found.scheme.startswith("postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": found.path[1:],
            "USER": found.username,
            "HOST": parse_qs(found.query)["host"][0],
        }
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": found.path[1:] + str(number)}


@pytest.fixture
def databases(database_url, database_name, tmp_path, request):
    """Django's connections, with two databases that are this test's own."""
    django_settings.configure(tmp_path)
    from django.db import connections

    urls = [database_url, database_url]
    if database_name == "postgresql":
        urls[1] = request.getfixturevalue("postgresql")()
    for number, (alias, url) in enumerate(zip(ALIASES, urls)):
        own = {"default": settings_of(url, number), alias: settings_of(url, number)}
        if hasattr(connections, "configure_settings"):
            connections.databases[alias] = connections.configure_settings(own)[alias]
        else:  # before Django 3.2
            connections.databases[alias] = own[alias]
            connections.ensure_defaults(alias)
            connections.prepare_test_settings(alias)
        with connections[alias].cursor() as cursor:
            for table in TABLES:
                cursor.execute(table)
    yield connections
    for alias in ALIASES:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def write(text, using="shop", parent=None):
    from django.db import connections

    with connections[using].cursor() as cursor:
        cursor.execute("insert into rows (text, parent) values (%s, %s)", [text, parent])


def rows(databases, using="shop"):
    with databases[using].cursor() as cursor:
        cursor.execute("select text from rows order by text")
        return [text for (text,) in cursor.fetchall()]


def endpoint_of(handler, using="shop", **options):
    from inngest_wsgi.django import step_transaction

    transaction = step_transaction(using)
    return Endpoint(handler, step_context=[transaction], **options)


def calling(work, *args, **options):
    return endpoint_of(lambda ctx: ctx.step.run("s", work, *args), **options)


def test_a_step_commits_with_its_success(databases):
    assert calling(write, "a").op()["op"] == "StepRun"
    assert rows(databases) == ["a"]


def test_a_step_rolls_back_with_its_failure(databases):
    def work():
        write("a")
        raise ValueError("no")

    assert calling(work).op()["op"] == "StepError"
    assert rows(databases) == []


def test_without_it_each_statement_is_committed(databases):
    def work():
        write("a")
        raise ValueError("no")

    assert Endpoint(lambda ctx: ctx.step.run("s", work)).op()["op"] == "StepError"
    assert rows(databases) == ["a"]


def test_a_commit_that_fails_fails_the_step(databases):
    op = calling(write, "a", "shop", 99).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "IntegrityError")
    assert rows(databases) == []


@pytest.mark.parametrize("fails", [False, True])
def test_several_databases(databases, fails):
    def work():
        for alias in ALIASES:
            write("a", alias)
        if fails:
            raise ValueError("no")

    calling(work, using=ALIASES).op()
    assert [rows(databases, alias) for alias in ALIASES] == [[] if fails else ["a"]] * 2


def test_several_databases_are_committed_one_after_the_other(databases):
    """There are no two phases: what the last one has committed stays."""

    def work():
        write("a", "shop", 99)
        write("a", "stock")

    assert calling(work, using=ALIASES).op()["error"]["name"] == "IntegrityError"
    assert [rows(databases, alias) for alias in ALIASES] == [[], ["a"]]


def test_connections_that_are_closed_in_a_step_fail_it(databases):
    def work():
        write("a")
        databases.close_all()

    op = calling(work).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "'shop' was closed in the transaction of the step" in op["error"]["message"]
    assert rows(databases) == []


def test_an_error_that_is_caught_in_the_midst_fails_the_step(databases):
    from django.db import transaction

    def work():
        write("a")
        try:
            with transaction.atomic(using="shop", savepoint=False):
                raise ValueError("no")
        except ValueError:
            pass

    op = calling(work).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "can only be rolled back" in op["error"]["message"]
    assert rows(databases) == []


@pytest.mark.postgresql
def test_an_error_of_sql_that_is_caught_fails_the_step(databases):
    """PostgreSQL answers a COMMIT with a ROLLBACK then, and psycopg2 raises nothing."""
    from django.db import Error

    def work():
        write("a")
        with contextlib.suppress(Error), databases["shop"].cursor() as cursor:
            cursor.execute("no SQL")

    op = calling(work).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "can only be rolled back" in op["error"]["message"]
    assert rows(databases) == []


def warned(caplog):
    return [r.getMessage() for r in caplog.records if "around its steps" in r.msg]


def test_a_transaction_around_a_step_is_refused(databases, caplog):
    from django.db import transaction

    def handler(ctx):
        with transaction.atomic(using="shop"):
            ctx.step.run("s", write, "a")

    op = endpoint_of(handler).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "a transaction.atomic() open on the database 'shop'" in op["error"]["message"]
    assert "ATOMIC_REQUESTS" in op["error"]["message"]
    assert len(warned(caplog)) == 1
    assert rows(databases) == []


def test_a_transaction_around_a_sleep_is_warned_of(databases, caplog):
    from django.db import transaction

    def handler(ctx):
        with transaction.atomic(using="shop"):
            write("a")
            ctx.step.sleep("nap", "1h")

    assert endpoint_of(handler).op()["op"] == "Sleep"
    (said,) = warned(caplog)
    assert "shop-f has a transaction.atomic() on the database 'shop' open" in said
    assert "step 'nap'" in said
    assert rows(databases) == []


def test_a_transaction_within_a_step_is_a_savepoint(databases):
    from django.db import transaction

    def work():
        write("a")
        try:
            with transaction.atomic(using="shop"):
                write("b")
                raise ValueError("no")
        except ValueError:
            write("c")

    assert calling(work).op()["op"] == "StepRun"
    assert rows(databases) == ["a", "c"]


@pytest.mark.skipif(django.VERSION < (3, 2), reason="it has no durable transactions")
def test_a_durable_transaction_cannot_be_within_a_step(databases):
    from django.db import transaction

    def work():
        with transaction.atomic(using="shop", durable=True):
            write("a")

    op = calling(work).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "RuntimeError")


@pytest.mark.parametrize("fails", [False, True])
def test_an_event_is_sent_after_the_commit_of_a_page(databases, fails):
    from django.db import transaction

    sent = []

    def page():
        with transaction.atomic(using="shop"):
            transaction.on_commit(lambda: sent.append(rows(databases)), using="shop")
            write("a")
            if fails:
                raise ValueError("no")

    if fails:
        with pytest.raises(ValueError):
            page()
    else:
        page()
    assert sent == ([] if fails else [["a"]])


def test_a_step_in_a_test_case(databases):
    """A TestCase has a transaction around each test, which is not refused."""
    from django.test import TestCase, utils

    seen = []

    class Case(TestCase):
        databases = {"shop"}

        def test(self):
            seen.append(calling(write, "a").op()["op"])
            seen.append(rows(databases))

    # as "manage.py test" and pytest-django do
    utils.setup_test_environment()
    try:
        # the settings have no other database for tests
        result = unittest.TextTestRunner(verbosity=0).run(Case("test"))
    finally:
        utils.teardown_test_environment()
    assert result.wasSuccessful()
    assert seen == ["StepRun", ["a"]]
    assert rows(databases) == []


def test_autocommit_that_the_function_turns_off_is_refused(databases, caplog):
    def handler(ctx):
        databases["shop"].set_autocommit(False)
        write("x")
        ctx.step.run("s", write, "a")

    op = endpoint_of(handler).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "a transaction (set_autocommit(False)) open" in op["error"]["message"]
    assert len(warned(caplog)) == 1


def test_without_autocommit_a_step_is_refused(databases):
    databases["shop"].close()
    databases["shop"].settings_dict["AUTOCOMMIT"] = False
    op = calling(write, "a").op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "autocommit is off on the database 'shop'" in op["error"]["message"]


@pytest.mark.skipif(django.VERSION < (4, 2), reason="it has no robust hooks")
@pytest.mark.parametrize("robust", [False, True])
def test_on_commit_runs_after_the_commit(databases, robust):
    from django.db import transaction
    from django.test import override_settings

    seen = []

    def after():
        seen.append(rows(databases))
        raise ValueError("no")

    def work():
        write("a")
        transaction.on_commit(after, using="shop", robust=robust)

    # Django 4.2 logs with it what a robust hook raises
    with override_settings(SECRET_KEY="of a test"):
        op = calling(work).op()
    assert (rows(databases), seen) == (["a"], [["a"]])
    # the row is there all the same
    assert op["op"] == ("StepRun" if robust else "StepError")


def test_old_connections_are_closed_around_a_step(databases):
    open_in_step = []

    def work():
        write("a")
        open_in_step.append(databases["shop"].connection is not None)

    calling(work).op()
    # CONN_MAX_AGE is 0
    assert (open_in_step, databases["shop"].connection) == ([True], None)


def test_old_connections_are_closed_around_a_call(databases):
    from inngest_wsgi.django import step_transaction

    def handler(ctx):
        found = rows(databases)
        assert databases["shop"].connection is not None
        return found

    transaction = step_transaction("shop")
    Endpoint(handler, call_context=[transaction.call_context]).call()
    assert databases["shop"].connection is None


def test_a_call_within_a_transaction_keeps_its_connection(databases):
    from django.db import transaction

    from inngest_wsgi.django import step_transaction

    around = step_transaction("shop").call_context
    with transaction.atomic(using="shop"):
        write("a")
        Endpoint(lambda ctx: 1, call_context=[around]).call()
    assert rows(databases) == ["a"]


def test_reading_between_steps_sees_what_the_steps_have_written(databases):
    counts = []

    def handler(ctx):
        counts.append(len(rows(databases)))
        try:
            ctx.step.run("s", write, "a")
        finally:
            counts.append(len(rows(databases)))

    endpoint = endpoint_of(handler)
    endpoint.op()
    endpoint.call({step_hash("s"): {"data": None}})
    assert counts == [0, 1, 1, 1]


@pytest.mark.parametrize("using", [None, 1, [None]])
def test_what_is_no_name_is_refused(databases, using):
    with pytest.raises(inngest.SettingsError, match="names of databases of Django"):
        endpoint_of(lambda ctx: 1, using)
