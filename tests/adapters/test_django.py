import contextlib
import threading

import django_settings
import pytest
from adapted import django_application
from apps import call_body
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections, transaction
from django.db.backends.sqlite3.base import Database, DatabaseWrapper
from django.http import HttpResponse
from django.test import Client as OwnClient, RequestFactory
from django.urls import include, path, reverse
from streams import FN, inner_of
from test_answers import declare, returns
from werkzeug.test import Client

import inngest_wsgi.django
from inngest_wsgi.testing import TestServer

PLAIN = ["django.middleware.common.CommonMiddleware"]


def page(request):
    return HttpResponse("a page")


def served(handler, middleware=PLAIN, pages=(), overridden=None, **settings):
    entries = [inngest_wsgi.django.serve(*declare(handler), **settings), *pages]
    django_settings.override(**(overridden or {}))
    return Client(django_application(entries, WSGIHandler, middleware))


def call(client, path="/api/inngest", **options):
    answer = client.post(f"{path}?{FN}", json=call_body(), **options)
    if answer.status_code != 201:
        return answer.status_code, answer.data
    return inner_of(answer.data)[::2]


class Sees:
    """What makes transactions of another library in a project of Django."""

    def __call__(self, step):
        return contextlib.nullcontext()

    def open_transaction(self):
        return None


@pytest.fixture
def atomic_requests():
    """Django wraps each view in a transaction, of the only database that there is."""
    connections.databases["default"]["ATOMIC_REQUESTS"] = True
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connections.databases["default"]["ATOMIC_REQUESTS"] = False
    connection.settings_dict["ATOMIC_REQUESTS"] = False


def test_no_transaction_is_around_a_call(atomic_requests):
    seen = []

    def handler(ctx):
        return ctx.step.run("a", lambda: connection.in_atomic_block)

    def other(request):
        seen.append(connection.in_atomic_block)
        return page(request)

    client = served(handler, pages=[path("page", other)])
    assert b'"data":false' in call(client)[1]
    assert client.get("/page").data == b"a page"
    assert seen == [True]


@pytest.fixture
def kept_connections(monkeypatch):
    """Connections are kept from one request to the next, and can be lost."""

    def is_usable(self):
        try:
            self.connection.execute("select 1")
        except Database.Error:
            return False
        return True

    # as those of servers; nobody loses one of SQLite
    monkeypatch.setattr(DatabaseWrapper, "is_usable", is_usable)
    kept = connection.settings_dict.get("CONN_MAX_AGE")
    connections.databases["default"]["CONN_MAX_AGE"] = None
    connection.settings_dict["CONN_MAX_AGE"] = None
    yield
    connections.databases["default"]["CONN_MAX_AGE"] = kept
    connection.settings_dict["CONN_MAX_AGE"] = kept
    connection.close()


def query():
    with connection.cursor() as cursor:
        return cursor.execute("select 1").fetchone()[0]


def drop():
    """Lose the connection as by a restart of the database."""
    connection.ensure_connection()
    connection.connection.close()


@pytest.mark.parametrize("streaming", [False, "force"])
def test_a_lost_connection_fails_one_call_only(streaming, kept_connections):
    losing, closing = [], []

    def handler(ctx):
        if losing:
            losing.pop()
            drop()
        found = [query(), threading.current_thread().ident, id(connection.connection)]
        if closing:
            connection.close()
        return found

    client = served(handler, streaming=streaming)
    first = call(client)
    assert first[0] == 200
    # the connection is kept, in the thread of the function
    assert call(client) == first
    losing.append(1)
    status, body = call(client)
    assert status == 500 and b"ProgrammingError" in body
    assert call(client)[0] == 200
    closing.append(1)
    assert call(client)[0] == 200


def test_a_connection_that_was_lost_in_a_transaction(kept_connections):
    losing = [1]

    def handler(ctx):
        with transaction.atomic():
            if losing:
                losing.pop()
                drop()
            return query()

    client = served(handler)
    assert [call(client)[0] for _ in range(3)] == [500, 200, 200]


@pytest.mark.parametrize("streaming", [False, "force"])
def test_connections_are_closed_after_a_call(streaming):
    seen = []

    def handler(ctx):
        query()
        seen.append(connection.connection)

    assert call(served(handler, streaming=streaming)) == (200, b"null")
    with pytest.raises(Exception, match="closed database|thread"):
        seen[0].execute("select 1")


