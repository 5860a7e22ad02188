"""Pyramid with pyramid_tm, with the adapter or in a view within the request's
transaction."""

import contextlib
import os

import zope.sqlalchemy
from db_functions import MOUNT, URL, client, declare, serve_settings
from pyramid.config import Configurator
from pyramid.threadlocal import get_current_request
from pyramid.wsgi import wsgiapp2
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

import inngest_wsgi as inngest
from inngest_wsgi.pyramid import step_transaction

Session = sessionmaker(create_engine(URL))


def dbsession(request):
    session = Session()
    zope.sqlalchemy.register(session, transaction_manager=request.tm)
    return session


def write(name):
    session = get_current_request().dbsession
    session.execute(text("insert into rows (text) values (:name)"), {"name": name})
    zope.sqlalchemy.mark_changed(session, transaction_manager=get_current_request().tm)


def around():
    return contextlib.nullcontext(get_current_request().tm.get())


def once(key, work):
    session = get_current_request().dbsession
    found = session.execute(text("select 1 from done where key = :key"), {"key": key})
    if found.first() is None:
        work()
        session.execute(text("insert into done (key) values (:key)"), {"key": key})


functions = declare(write, around, once)
settings = serve_settings(step_transaction())
tm = {"tm.commit_veto": os.environ.get("VETO")}
if os.environ.get("EXPLICIT"):
    tm["tm.manager_hook"] = "pyramid_tm.explicit_manager"
with Configurator(settings=tm) as config:
    config.include("pyramid_tm")
    config.add_request_method(dbsession, "dbsession", reify=True)
    if MOUNT == "adapter":
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(client, functions, **settings)
    else:
        endpoint = inngest.serve(client, functions, **settings)
        config.add_route("inngest", "/api/inngest")
        config.add_view(wsgiapp2(endpoint), route_name="inngest")
    application = config.make_wsgi_app()
