"""Django, with the adapter, in a view, or beside the project."""

import os
from urllib.parse import parse_qs, urlsplit

import django
from db_functions import MOUNT, URL, client, declare, serve_settings
from django.conf import settings as django_settings

url = urlsplit(URL)
if url.scheme.startswith("postgresql"):
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "HOST": parse_qs(url.query)["host"][0],
        "PORT": parse_qs(url.query).get("port", [""])[0],
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": bool(os.environ.get("HEALTH_CHECKS")),
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
else:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.path[1:]}
database["ATOMIC_REQUESTS"] = bool(os.environ.get("ATOMIC"))
django_settings.configure(
    ALLOWED_HOSTS=["*"], DATABASES={"default": database}, ROOT_URLCONF="db_django"
)
django.setup()

# after the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: E402

import inngest_wsgi as inngest  # noqa: E402
import inngest_wsgi.django  # noqa: E402


def write(name):
    with connection.cursor() as cursor:
        cursor.execute("insert into rows (text) values (%s)", [name])


def once(key, work):
    with connection.cursor() as cursor:
        cursor.execute("select 1 from done where key = %s", [key])
        if cursor.fetchone() is None:
            work()
            cursor.execute("insert into done (key) values (%s)", [key])


class CloseAll:
    """The recipe that was in docs/streaming.md."""

    def __init__(self, environ):
        pass

    def __enter__(self):
        pass

    def __exit__(self, *exc_info):
        connections.close_all()


functions = declare(write, transaction.atomic, once)
settings = serve_settings(inngest_wsgi.django.step_transaction())
if MOUNT == "adapter":
    urlpatterns = [inngest_wsgi.django.serve(client, functions, **settings)]
    application = get_wsgi_application()
else:
    if os.environ.get("CLOSE_ALL"):
        settings["call_context"] = [CloseAll]
    endpoint = inngest.serve(client, functions, **settings)

    def view(request):
        started = []
        chunks = endpoint(request.environ, lambda *start: started.append(start))
        status, headers = started[0]
        return HttpResponse(b"".join(chunks), status=int(status[:3]), headers=dict(headers))

    urlpatterns = [path("api/inngest", view)]
    application = get_wsgi_application()
    if MOUNT == "dispatcher":
        application = DispatcherMiddleware(application, {"/api/inngest": endpoint})
