import subprocess
import sys
import typing as t

import app
import factory
import flask
import pytest

import inngest_wsgi as inngest
import inngest_wsgi.flask


def test_the_factory(inngest_server):
    inngest_server.serve(factory.create_app("Hi {}"))
    run = inngest_server.send("user/created", {"name": "Ann"}).run("welcome")
    assert run.result() == "Hi Ann"


def test_the_messages():
    pages: t.Any = flask.Blueprint("pages", __name__)
    told = "app: must be a flask.Flask object, not <Blueprint 'pages'>"
    with pytest.raises(inngest.SettingsError, match=told):
        inngest_wsgi.flask.serve(pages, app.client, [app.welcome])
    told = "serve_path: '/api/inngest' is served already; give each serve.. a path of its own"
    with pytest.raises(inngest.SettingsError, match=told):
        inngest_wsgi.flask.serve(app.app, app.client, [app.welcome])
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        app.greet("Ann")
    with app.app.app_context():
        assert app.greet("Ann") == "Hello, Ann!"


def test_the_routes():
    command = [sys.executable, "-m", "flask", "--app", "app", "routes"]
    assert b"/api/inngest" in subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def test_a_session_of_flask_sqlalchemy_is_one_a_call(inngest_server):
    import flask_sqlalchemy

    db = flask_sqlalchemy.SQLAlchemy()
    client = inngest.Inngest(app_id="shop")
    seen = []

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    def f(ctx):
        seen.append(db.session())
        assert db.session() is seen[-1]
        seen[-1].execute(db.text("select 1"))
        ctx.step.sleep("nap", "1s")

    application = flask.Flask("shop")
    application.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(application)
    inngest_wsgi.flask.serve(application, client, [f])
    inngest_server.serve(application)
    inngest_server.send("e", {})
    inngest_server.advance("2s")
    one, other = seen
    assert one is not other and not one.in_transaction() and not other.in_transaction()
