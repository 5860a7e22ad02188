"""What docs/transactions.md says of pools, locks, isolation and lost connections."""

import contextlib
import threading
import typing

import pytest
from apps import Endpoint
from db_engine import make_engine
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import QueuePool

from inngest_wsgi.sqlalchemy import step_transaction

INSERT = "insert into rows values ('a')"


def with_table(engine):
    with engine.begin() as connection:
        connection.execute(text("create table rows (text varchar(80))"))
    return engine


def count(engine):
    with engine.connect() as connection:
        return connection.execute(text("select count(*) from rows")).scalar()


def test_what_is_made_opens_no_connection(database_url):
    """So it may be made before a fork."""
    engine = make_engine(database_url)
    for source in (engine, sessionmaker(engine), scoped_session(sessionmaker(engine))):
        database = step_transaction(source)
        Endpoint(lambda ctx: 1, step_context=[database])
    assert (engine.pool.checkedout(), engine.pool.checkedin()) == (0, 0)


def test_a_session_takes_no_connection_before_its_first_statement(database_url):
    engine = with_table(make_engine(database_url))
    database = step_transaction(sessionmaker(engine))
    used = []

    def work():
        used.append(engine.pool.checkedout())
        database.session.execute(text(INSERT))
        used.append(engine.pool.checkedout())

    Endpoint(lambda ctx: ctx.step.run("s", work), step_context=[database]).op()
    assert (used, engine.pool.checkedout(), count(engine)) == ([0, 1], 0, 1)
    engine.dispose()


def test_a_step_without_a_connection_is_tried_again(database_url):
    arguments = {"check_same_thread": False} if database_url.startswith("sqlite") else {}
    engine = create_engine(
        database_url,
        future=True,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.1,
        connect_args=arguments,
    )
    with_table(engine)
    database = step_transaction(sessionmaker(engine))

    def work():
        database.session.execute(text(INSERT))

    endpoint = Endpoint(lambda ctx: ctx.step.run("s", work), step_context=[database])
    with engine.connect():
        op = endpoint.op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "TimeoutError")
    assert endpoint.op()["op"] == "StepRun"
    assert count(engine) == 1
    engine.dispose()


def test_sqlite_has_one_writer_at_a_time(tmp_path):
    url = f"sqlite:///{tmp_path}/db.sqlite"
    engine = with_table(create_engine(url, future=True, connect_args={"timeout": 0.1}))
    database = step_transaction(sessionmaker(engine))
    writes, may_end = threading.Event(), threading.Event()

    def first():
        database.session.execute(text(INSERT))
        writes.set()
        assert may_end.wait(60)

    def second():
        database.session.execute(text(INSERT))

    ops = []

    def call(work):
        endpoint = Endpoint(lambda ctx: ctx.step.run("s", work), step_context=[database])
        ops.append(endpoint.op())

    thread = threading.Thread(target=call, args=(first,))
    thread.start()
    assert writes.wait(60)
    call(second)
    assert ops[0]["op"] == "StepError"
    assert "database is locked" in ops[0]["error"]["message"]
    may_end.set()
    thread.join(60)
    call(second)
    assert [op["op"] for op in ops[1:]] == ["StepRun", "StepRun"]
    assert count(engine) == 2
    engine.dispose()


@pytest.mark.parametrize("ends", ["returned", "interrupted"])
def test_a_transaction_around_a_call_loses_the_rows_of_recorded_steps(ends, database_url):
    engine = with_table(make_engine(database_url))
    opened = []

    @contextlib.contextmanager
    def transaction(environ):
        with engine.begin() as connection:
            opened.append(connection)
            yield

    def handler(ctx):
        if ends == "interrupted":
            ctx.step.run("s", write)
        else:
            write()

    def write():
        opened[-1].execute(text(INSERT))

    status = Endpoint(handler, call_context=[transaction]).call().status_code
    assert (status, count(engine)) == ((206, 0) if ends == "interrupted" else (200, 1))
    engine.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize("level, seen", [("REPEATABLE READ", 0), ("READ COMMITTED", 1)])
def test_isolation_between_steps(level, seen, database_url):
    engine = with_table(make_engine(database_url))
    database = step_transaction(sessionmaker(engine))
    counts = []

    def work():
        database.session.execute(text(INSERT))

    def handler(ctx):
        with engine.connect().execution_options(isolation_level=level) as connection:
            query = text("select count(*) from rows")
            counts.append(connection.execute(query).scalar())
            try:
                ctx.step.run("s", work)
            finally:
                counts.append(connection.execute(query).scalar())

    Endpoint(handler, step_context=[database]).op()
    assert counts == [0, seen]
    engine.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["sessionmaker", "scoped_session", "Engine"])
@pytest.mark.parametrize("pre_ping", [False, True])
def test_a_lost_connection_fails_one_step_at_the_most(kind, pre_ping, database_url):
    engine = with_table(create_engine(database_url, future=True, pool_pre_ping=pre_ping))
    sessions = sessionmaker(engine)
    source: typing.Any = {
        "sessionmaker": sessions,
        "scoped_session": scoped_session(sessions),
    }.get(kind, engine)
    database = step_transaction(source)

    def work():
        database.connection.execute(text(INSERT))

    endpoint = Endpoint(lambda ctx: ctx.step.run("s", work), step_context=[database])
    assert endpoint.op()["op"] == "StepRun"
    other = create_engine(database_url, future=True)
    with other.begin() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity where "
                "datname = current_database() and pid <> pg_backend_pid()"
            )
        )
    other.dispose()
    assert endpoint.op()["op"] == ("StepRun" if pre_ping else "StepError")
    assert endpoint.op()["op"] == "StepRun"
    assert count(engine) == (3 if pre_ping else 2)
    engine.dispose()


@pytest.mark.postgresql
def test_a_connection_that_is_lost_in_a_step_fails_it(database_url):
    engine = with_table(make_engine(database_url))
    database = step_transaction(sessionmaker(engine))

    def work():
        database.session.execute(text(INSERT))
        pid = database.session.execute(text("select pg_backend_pid()")).scalar()
        other = create_engine(database_url, future=True)
        with other.begin() as connection:
            connection.execute(text(f"select pg_terminate_backend({pid}, 10000)"))
        other.dispose()

    op = Endpoint(lambda ctx: ctx.step.run("s", work), step_context=[database]).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "OperationalError")
    assert (engine.pool.checkedout(), count(engine)) == (0, 0)
    engine.dispose()


@pytest.mark.postgresql
def test_of_two_attempts_at_once_one_finds_the_row_of_the_other(database_url):
    """The recipe once() of the page; its second attempt is tried again."""
    engine = with_table(make_engine(database_url))
    with engine.begin() as connection:
        connection.execute(text("create table done (key varchar(80) primary key)"))
    database = step_transaction(sessionmaker(engine))
    both = threading.Barrier(2)

    def once(meet):
        found = database.session.execute(text("select 1 from done where key = 'k'")).first()
        if meet:
            both.wait(60)
        if found is None:
            database.session.execute(text(INSERT))
            database.session.execute(text("insert into done values ('k')"))

    ops = []

    def call(meet=True):
        endpoint = Endpoint(lambda ctx: ctx.step.run("s", once, meet), step_context=[database])
        ops.append(endpoint.op())

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(op["op"] for op in ops) == ["StepError", "StepRun"]
    assert "IntegrityError" in [op["error"]["name"] for op in ops if op.get("error")]
    call(meet=False)
    assert (ops[-1]["op"], count(engine)) == ("StepRun", 1)
    engine.dispose()
