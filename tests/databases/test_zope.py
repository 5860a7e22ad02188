"""``inngest_wsgi.pyramid.step_transaction()``, with and without a request."""

import contextlib

import pytest
from apps import Endpoint
from db_engine import make_engine
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import scoped_session, sessionmaker

transaction = pytest.importorskip("transaction")
zope_sqlalchemy = pytest.importorskip("zope.sqlalchemy")


@pytest.fixture(params=["explicit", "thread-local"])
def manager(request):
    if request.param == "explicit":
        yield transaction.TransactionManager(explicit=True)
    else:
        yield transaction.manager
        transaction.abort()


class Shop:
    """A database whose session joins the transactions of a manager."""

    def __init__(self, url, manager):
        from inngest_wsgi.pyramid import step_transaction

        self.manager = manager
        self.engine = make_engine(url)
        self.session = scoped_session(sessionmaker(self.engine))
        zope_sqlalchemy.register(self.session, transaction_manager=manager)
        with self.engine.begin() as connection:
            connection.execute(text("create table rows (text varchar(80))"))
        explicit = getattr(manager, "explicit", False)
        self.form = step_transaction((lambda: manager) if explicit else None)

    def endpoint(self, handler, **options):
        return Endpoint(
            handler,
            step_context=[self.form],
            call_context=[self.form.call_context],
            **options,
        )

    def write(self, name):
        self.session.execute(text("insert into rows values (:name)"), {"name": name})
        zope_sqlalchemy.mark_changed(self.session(), transaction_manager=self.manager)

    def count(self):
        return self.session.execute(text("select count(*) from rows")).scalar()

    @property
    def rows(self):
        with self.engine.connect() as connection:
            return [name for (name,) in connection.execute(text("select text from rows"))]

    @property
    def used(self):
        return self.engine.pool.checkedout()


@pytest.fixture
def shop(database_url, manager):
    made = Shop(database_url, manager)
    yield made
    assert made.used == 0
    made.engine.dispose()


@pytest.mark.parametrize("fails", [False, True])
def test_a_step_has_a_transaction(shop, fails):
    def work():
        shop.write("a")
        if fails:
            raise ValueError("no")

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert op["op"] == ("StepError" if fails else "StepRun")
    assert shop.rows == ([] if fails else ["a"])


def test_a_commit_that_fails_fails_the_step(shop):
    def work():
        shop.write("a")
        shop.manager.get().addBeforeCommitHook(lambda: 1 / 0)

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "ZeroDivisionError")
    assert shop.rows == []


def test_a_doomed_transaction_fails_the_step(shop):
    def work():
        shop.write("a")
        shop.manager.doom()

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "DoomedTransaction")
    assert shop.rows == []


@pytest.mark.postgresql
def test_an_error_that_is_caught_fails_the_step(shop):
    """PostgreSQL answers a COMMIT with a ROLLBACK then, and psycopg2 raises nothing."""

    def work():
        shop.write("a")
        with contextlib.suppress(SQLAlchemyError):
            shop.session.execute(text("no SQL"))

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "an error of the database was caught" in op["error"]["message"]
    assert shop.rows == []


def test_rows_of_a_statement_need_mark_changed(shop):
    """zope.sqlalchemy sees what a session flushes, and no statement in SQL."""

    def work():
        shop.session.execute(text("insert into rows values ('a')"))

    assert shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()["op"] == "StepRun"
    assert shop.rows == []


def test_the_function_can_read_between_steps(shop, caplog):
    counts = []

    def handler(ctx):
        counts.append(shop.count())
        try:
            ctx.step.run("s", shop.write, "a")
        finally:
            counts.append(shop.count())

    assert shop.endpoint(handler).op()["op"] == "StepRun"
    assert counts == [0, 1]
    assert "around its steps" not in caplog.text


def test_what_the_function_writes_between_steps_is_refused(shop, caplog):
    def handler(ctx):
        shop.write("x")
        ctx.step.run("s", shop.write, "a")

    op = shop.endpoint(handler).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "in which it has written" in op["error"]["message"]
    assert "around its steps" in caplog.text
    assert shop.rows == []


def test_what_the_function_writes_before_a_sleep_is_warned_of(shop, caplog):
    def handler(ctx):
        shop.write("x")
        ctx.step.sleep("nap", "1h")

    assert shop.endpoint(handler).op()["op"] == "Sleep"
    assert "has a transaction of transaction.manager or request.tm" in caplog.text
    assert shop.rows == []


@pytest.mark.parametrize("has_form", [False, True])
def test_what_a_call_writes_outside_of_step_transactions_is_warned_of(shop, has_form, caplog):
    """The function returns, so that the call ends at no step."""
    endpoint = Endpoint(
        lambda ctx: shop.write("x"),
        step_context=[shop.form] if has_form else [],
        call_context=[shop.form.call_context],
    )
    assert endpoint.call().status_code == 200
    assert shop.rows == []
    assert caplog.text.count("What a call has written") == 1
    assert "step_context=[inngest_wsgi.pyramid.step_transaction()]" in caplog.text


@pytest.mark.parametrize("how", ["reads", "fails", "commits"])
def test_what_is_not_lost_in_silence_is_not_warned_of(shop, how, caplog):
    def handler(ctx):
        if how == "reads":
            shop.count()
            return
        shop.write("x")
        if how == "fails":
            raise ValueError("no")
        shop.manager.commit()

    shop.endpoint(handler).call()
    assert shop.rows == (["x"] if how == "commits" else [])
    assert "What a call has written" not in caplog.text


@pytest.mark.parametrize("how", ["commit", "abort"])
def test_a_transaction_that_is_ended_in_a_step(shop, how):
    """Tried again, it would write again what it has committed."""

    def work():
        shop.write("a")
        getattr(shop.manager, how)()

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    if getattr(shop.manager, "explicit", False):
        assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
        assert "call neither commit() nor abort()" in op["error"]["message"]
    else:
        # it has begun the next one by itself
        assert op["op"] == "StepRun"
    assert shop.rows == (["a"] if how == "commit" else [])


def test_the_transaction_of_a_request_can_be_committed_after_the_call(shop):
    """pyramid_tm commits when its tween is around the endpoint."""
    endpoint = shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a"))
    shop.manager.begin()
    endpoint.op()
    shop.manager.commit()
    assert shop.rows == ["a"]


@pytest.mark.parametrize("ends", ["committed", "failed", "aborted"])
def test_an_event_is_sent_after_the_commit_of_a_page(shop, ends):
    sent = []

    def send():
        sent.append(shop.rows)

    shop.manager.begin()
    shop.write("a")
    shop.manager.get().addAfterCommitHook(lambda done: done and send())
    if ends == "committed":
        shop.manager.commit()
    elif ends == "aborted":
        shop.manager.abort()
    else:
        shop.manager.get().addBeforeCommitHook(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shop.manager.commit()
        shop.manager.abort()
    assert sent == ([["a"]] if ends == "committed" else [])