def test_the_connection_of_a_test_stays_in_its_transaction():
    """As in a TestCase of Django, whose tests call the endpoint in their own thread."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("create table things (name text)")

        def handler(ctx):
            with connection.cursor() as cursor:
                cursor.execute("insert into things values ('tea')")

        served(handler)
        server = TestServer()
        server.serve(OwnClient())
        assert server.send("test/event", {}).run("f").status == "Completed"
        with connection.cursor() as cursor:
            assert cursor.execute("select * from things").fetchall() == [("tea",)]
        transaction.set_rollback(True)


@pytest.mark.parametrize("append", [True, False])
def test_slashes(append):
    client = served(returns, pages=[path("folder/", page)], overridden={"APPEND_SLASH": append})
    assert [call(client, "/api/inngest" + end)[0] for end in ("", "/")] == [200, 200]
    assert client.get("/folder").status_code == (301 if append else 404)


def test_a_redirect_to_https_is_named():
    """The Inngest server follows a redirect with a GET."""
    middleware = ["django.middleware.security.SecurityMiddleware"]
    client = served(returns, middleware, overridden={"SECURE_SSL_REDIRECT": True})
    answer = client.post("/api/inngest?" + FN, json=call_body())
    assert answer.status_code == 301
    assert answer.headers["Location"] == "https://localhost/api/inngest?" + FN
    headers = {"Referer": "http://localhost/api/inngest?" + FN}
    answer = client.get("/api/inngest?" + FN, base_url="https://localhost", headers=headers)
    assert answer.status_code == 500
    assert "from http://localhost/api/inngest" in answer.get_json()["message"]
    # with a proxy that says so
    settings = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}
    django_settings.override(**settings)
    assert call(client, headers={"X-Forwarded-Proto": "https"})[0] == 200


@pytest.mark.parametrize(
    "overridden, headers, url",
    [
        ({}, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "x.example"}, "http://localhost"),
        (
            {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
            {"X-Forwarded-Proto": "https"},
            "https://localhost",
        ),
        (
            {"USE_X_FORWARDED_HOST": True},
            {"X-Forwarded-Host": "shop.example:8000"},
            "http://shop.example:8000",
        ),
        ({"FORCE_SCRIPT_NAME": "/outer/é"}, {}, "http://localhost/outer/%C3%A9"),
    ],
)
def test_the_address_is_that_of_djangos_settings(overridden, headers, url):
    client = served(returns, overridden=overridden)
    headers = dict(headers, **{"X-Inngest-Sync-Kind": "in_band"})
    answer = client.put("/api/inngest", data=b"{}", headers=headers)
    assert answer.get_json()["url"] == url + "/api/inngest"


@pytest.mark.parametrize("hosts, status", [(["shop.example"], 400), (["localhost"], 200)])
def test_the_host_must_be_allowed(hosts, status):
    assert call(served(returns, overridden={"ALLOWED_HOSTS": hosts}))[0] == status


def reads_before(get_response):
    def middleware(request):
        assert request.body
        return get_response(request)

    return middleware


def reads_after(get_response):
    """Read as the debug toolbar does."""

    def middleware(request):
        response = get_response(request)
        assert request.body == b"" and not request.POST
        return response

    return middleware


def large(ctx):
    return len(ctx.event.data["text"])


@pytest.mark.parametrize(
    "middleware, limit, status",
    [
        (reads_before, 10_000, 400),
        (reads_before, 10_000_000, 200),
        (reads_after, 10_000, 200),
    ],
)
def test_a_middleware_may_read_the_body(middleware, limit, status):
    name = f"test_django.{middleware.__name__}"
    client = served(large, [name], overridden={"DATA_UPLOAD_MAX_MEMORY_SIZE": limit})
    body = call_body()
    body["event"]["data"]["text"] = "x" * 20_000
    assert client.post("/api/inngest?" + FN, json=body).status_code == status


def test_an_entry_may_be_included():
    entry = inngest_wsgi.django.serve(*declare(returns))
    client = Client(django_application([path("v1/", include([entry]))], WSGIHandler, PLAIN))
    assert reverse("inngest") == "/v1/api/inngest"
    assert call(client, "/v1/api/inngest")[0] == 200
    headers = {"X-Inngest-Sync-Kind": "in_band"}
    answer = client.put("/v1/api/inngest", data=b"{}", headers=headers)
    assert answer.get_json()["url"] == "http://localhost/v1/api/inngest"


def test_djangos_own_test_client():
    served(returns)
    answer = OwnClient().post("/api/inngest?" + FN, call_body(), content_type="application/json")
    assert answer.status_code == 200 and answer.json() == {"é": "test/event"}


def test_an_asgi_handler_is_refused():
    entry = inngest_wsgi.django.serve(*declare(returns))
    request = RequestFactory().post("/api/inngest")
    del request.environ
    with pytest.raises(ImproperlyConfigured, match="serve the project's wsgi.py"):
        entry.callback(request)


@pytest.mark.parametrize("others", [[], [Sees()]], ids=["alone", "with a form"])
def test_a_transaction_around_steps_is_warned_of(others, caplog):
    def handler(ctx):
        with transaction.atomic():
            ctx.step.sleep("nap", "1h")

    assert call(served(handler, step_context=others))[0] == 206
    assert "has a transaction.atomic() on the database 'default' open" in caplog.text
