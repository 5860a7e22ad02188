"""How applications are handed over to a TestServer, and how they are called."""

import http.client
import random
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading

import bottle
import flask
import pytest
import werkzeug.test
from mounts import MOUNTS
from stub_server import serving
from toolkit_shop import Shop, app_of
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi.testing import SyncError, TestServer

AT = "/api/inngest"


@pytest.fixture
def shop():
    return Shop()


def in_flask(endpoint, at):
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = flask.Flask("shop")
    app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, {at: endpoint}
    )
    return app


def in_flask_client(endpoint, at):
    return in_flask(endpoint, at).test_client()


def in_werkzeug_client(endpoint, at):
    return werkzeug.test.Client(MOUNTS[0](endpoint, at), Response)


def in_webtest(endpoint, at):
    webtest = pytest.importorskip("webtest")
    return webtest.TestApp(MOUNTS[0](endpoint, at), extra_environ={"REMOTE_USER": "ann"})


@pytest.mark.parametrize(
    "mount", [*MOUNTS, in_flask, in_flask_client, in_werkzeug_client, in_webtest]
)
def test_an_application_is_called_in_the_thread_of_the_test(inngest_server, shop, mount):
    threads = []

    @shop.function("where", "shop/where")
    def where(ctx):
        threads.append(threading.current_thread())
        return ctx.step.run("in-a-step", lambda: threads.append(threading.current_thread()))

    inngest_server.serve(mount(shop.serve(), AT))
    run = inngest_server.send("shop/where").run("where")
    assert run.status == "Completed", run
    assert set(threads) == {threading.current_thread()}


def test_the_environ_of_a_webtest_app_is_kept(inngest_server):
    webtest = pytest.importorskip("webtest")
    seen = []

    class Sees(inngest.Middleware):
        def __init__(self, client, raw_request):
            super().__init__(client, raw_request)
            seen.append(raw_request["REMOTE_USER"])

    shop = Shop(middleware=[Sees])
    app = webtest.TestApp(shop.application, extra_environ={"REMOTE_USER": "ann"})
    inngest_server.serve(app)
    inngest_server.send("shop/order.placed", {"id": 1})
    assert set(seen) == {"ann"}


@pytest.mark.parametrize("options", [{}, {"streaming": "force"}, {"checkpointing": False}])
def test_no_setting_of_production_matters(inngest_server, shop, options, monkeypatch):
    monkeypatch.setenv("INNGEST_BASE_URL", "https://inngest.example")
    threads = []

    @shop.function("f", "go")
    def f(ctx):
        threads.append(threading.current_thread())
        return ctx.step.run("a", int)

    app = shop.serve(serve_origin="https://shop.example", serve_path="/behind/a/proxy", **options)
    inngest_server.serve(app, path="/")
    assert inngest_server.send("go").run().result() == 0
    assert set(threads) == {threading.current_thread()}
    assert all(call.status in (200, 206) for call in inngest_server.calls)


