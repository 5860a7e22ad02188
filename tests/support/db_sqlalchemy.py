"""SQLAlchemy alone, the endpoint as the application."""

import contextlib

from db_functions import HAS_STEPS, URL, client, declare, serve_settings
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

import inngest_wsgi as inngest
from inngest_wsgi.sqlalchemy import step_transaction

Session = sessionmaker(create_engine(URL))
database = step_transaction(Session)
opened = []


def current():
    if HAS_STEPS:
        return database.session
    return opened[-1] if opened else Session()


def write(name):
    session = current()
    session.execute(text("insert into rows (text) values (:name)"), {"name": name})
    if not HAS_STEPS and not opened:
        session.commit()
        session.close()


@contextlib.contextmanager
def around():
    with Session.begin() as session:
        opened.append(session)
        try:
            yield
        finally:
            opened.remove(session)


def once(key, work):
    found = current().execute(text("select 1 from done where key = :key"), {"key": key})
    if found.first() is None:
        work()
        current().execute(text("insert into done (key) values (:key)"), {"key": key})


application = inngest.serve(client, declare(write, around, once), **serve_settings(database))
