"""The programs of the page that have no test there."""

import warnings

import app
import django
import flask_app
import lost
import own
import zope_app
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

import inngest_wsgi as inngest

django.setup()

with warnings.catch_warnings():
    # of WebOb, which Pyramid imports
    warnings.simplefilter("ignore", DeprecationWarning)
    import pyramid_app


def drive(server, application, event, function, **data):
    server.serve(application)
    server.send(event, data)
    server.advance("1h")
    return server.run(function)


def test_flask(inngest_server):
    run = drive(inngest_server, flask_app.app, "order/received", "order")
    with flask_app.app.app_context():
        assert flask_app.db.session.get(flask_app.Order, run.result()) is not None
    assert not flask_app.db.session.registry.registry


def test_pyramid(inngest_server):
    run = drive(inngest_server, pyramid_app.app, "order/received", "order")
    with pyramid_app.Session() as session:
        assert session.get(pyramid_app.Order, run.result()) is not None


def test_django(inngest_server):
    from django.contrib.auth.models import Group

    call_command("migrate", verbosity=0)
    run = drive(inngest_server, get_wsgi_application(), "group/wanted", "create", name="staff")
    group = Group.objects.get(pk=run.result())
    Group.objects.update(name="all")
    assert group.name == "staff"
    group.refresh_from_db()
    assert group.name == "all"


def test_the_lost_row(inngest_server):
    run = drive(inngest_server, lost.application, "order/lost", "lost")
    assert run.status == "Completed"
    with app.Session() as session:
        assert session.query(app.Order).filter_by(state="lost").count() == 0


def test_the_lost_row_is_warned_of(inngest_server, caplog):
    application = inngest.serve(app.client, [lost.wrong], step_context=[app.database])
    assert drive(inngest_server, application, "order/lost", "lost").status == "Completed"
    (said,) = [r.getMessage() for r in caplog.records if "around its steps" in r.msg]
    assert "shop-lost has a transaction of SQLAlchemy" in said


def test_a_step_without_a_transaction(inngest_server):
    with app.Session.begin() as session:
        session.query(app.Order).delete()
    run = drive(inngest_server, own.application, "order/received", "order", id=3)
    assert run.result() == "placed"


def test_zope_sqlalchemy_without_pyramid(inngest_server):
    with zope_app.transaction.manager:
        zope_app.DBSession.query(zope_app.Order).delete()
        zope_app.zope.sqlalchemy.mark_changed(zope_app.DBSession())
    run = drive(inngest_server, zope_app.application, "order/received", "order", id=4)
    # had the first attempt left its row, the second could not have inserted it
    assert (run.step("place").attempts, run.result()) == (2, "placed")
