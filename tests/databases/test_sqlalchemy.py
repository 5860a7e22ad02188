"""``inngest_wsgi.sqlalchemy`` with each kind of source."""

import contextlib
import gc
import threading
import typing
import weakref

import pytest
from apps import Endpoint, step_hash
from db_engine import make_engine
from sqlalchemy import Column, Integer, String, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import declarative_base, scoped_session, sessionmaker
from streams import Opened, inner_of

import inngest_wsgi as inngest
from inngest_wsgi.sqlalchemy import step_transaction

Base: typing.Any = declarative_base()


class Row(Base):
    __tablename__ = "rows"
    id = Column(Integer, primary_key=True)
    text = Column(String(80), unique=True)


class Shop:
    """A database with the table, and each way to use it.

    :param kind: the kind of the source
    """

    def __init__(self, url, kind):
        self.engine = make_engine(url)
        Base.metadata.create_all(self.engine)
        self.sessions = sessionmaker(self.engine)
        self.scoped = scoped_session(self.sessions)
        self.kind = kind
        self.source = {
            "sessionmaker": self.sessions,
            "scoped_session": self.scoped,
            "Engine": self.engine,
        }[kind]
        self.database = step_transaction(self.source)

    def endpoint(self, handler, **options):
        return Endpoint(
            handler,
            step_context=[self.database],
            call_context=[self.database.call_context],
            **options,
        )

    def write(self, name):
        """Write a row as the code of a step does."""
        if self.kind == "Engine":
            self.database.connection.execute(insert(Row.__table__).values(text=name))
        elif self.kind == "scoped_session":
            self.scoped.add(Row(text=name))
            assert self.scoped() is self.database.session
        else:
            self.database.session.add(Row(text=name))

    @property
    def rows(self):
        with self.engine.connect() as connection:
            found = connection.execute(text("select text from rows order by id"))
            return [name for (name,) in found]

    @property
    def used(self):
        """How many connections are not in the pool."""
        return self.engine.pool.checkedout()