def test_no_socket_is_opened(inngest_server, shop, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    inngest_server.serve(shop.application)
    run = inngest_server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
    shop.client.send(inngest.Event("shop/order.paid", {"by": "card"}))
    inngest_server.advance("1m")
    assert run.result() == "card"


def test_pytest_socket_allows_it(tmp_path):
    pytest.importorskip("pytest_socket")
    (tmp_path / "test_shop.py").write_text(
        textwrap.dedent(
            """
            from toolkit_shop import Shop

            def test_shop(inngest_server):
                shop = Shop()
                inngest_server.serve(shop.application)
                run = inngest_server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
                shop.client.send(shop.paid())
                inngest_server.run_until_idle()
                assert run.result() == "card"
            """
        )
    )
    run_pytest(tmp_path, "--disable-socket", "--allow-unix-socket")


def run_pytest(folder, *options):
    """Run the tests in a folder by a pytest of its own; it knows the installed package."""
    from pathlib import Path

    support = Path(__file__).resolve().parent.parent / "support"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error::UserWarning", *options]
    command += ["-o", f"pythonpath={support}", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, cwd=str(folder), stdout=subprocess.PIPE, timeout=300)
    text = done.stdout.decode()
    assert done.returncode == 0, text
    return text


def test_no_thread_is_started(inngest_server, monkeypatch):
    def refuse(self):
        raise AssertionError("a thread was started")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    policy = inngest.Checkpointing(buffered_steps=10, max_interval="1s")
    several = [f"s{n}" for n in range(15)]
    app = app_of(lambda ctx: [ctx.step.run(s, int) for s in several], checkpointing=policy)
    inngest_server.serve(app)
    assert inngest_server.send("go").run().result() == [0] * 15
    assert len(inngest_server.calls) == 1


# -- what belongs to the thread ----------------------------------------------------


def test_a_database_in_memory_and_a_transaction_that_is_rolled_back(inngest_server):
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE orders (id)")
    database.execute("BEGIN")

    def f(ctx):
        # sqlite3 refuses to be used in another thread
        ctx.step.run("insert", lambda: database.execute("INSERT INTO orders VALUES (1)") and None)
        return ctx.step.run("count", count)

    def count():
        return database.execute("SELECT count(*) FROM orders").fetchone()[0]

    inngest_server.serve(app_of(f))
    assert inngest_server.send("go").run().result() == 1
    database.execute("ROLLBACK")
    assert count() == 0
    database.close()


def test_a_transaction_of_sqlalchemy_that_is_rolled_back(inngest_server):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.pool import StaticPool

    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    connection = engine.connect()
    connection.execute(sqlalchemy.text("CREATE TABLE orders (id INTEGER)"))
    connection.commit()

    def insert():
        connection.execute(sqlalchemy.text("INSERT INTO orders VALUES (7)"))

    inngest_server.serve(app_of(lambda ctx: ctx.step.run("insert", insert)))
    inngest_server.send("go").run().result()
    count = sqlalchemy.text("SELECT count(*) FROM orders")
    assert connection.execute(count).scalar() == 1
    connection.rollback()
    assert connection.execute(count).scalar() == 0
    connection.close()
    engine.dispose()


def test_django_with_its_test_case_and_its_client(tmp_path):
    (tmp_path / "shop_urls.py").write_text(
        textwrap.dedent(
            """
            from django.db import models
            from django.http import HttpResponse
            from django.urls import path

            import inngest_wsgi as inngest

            client = inngest.Inngest(app_id="shop", is_production=True)

            class Order(models.Model):
                class Meta:
                    app_label = "shop_urls"

            @client.create_function(fn_id="place", trigger=inngest.TriggerEvent(event="go"))
            def place(ctx):
                ctx.step.run("insert", lambda: Order.objects.create() and None)
                return ctx.step.run("count", Order.objects.count)

            endpoint = inngest.serve(client, [place], signing_key="signkey-test-" + "ab" * 32)

            def inngest_view(request):
                answer = {}
                def start_response(status, headers, exc_info=None):
                    answer.update(status=int(status.split()[0]), headers=headers)
                body = b"".join(endpoint(request.environ, start_response))
                response = HttpResponse(body, status=answer["status"])
                for name, value in answer["headers"]:
                    response[name] = value
                return response

            def order_view(request):
                client.send(inngest.Event("go"))
                return HttpResponse("thanks")

            inngest_view.csrf_exempt = True
            urlpatterns = [path("api/inngest", inngest_view), path("order", order_view)]
            """
        )
    )
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent(
            """
            import django
            from django.conf import settings

            settings.configure(
                DATABASES={
                    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
                },
                ROOT_URLCONF="shop_urls",
                ALLOWED_HOSTS=["testserver"],
                USE_TZ=True,
                DEFAULT_AUTO_FIELD="django.db.models.AutoField",
            )
            django.setup()

            from django.db import connection
            from shop_urls import Order

            with connection.schema_editor() as editor:
                editor.create_model(Order)
            """
        )
    )
    (tmp_path / "test_shop.py").write_text(
        textwrap.dedent(
            """
            import pytest
            from django.core.wsgi import get_wsgi_application
            from django.test import Client, TestCase
            from shop_urls import Order

            from inngest_wsgi.testing import InngestTestMixin

            class Orders(InngestTestMixin, TestCase):
                def check(self, app):
                    self.inngest_server.serve(app)
                    self.assertEqual(self.inngest_server.send("go").run().result(), 1)
                    self.assertEqual(Order.objects.count(), 1)

                # each begins with no order: the transaction of the other was rolled back
                def test_the_application(self):
                    self.check(get_wsgi_application())

                def test_the_client(self):
                    self.check(Client())

                def test_a_view_that_sends_an_event(self):
                    self.inngest_server.serve(self.client)
                    assert self.client.post("/order").content == b"thanks"
                    # not within the view, and its transaction
                    self.assertEqual(Order.objects.count(), 0)
                    self.assertEqual(self.inngest_server.run("place").result(), 1)
            """
        )
    )
    assert "3 passed" in run_pytest(tmp_path)


