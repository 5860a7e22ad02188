"""Streams through each framework's mount, over sockets, and the recipes of
docs/streaming.md."""

import http.client
import json
import pathlib
import re
import threading
import typing as t

import django_settings
import pytest
from apps import Endpoint
from mounts import MOUNTS
from streams import BODY, FN, inner_of, wait_until
from stub_server import serving
from werkzeug.test import Client

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "streaming.md"


class Waiting:
    """An endpoint whose function waits, mounted and on a socket.

    :param mount: makes an application around the endpoint
    """

    def __init__(self, mount):
        self.mount = mount
        self.go = threading.Event()
        self.contexts = []
        self.endpoint = Endpoint(self._handler, streaming="allow", keepalive_interval=250)

    def _handler(self, ctx):
        self.contexts.append(ctx)
        for _ in range(2000):
            if self.go.is_set() or ctx.disconnected.wait(0.01):
                return "waited"

    def __enter__(self):
        self._serving = serving(self.mount(self.endpoint.application, "/api/inngest"))
        self.place = self._serving.__enter__().partition("://")[2]
        return self

    def __exit__(self, *exc_info):
        self.go.set()
        self._serving.__exit__(*exc_info)

    def call(self):
        connection = http.client.HTTPConnection(self.place, timeout=60)
        connection.request("POST", "/api/inngest?" + FN, BODY)
        return connection, connection.getresponse()


@pytest.mark.parametrize("mount", MOUNTS)
def test_spaces_pass_through_a_mount_as_they_are_sent(mount):
    with Waiting(mount) as app:
        connection, answer = app.call()
        assert answer.status == 201
        assert answer.headers.get_all("X-Accel-Buffering") == ["no"]
        assert "Content-Length" not in answer.headers
        assert [answer.read(1) for _ in range(3)] == [b" "] * 3
        (ctx,) = app.contexts
        assert not ctx.disconnected.is_set()
        app.go.set()
        assert inner_of(b" " + answer.read())[2] == b'"waited"'
        connection.close()
        assert not ctx.disconnected.is_set()


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("spaces", [0, 2])
def test_a_disconnect_is_noticed_through_a_mount(mount, spaces, caplog):
    with Waiting(mount) as app:
        connection, answer = app.call()
        assert answer.read(spaces) == b" " * spaces
        answer.close()
        connection.close()
        wait_until(lambda: app.contexts and app.contexts[0].disconnected.is_set())
        # the server's thread sets the event first, and then logs
        wait_until(lambda: [r for r in caplog.records if "lost its connection" in r.msg])


# -- the recipes -----------------------------------------------------------------


def recipe(name):
    """Execute a recipe of the docs, and return the names that it defines."""
    names: t.Dict[str, t.Any] = {}
    text = DOCS.read_text(encoding="utf-8")
    code = text.partition(f"\n**{name}.**")[2].partition("```python\n")[2]
    exec(code.partition("```")[0], names)
    return names


def streamed_output(application):
    text = Client(application).post("/api/inngest?" + FN, data=BODY).data
    status, _, body = inner_of(text)
    assert status == 200, body
    return json.loads(body)


@pytest.mark.parametrize("with_recipe", [True, False])
def test_the_pyramid_recipe_restores_the_request(with_recipe):
    from pyramid.config import Configurator
    from pyramid.threadlocal import get_current_registry, get_current_request, manager
    from pyramid.wsgi import wsgiapp2

    names = recipe("Pyramid")
    done = threading.Event()

    def handler(ctx):
        assert done.wait(60)
        request = get_current_request()
        if request is None:
            return None
        registry = get_current_registry()
        return [request.path, request.shop, registry.settings["shop"], registry is not None]

    endpoint = Endpoint(
        handler,
        streaming="force",
        call_context=[names["pyramid_request"]] if with_recipe else [],
    )

    def view(context, request):
        request.shop = "of the request"
        request.add_finished_callback(lambda request: done.set())
        return wsgiapp2(endpoint.application)(context, request)

    with Configurator(settings={"shop": "of the registry"}) as config:
        config.add_route("inngest", "/api/inngest")
        config.add_view(view, route_name="inngest")
        app = config.make_wsgi_app()
    expected = ["/api/inngest", "of the request", "of the registry", True]
    assert streamed_output(app) == (expected if with_recipe else None)
    assert get_current_request() is None and not manager.stack


@pytest.mark.parametrize("with_recipe", [True, False])
def test_the_sqlalchemy_recipe_removes_the_session(with_recipe):
    import contextlib

    from sqlalchemy import create_engine, pool, text
    from sqlalchemy.orm import scoped_session, sessionmaker

    # a connection is closed in another thread than the one that opened it
    options = {"connect_args": {"check_same_thread": False}, "poolclass": pool.QueuePool}
    engine = create_engine("sqlite://", **options)
    Session = scoped_session(sessionmaker(engine))
    seen, in_request = [], Session()

    @contextlib.contextmanager
    def watch(environ):
        yield
        # after the recipe's context manager has been left
        seen.append(Session.registry.has())
        seen.append(engine.pool.checkedout())  # type: ignore[attr-defined]
        seen.append(Session() is in_request)
        Session.remove()

    def handler(ctx):
        return Session.execute(text("select 1")).scalar()

    contexts = [watch]
    if with_recipe:
        names = recipe("SQLAlchemy")
        names["Session"] = Session
        contexts.append(names["session_of_the_call"])
    endpoint = Endpoint(handler, streaming="force", call_context=contexts)
    try:
        assert streamed_output(endpoint.application) == 1
        assert seen == ([False, 0, False] if with_recipe else [True, 1, False])
    finally:
        Session.remove()
        engine.dispose()


@pytest.mark.parametrize("with_recipe", [True, False])
def test_the_django_recipe_closes_the_connections(with_recipe, tmp_path):
    import contextlib

    from django.db import connection

    django_settings.configure(tmp_path)
    seen = []

    @contextlib.contextmanager
    def watch(environ):
        yield
        # after the recipe's context manager has been left
        seen.append(connection.connection is None)
        connection.close()

    def handler(ctx):
        with connection.cursor() as cursor:
            return cursor.execute("select 1").fetchone()[0]

    contexts = [watch]
    if with_recipe:
        contexts.append(recipe("Django")["connections_of_the_call"])
    endpoint = Endpoint(handler, streaming="force", call_context=contexts)
    assert streamed_output(endpoint.application) == 1
    assert seen == [with_recipe]


def test_the_django_recipe_leaves_a_transaction_alone(tmp_path):
    from django.db import connection, transaction

    django_settings.configure(tmp_path)
    contexts = [recipe("Django")["connections_of_the_call"]]
    endpoint = Endpoint(lambda ctx: 1, call_context=contexts)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("create table if not exists kept (text varchar(80))")
        cursor.execute("insert into kept values ('a')")
        assert endpoint.call().get_json() == 1
    with connection.cursor() as cursor:
        assert cursor.execute("select text from kept").fetchall() == [("a",)]
        cursor.execute("drop table kept")
    connection.close()


def test_every_recipe_in_the_docs_is_tested():
    section = DOCS.read_text(encoding="utf-8").partition("\n## Recipes")[2].partition("\n## ")[0]
    names = re.findall(r"^\*\*(\w+)\.\*\*", section, re.M)
    assert names == ["Pyramid", "SQLAlchemy", "Django"]
    assert section.count("```python\n") == len(names)
