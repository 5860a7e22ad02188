"""Flask-SQLAlchemy, with the adapter or beside the application."""

import contextlib
import typing

import flask
from db_functions import HAS_STEPS, MOUNT, URL, client, declare, serve_settings
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import inngest_wsgi as inngest
import inngest_wsgi.flask
from inngest_wsgi.sqlalchemy import step_transaction

app = flask.Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = URL
db = SQLAlchemy(app)


class Row(db.Model):  # type: ignore[name-defined]
    __tablename__ = "rows"
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.String(80))


def write(name):
    db.session.add(Row(text=name))
    if not HAS_STEPS:
        # as a view does, in the midst of a longer piece of work
        db.session.commit()


def around():
    return contextlib.nullcontext() if not HAS_STEPS else db.session.begin()


def once(key, work):
    found = db.session.execute(text("select 1 from done where key = :key"), {"key": key})
    if found.first() is None:
        work()
        db.session.execute(text("insert into done (key) values (:key)"), {"key": key})


functions = declare(write, around, once)
settings = serve_settings(step_transaction(db.session))


@contextlib.contextmanager
def app_context(environ):
    with app.app_context():
        yield


if MOUNT == "adapter":
    inngest_wsgi.flask.serve(app, client, functions, **settings)
    application: typing.Any = app
else:
    settings["call_context"] = [app_context, *settings.get("call_context", [])]
    endpoint = inngest.serve(client, functions, **settings)
    application = DispatcherMiddleware(app, {"/api/inngest": endpoint})