# -- the client ------------------------------------------------------------------


def test_events_that_views_and_the_test_send_reach_the_server(inngest_server, shop):
    app = bottle.Bottle()
    app.mount(AT, shop.serve())

    @app.post("/orders")
    def place():
        shop.client.send(inngest.Event("shop/order.placed", {"id": 7}))
        return "thanks"

    inngest_server.serve(app)
    assert werkzeug.test.Client(app).post("/orders").data == b"thanks"
    run = inngest_server.run("fulfil-order")
    assert shop.charged == [7]
    [event_id] = shop.client.send(inngest.Event("shop/order.paid", {"by": "card"}))
    assert inngest_server.events()[-1].id == event_id
    assert run.result() == "card"


def test_all_is_as_before_once_the_server_is_closed():
    shop = Shop(api_base_url="http://127.0.0.1:9", event_api_base_url="http://127.0.0.1:9")
    before = dict(vars(shop.client))
    endpoint = shop.serve()
    with TestServer() as server:
        server.serve(endpoint, path="/")
        server.send("shop/order.placed", {"id": 1})
        # a request of anybody else is answered as ever, meanwhile too
        assert werkzeug.test.Client(endpoint).post("/").status_code == 401
    assert vars(shop.client) == before
    client = werkzeug.test.Client(endpoint)
    assert client.post("/?fnId=shop-fulfil-order&stepId=step", json={}).status_code == 401
    assert client.put("/").status_code == 401
    with pytest.raises(inngest.SendEventsError):
        shop.client.send(shop.paid())
    with TestServer() as server:
        server.serve(endpoint, path="/")
        assert server.send("shop/order.placed", {"id": 2}).run("fulfil-order").step("charge")


def test_a_client_is_bound_to_one_server(shop):
    with TestServer() as one, TestServer() as other:
        one.serve(shop.application)
        # two endpoints may have one client
        one.serve(shop.serve(app_id="second-shop"), path="/second")
        with pytest.raises(SyncError, match="is bound to another test server"):
            other.serve(shop.application)
    with TestServer() as other:
        other.serve(shop.application)


# -- what is wrong ---------------------------------------------------------------


@pytest.mark.parametrize(
    "app, path, said",
    [
        (lambda: Response("hello"), AT, "No endpoint of serve\\(\\) is at /api/inngest"),
        (lambda: Response("gone", 404), AT, "HTTP 404: gone. No endpoint"),
        (lambda: Shop().application, "/elsewhere", "No endpoint of serve\\(\\) is at /elsewhere"),
        (
            lambda: Response("gone", 404),
            AT,
            "of a dispatcher, pass the dispatcher",
        ),
    ],
)
def test_an_application_without_an_endpoint(inngest_server, app, path, said):
    with pytest.raises(SyncError, match=said):
        inngest_server.serve(app(), path=path)