KINDS = ["sessionmaker", "scoped_session", "Engine"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def shop(kind, database_url):
    made = Shop(database_url, kind)
    yield made
    made.scoped.remove()
    assert made.used == 0
    made.engine.dispose()


def test_a_step_commits_with_its_success(shop):
    seen = []

    @contextlib.contextmanager
    def outermost(step):
        yield
        seen.append((shop.rows, shop.used))

    endpoint = Endpoint(
        lambda ctx: ctx.step.run("s", shop.write, "a"), step_context=[outermost, shop.database]
    )
    assert endpoint.op()["op"] == "StepRun"
    # before anything is reported; the connection that reads is returned too
    assert seen == [(["a"], 0)]


@pytest.mark.parametrize("error", [ValueError, inngest.NonRetriableError, SystemExit])
def test_a_step_rolls_back_with_its_failure(shop, error):
    def work():
        shop.write("a")
        if shop.kind != "Engine":
            shop.database.session.flush()
        raise error("no")

    endpoint = shop.endpoint(lambda ctx: ctx.step.run("s", work))
    if error is SystemExit:
        with pytest.raises(error):
            endpoint.call()
    else:
        assert endpoint.op()["op"] in ("StepError", "StepFailed")
    assert (shop.rows, shop.used) == ([], 0)


def test_an_output_that_cannot_be_sent_rolls_back(shop):
    def work():
        shop.write("a")
        return object()

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert (op["error"]["name"], shop.rows) == ("OutputError", [])


@pytest.mark.parametrize("kind", ["sessionmaker", "scoped_session"])
def test_a_commit_that_fails_fails_the_step(shop):
    shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a")).op()
    op = shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a")).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "IntegrityError")
    assert (shop.rows, shop.used) == (["a"], 0)


@pytest.mark.parametrize("what", ["session", "connection"])
def test_there_is_nothing_outside_of_steps(shop, what):
    raised = []

    def look():
        try:
            getattr(shop.database, what)
        except RuntimeError as error:
            raised.append(str(error))

    def in_a_thread():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(60)

    look()
    shop.endpoint(lambda ctx: ctx.step.run("s", in_a_thread)).op()
    assert len(raised) == 2
    assert all("a step has one, in the thread that runs its function" in said for said in raised)


def test_an_engine_has_no_sessions(database_url):
    shop = Shop(database_url, "Engine")
    op = shop.endpoint(lambda ctx: ctx.step.run("s", lambda: shop.database.session)).op()
    assert "was given an Engine" in op["error"]["message"]
    shop.engine.dispose()


@pytest.mark.parametrize(
    "source",
    [None, "sqlite://", print, scoped_session, scoped_session(print)],  # type: ignore[arg-type]
)
def test_what_is_no_source_is_refused(source):
    with pytest.raises(inngest.SettingsError, match="takes a sessionmaker"):
        step_transaction(source)


def test_streamed_calls_have_their_own_sessions(shop):
    endpoint = shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a"), streaming="force")
    assert inner_of(Opened(endpoint.application).read())[0] == 206
    assert (shop.rows, shop.used) == (["a"], 0)


@pytest.mark.postgresql
@pytest.mark.parametrize("has_savepoint", [False, True])
def test_an_error_that_is_caught(shop, has_savepoint):
    """PostgreSQL answers a COMMIT with a ROLLBACK then, and psycopg2 raises nothing."""

    def work():
        database = shop.database
        shop.write("a")
        used = database.connection if shop.kind == "Engine" else database.session
        nested = used.begin_nested() if has_savepoint else contextlib.nullcontext()
        with contextlib.suppress(IntegrityError), nested:
            for _ in range(2):
                used.execute(insert(Row.__table__).values(text="b"))

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    if has_savepoint:
        assert (op["op"], shop.rows) == ("StepRun", ["a"])
    else:
        assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
        assert "an error of the database was caught" in op["error"]["message"]
        assert shop.rows == []
    assert shop.used == 0


@pytest.mark.postgresql
def test_calls_at_once_have_a_transaction_each(shop):
    """On SQLite one would wait for the other's lock."""
    both = threading.Barrier(2)

    def work(name):
        shop.write(name)
        if shop.kind != "Engine":
            shop.database.session.flush()
        both.wait(60)
        if name == "b":
            raise ValueError("no")

    endpoints = [
        shop.endpoint(lambda ctx, name=name: ctx.step.run("s", work, name)) for name in "ab"
    ]
    threads = [threading.Thread(target=endpoint.call) for endpoint in endpoints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (shop.rows, shop.used) == (["a"], 0)


# -- what the function does between its steps -------------------------------------


def warned(caplog):
    return [r.getMessage() for r in caplog.records if "around its steps" in r.msg]


def test_reading_between_steps_sees_what_the_steps_have_written(database_url, caplog):
    shop = Shop(database_url, "scoped_session")
    counts = []

    def handler(ctx):
        counts.append(shop.scoped.query(Row).count())
        ctx.step.run("s", shop.write, "a")
        counts.append(shop.scoped.query(Row).count())
        ctx.step.run("t", shop.write, "b")
        counts.append(shop.scoped.query(Row).count())

    endpoint = shop.endpoint(handler)
    endpoint.op()
    assert endpoint.op({step_hash("s"): {"data": None}})["op"] == "StepRun"
    done = {step_hash("s"): {"data": None}, step_hash("t"): {"data": None}}
    assert endpoint.call(done).status_code == 200
    assert counts == [0, 1, 1, 2, 2, 2]
    assert (shop.used, warned(caplog)) == (0, [])
    shop.engine.dispose()


def test_the_session_of_the_function_keeps_its_objects(database_url):
    """An object that was read before a step shows afterwards what the step has
    written, and keeps no connection during the step."""
    shop = Shop(database_url, "scoped_session")
    shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a")).op()
    used = []

    def rename():
        used.append(shop.used)
        row: typing.Any = shop.scoped.query(Row).one()
        row.text = "b"

    found = []

    def handler(ctx):
        row = shop.scoped.query(Row).one()
        assert row.text == "a"
        try:
            ctx.step.run("s", rename)
        finally:
            found.append(row.text)

    assert shop.endpoint(handler).op()["op"] == "StepRun"
    assert (found, used, shop.used) == (["b"], [0], 0)
    shop.engine.dispose()


def test_what_a_page_has_left_in_the_thread_fails_no_step(database_url, caplog):
    shop = Shop(database_url, "scoped_session")
    shop.scoped.add(Row(text="left"))
    shop.scoped.flush()
    assert shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a")).op()["op"] == "StepRun"
    assert (shop.rows, shop.used, warned(caplog)) == (["a"], 0, [])
    shop.engine.dispose()


def test_after_a_text_the_transaction_of_the_function_is_left_as_it_is(database_url):
    shop = Shop(database_url, "scoped_session")
    used = []

    def handler(ctx):
        shop.scoped.execute(text("select 1"))
        ctx.step.run("s", lambda: used.append(shop.used))

    shop.endpoint(handler).op()
    assert (used, shop.used) == ([1], 0)
    shop.engine.dispose()


def closes_with_a_block(session):
    with session:
        session.add(Row(text="x"))


def closes_after_a_flush(session):
    session.add(Row(text="x"))
    session.flush()
    session.close()


def closes_after_a_change(session):
    session.query(Row).one().text = "x"
    session.close()


def closes_after_a_statement(session):
    session.execute(insert(Row).values(text="x"))
    session.close()


def closes_after_a_text(session):
    session.execute(text("insert into rows (text) values ('x')"))
    session.close()


def closes_after_a_bulk(session):
    session.bulk_insert_mappings(Row, [{"text": "x"}])
    session.close()


def closes_after_its_connection(session):
    session.connection().execute(insert(Row.__table__).values(text="x"))
    session.close()


def reads_by_text_and_closes(session):
    with session:
        session.execute(text("select text from rows"))


def reads_and_closes(session):
    with session:
        assert session.query(Row).one().text == "a"


def commits_and_closes(session):
    session.add(Row(text="x"))
    session.commit()
    session.close()


def rolls_back_and_goes_on(session):
    session.add(Row(text="a"))
    try:
        session.flush()
    except IntegrityError:
        session.rollback()
    session.add(Row(text="x"))


CLOSING = {
    closes_with_a_block: None,
    closes_after_a_flush: None,
    closes_after_a_change: None,
    closes_after_a_statement: None,
    closes_after_a_text: None,
    closes_after_a_bulk: None,
    closes_after_its_connection: None,
    reads_and_closes: ["a"],
    reads_by_text_and_closes: ["a"],
    commits_and_closes: ["a", "x"],
    rolls_back_and_goes_on: ["a", "x"],
}


@pytest.mark.parametrize("kind", ["sessionmaker", "scoped_session"])
@pytest.mark.parametrize("way", CLOSING)
def test_a_session_that_is_closed_in_a_step(way, shop):
    """Nothing is lost in silence."""
    shop.endpoint(lambda ctx: ctx.step.run("s", shop.write, "a")).op()
    op = shop.endpoint(lambda ctx: ctx.step.run("s", lambda: way(shop.database.session))).op()
    if CLOSING[way] is None:
        assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
        assert "was closed with changes" in op["error"]["message"]
        assert shop.rows == ["a"]
    else:
        assert (op["op"], shop.rows) == ("StepRun", CLOSING[way])


def test_a_scoped_session_that_is_removed_in_a_step(database_url):
    shop = Shop(database_url, "scoped_session")

    def work():
        shop.write("a")
        shop.scoped.remove()

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert (shop.rows, shop.used) == ([], 0)
    shop.engine.dispose()


def adds_after_a_remove(scoped):
    scoped.remove()
    scoped.add(Row(text="x"))
    scoped.flush()


def adds_after_a_helper(scoped):
    scoped.add(Row(text="b"))
    scoped.commit()
    scoped.remove()
    scoped.execute(text("insert into rows (text) values ('x')"))


def adds_between_two_removes(scoped):
    scoped.remove()
    scoped.add(Row(text="x"))
    scoped.remove()
    scoped.query(Row).all()


@pytest.mark.parametrize(
    ("way", "rows"),
    [(adds_after_a_remove, []), (adds_after_a_helper, ["b"]), (adds_between_two_removes, [])],
)
def test_a_session_after_a_remove_is_not_lost_in_silence(way, rows, database_url):
    shop = Shop(database_url, "scoped_session")
    # without what removes the session after the call
    endpoint = Endpoint(
        lambda ctx: ctx.step.run("s", way, shop.scoped), step_context=[shop.database]
    )
    op = endpoint.op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "was closed with changes" in op["error"]["message"]
    assert (shop.rows, shop.used) == (rows, 0)
    shop.engine.dispose()


@pytest.mark.parametrize("kind", ["sessionmaker", "scoped_session"])
def test_a_session_of_the_step_s_own_may_be_closed_with_changes(shop):
    """A block that is left by an exception is a way to roll back."""

    def work():
        shop.write("a")
        with contextlib.suppress(ValueError), shop.sessions() as session:
            session.add(Row(text="x"))
            raise ValueError("no")

    assert shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()["op"] == "StepRun"
    assert (shop.rows, shop.used) == (["a"], 0)


def test_a_helper_that_commits_and_removes_may_be_called_in_a_step(database_url):
    shop = Shop(database_url, "scoped_session")

    def work():
        for name in "ab":
            shop.scoped.add(Row(text=name))
            shop.scoped.commit()
            shop.scoped.remove()
        assert shop.scoped.query(Row).count() == 2

    endpoint = Endpoint(lambda ctx: ctx.step.run("s", work), step_context=[shop.database])
    assert endpoint.op()["op"] == "StepRun"
    assert (shop.rows, shop.used) == (["a", "b"], 0)
    shop.engine.dispose()


@pytest.mark.parametrize("how", ["commit", "rollback", "close"])
def test_a_transaction_of_an_engine_that_is_ended_in_a_step(how, database_url):
    """Tried again, it would write again what it has committed."""
    shop = Shop(database_url, "Engine")
    with shop.engine.connect() as connection:
        if not hasattr(connection, how):
            pytest.skip("a connection of SQLAlchemy 1.4 has no such method")

    def work():
        shop.write("a")
        getattr(shop.database.connection, how)()

    op = shop.endpoint(lambda ctx: ctx.step.run("s", work)).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "call neither commit(), rollback() nor close()" in op["error"]["message"]
    shop.engine.dispose()


def test_a_factory_may_make_it_again_and_again(shop):
    """Neither are there more listeners, nor is anything kept."""
    counts = []

    def count(ctx):
        ctx.step.run("s", int)

    for _ in range(3):
        shop.database = step_transaction(shop.source)
        assert shop.endpoint(count).op()["op"] == "StepRun"
        if shop.kind == "Engine":
            counts.append(len(list(shop.engine.dispatch.begin)))
        else:
            counts.append(len(list(shop.sessions().dispatch.after_transaction_create)))
    assert len(set(counts)) == 1


def test_a_source_is_not_kept(kind):
    def make():
        shop = Shop("sqlite://", kind)
        assert shop.endpoint(lambda ctx: ctx.step.run("s", int)).op()["op"] == "StepRun"
        shop.engine.dispose()
        return weakref.ref(shop.source)

    made = make()
    gc.collect()
    assert made() is None


WAYS = {
    "added": lambda session: session.add(Row(text="x")),
    "flushed": lambda session: (session.add(Row(text="x")), session.flush()),
    "a statement": lambda session: session.execute(insert(Row).values(text="x")),
    "a bulk": lambda session: session.bulk_insert_mappings(Row, [{"text": "x"}]),
    "its connection": lambda session: session.connection().execute(
        insert(Row.__table__).values(text="x")
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_written_between_steps_are_refused_at_the_next_step(way, database_url, caplog):
    shop = Shop(database_url, "scoped_session")

    def handler(ctx):
        WAYS[way](shop.scoped())
        ctx.step.run("s", shop.write, "a")

    op = shop.endpoint(handler).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "StepConfigError")
    assert "a session of SQLAlchemy with changes and no commit" in op["error"]["message"]
    assert len(warned(caplog)) == 1
    assert (shop.rows, shop.used) == ([], 0)
    shop.engine.dispose()


def test_rows_that_the_function_commits_are_its_own_affair(shop, caplog):
    def handler(ctx):
        with shop.sessions.begin() as session:
            session.add(Row(text="x"))
        ctx.step.run("s", shop.write, "a")

    assert shop.endpoint(handler).op()["op"] == "StepRun"
    assert (shop.rows, warned(caplog)) == (["x", "a"], [])


@pytest.mark.parametrize("step", ["run", "sleep"])
def test_a_transaction_around_steps_is_warned_of(shop, step, caplog):
    def begin():
        return shop.engine.begin() if shop.kind == "Engine" else shop.source.begin()

    def handler(ctx):
        with begin():
            if step == "run":
                ctx.step.run("s", int)
            else:
                ctx.step.sleep("s", "1h")

    shop.endpoint(handler).call()
    shop.endpoint(handler).call()
    said = warned(caplog)
    # one for each endpoint
    assert len(said) == 2
    assert "Function shop-f has a transaction of SQLAlchemy" in said[0]
    assert "seen at step 's'" in said[0]


def test_a_connection_with_changes_around_steps_is_warned_of(database_url, caplog):
    shop = Shop(database_url, "Engine")

    def handler(ctx):
        with shop.engine.connect() as connection:
            connection.execute(insert(Row.__table__).values(text="x"))
            ctx.step.sleep("s", "1h")

    shop.endpoint(handler).call()
    assert len(warned(caplog)) == 1
    assert shop.rows == []
    shop.engine.dispose()