def test_an_application_that_passes_on_only_some_of_the_environ(inngest_server, shop):
    app = shop.application

    def front(environ, start_response):
        standard = {key: value for key, value in environ.items() if key != "inngest_wsgi.test"}
        return app(standard, start_response)

    with pytest.raises(SyncError, match="did not get environ\\['inngest_wsgi.test'\\]"):
        inngest_server.serve(front)


def test_a_registration_that_fails_in_the_endpoint(inngest_server, shop):
    app = shop.application

    def front(environ, start_response):
        return app({**environ, "HTTP_HOST": "not a host"}, start_response)

    with pytest.raises(SyncError, match="does not tell this app's address") as caught:
        inngest_server.serve(front)
    assert "No endpoint" not in str(caught.value)


def test_an_application_that_raises(inngest_server, caplog):
    def broken(environ, start_response):
        raise RuntimeError("no database")

    with pytest.raises(SyncError, match="RuntimeError: no database") as caught:
        inngest_server.serve(broken)
    assert "the application raised" in caplog.text
    # pytest and unittest show it with its traceback, whatever is logged
    assert isinstance(caught.value.__cause__, RuntimeError)
    told = inngest_server.describe()
    assert "instead of answering PUT http://testserver/api/inngest:\nTraceback" in told
    assert 'in broken\n    raise RuntimeError("no database")\n' in told


def test_no_request_closes_the_database_connections_of_a_django_test(inngest_server, shop):
    """Django's handler would, and a ``TestCase`` has a transaction open in them."""
    signals = pytest.importorskip("django.core.signals")
    database = pytest.importorskip("django.db")
    both = [signals.request_started, signals.request_finished]

    def closing():
        found = [key for signal in both for ((key, _), *_) in signal.receivers]
        return found.count(id(database.close_old_connections))

    app, during = shop.application, []

    def seen(environ, start_response):
        during.append(closing())
        return app(environ, start_response)

    inngest_server.serve(seen)
    assert during == [0]
    assert closing() == 2


def test_what_is_no_application(inngest_server):
    with pytest.raises(TypeError, match="serve\\(\\) takes a WSGI application, its URL"):
        inngest_server.serve(object())


def test_open_runs_are_called_at_the_newest_address(inngest_server):
    """As was seen on a real server; but a run keeps its number of attempts."""
    calls = []

    def version(name):
        def handler(ctx):
            calls.append((name, ctx.max_attempts))
            ctx.step.sleep("nap", "1h")
            return name

        return handler

    inngest_server.serve(app_of(version("old"), retries=0))
    run = inngest_server.send("go").run()
    inngest_server.serve(app_of(version("new"), retries=3), base_url="http://new.test")
    inngest_server.advance("1h")
    assert run.result() == "new"
    assert calls == [("old", 1), ("new", 1)]


def test_two_applications(inngest_server, shop):
    inngest_server.serve(shop.application)
    inngest_server.serve(app_of(lambda ctx: "second"), base_url="http://second.test")
    with pytest.raises(ValueError, match="another application is served at http://second.test"):
        inngest_server.serve(app_of(lambda ctx: "third"), base_url="http://second.test")
    assert inngest_server.send("go").run().result() == "second"


def redirected(target, application, at):
    """Return a WSGI application that answers by a redirect to a path, where it is served."""

    def front(environ, start_response):
        if environ["SCRIPT_NAME"] + environ["PATH_INFO"] == target:
            return application({**environ, "SCRIPT_NAME": "", "PATH_INFO": at}, start_response)
        headers = [("Location", f"{target}?{environ['QUERY_STRING']}")]
        start_response("308 Permanent Redirect", headers)
        return [b""]

    return front


@pytest.mark.parametrize("target", ["{at}", "{at}/", "/moved"])
@pytest.mark.parametrize("served_at", ["{at}", "{at}/"])
@pytest.mark.parametrize("paths", [("/one", "/two"), ("/one", "/one/two"), ("/one/two", "/one")])
def test_two_applications_of_one_host_that_redirect(inngest_server, target, served_at, paths):
    for name, at in zip(("first", "second"), paths):
        shop = Shop(app_id=name)
        shop.functions.clear()
        shop.function(name, name)(lambda ctx, name=name: f"{name} app")
        app = MOUNTS[0](shop.serve(), at)
        app = redirected(target.format(at=at), app, at)
        inngest_server.serve(app, path=served_at.format(at=at))
    outputs = [inngest_server.send(name).run().output for name in ("first", "second")]
    assert outputs == ["first app", "second app"]


def test_two_applications_that_register_at_a_path_of_neither(inngest_server):
    def rewritten(application):
        return lambda environ, start: application({**environ, "PATH_INFO": AT}, start)

    for path in ("/one", "/two"):
        app = Shop(app_id=path[1:]).application
        inngest_server.serve(rewritten(app), path=path)
    run = inngest_server.send("shop/order.placed", {"id": 1}).runs[0]
    inngest_server.run_until_idle()
    assert run.status == "Failed", run
    said = "no application is served at http://testserver/api/inngest, and several are"
    assert f"{said} at other paths of its host: http://testserver/one, " in str(run)


@pytest.mark.parametrize("name", ["Http", "Router"])
def test_a_client_stays_as_it_was_if_its_endpoint_cannot_be_bound(shop, monkeypatch, name):
    from inngest_wsgi._endpoint import binding

    def fail(*args, **kwargs):
        raise RuntimeError("cannot be made")

    with TestServer() as server, monkeypatch.context() as patched:
        patched.setattr(binding, name, fail)
        with pytest.raises(SyncError, match="cannot be made"):
            server.serve(shop.application)
        # else it would be bound to the server that is still open
        patched.undo()
        with TestServer() as other:
            other.serve(shop.application)
            assert other.send("shop/order.placed", {"id": 1}).run("fulfil-order")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_all_the_others_are_undone_if_one_fails(end):
    shops = [Shop(app_id=f"shop{n}") for n in range(3)]
    before = [dict(vars(shop.client)) for shop in shops]
    server = TestServer()
    url = server.url

    def broken():
        raise RuntimeError("cannot be undone")

    for n, shop in enumerate(shops):
        server.serve(shop.application, base_url=f"http://{n}.test")
        server._binding.bound(broken)
    with pytest.raises(RuntimeError, match="cannot be undone"):
        getattr(server, end)()
    assert [vars(shop.client) for shop in shops] == before
    # nobody listens any more
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0
    server.close()


# -- over HTTP -------------------------------------------------------------------


def test_an_application_at_a_url(inngest_server):
    client = inngest.Inngest(app_id="far", is_production=False, api_base_url=inngest_server.url)
    declare = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="go"))
    endpoint = inngest.serve(client, [declare(lambda ctx: ctx.step.run("a", lambda: "far away"))])
    with serving(endpoint) as origin:
        inngest_server.serve(f"{origin}/api/inngest")
        assert inngest_server.send("go").run().result() == "far away"


# -- nobody else ------------------------------------------------------------------

NAMES = ("inngest_wsgi.test", "Inngest-Wsgi.Test", "inngest-wsgi-test")


def test_no_request_can_bind_an_endpoint(shop):
    endpoint = shop.serve()
    with serving(endpoint) as origin:
        for name in NAMES:
            connection = http.client.HTTPConnection(origin.partition("://")[2], timeout=60)
            headers = {name: "1", "Content-Length": "2"}
            connection.request("POST", "/?fnId=shop-fulfil-order&stepId=step", b"{}", headers)
            answer = connection.getresponse()
            assert answer.status == 401
            answer.read()
            connection.close()
    assert endpoint._endpoint._bound is None


def test_a_text_in_the_environ_binds_nothing(shop):
    # a server's configuration can set keys, to text; fuzzed, for good measure
    draw = random.Random(7)
    endpoint = shop.serve()
    for value in ("", "1", "request", b"x", None, {}, draw.random()):
        environ = werkzeug.test.create_environ(method="POST", json={})
        environ["inngest_wsgi.test"] = value
        _, status, _ = werkzeug.test.run_wsgi_app(endpoint, environ)
        assert status.startswith("401")
