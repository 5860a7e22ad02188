"""An application of Flask or Django runs here when its imports are changed, and no other
line."""

import sys
import types

import official_style
import pytest
from django.conf import settings
from django.urls import clear_url_caches
from werkzeug.test import Client

FUNCTIONS = """
client = inngest.Inngest(app_id="shop", is_production=False)


@client.create_function(fn_id="order", trigger=inngest.TriggerEvent(event="e"), retries=2)
def order(ctx: inngest.ContextSync) -> dict:
    total = ctx.step.run("total", lambda a, b: a + b, 1, ctx.event.data["n"])
    ctx.step.sleep("settle", datetime.timedelta(minutes=90))
    return {"total": total}


@client.create_function(fn_id="broken", trigger=inngest.TriggerEvent(event="e"), retries=0)
def broken(ctx: inngest.ContextSync) -> None:
    raise inngest.NonRetriableError("broken")
"""

FLASK = f"""
import datetime

import flask
import inngest
import inngest.flask
{FUNCTIONS}

application = flask.Flask(__name__)
inngest.flask.serve(application, client, [order, broken]ARGUMENTS)
"""

DJANGO = f"""
import datetime

import inngest
import inngest.django
from django.core.wsgi import get_wsgi_application
{FUNCTIONS}

urlpatterns = [
    inngest.django.serve(client, [order, broken]ARGUMENTS),
]
application = get_wsgi_application()
"""

MOVED = {
    "import inngest": "import inngest_wsgi as inngest",
    "import inngest.flask": "import inngest_wsgi.flask",
    "import inngest.django": "import inngest_wsgi.django",
}
ARGUMENTS = {
    "": "/api/inngest",
    ', serve_path="/v1/jobs"': "/v1/jobs",
    ', serve_origin="https://shop.example", public_path="/p", enable_unauthed_sync=True': (
        "/api/inngest"
    ),
}


def run(source, name):
    """Import a program, as the module of Django's routes too."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
            ROOT_URLCONF="",
            SECRET_KEY="for tests",
        )
    module = sys.modules[name] = types.ModuleType(name)
    settings.ROOT_URLCONF = name
    clear_url_caches()
    exec(source, vars(module))
    return Client(module.application)


def answers(client, path):
    """Return what the server reads of some answers."""
    found = [client.get(path).status_code, client.delete(path).status_code]
    total = {official_style.hashed("total"): {"data": 3}}
    slept = dict(total, **{official_style.hashed("settle"): None})
    for fn_id, steps in [
        ("shop-order", {}),
        ("shop-order", total),
        ("shop-order", slept),
        ("shop-broken", {}),
    ]:
        event = {"name": "e", "data": {"n": 2}, "id": "e1", "ts": 1}
        response = official_style.call(client.application, fn_id, steps, event=event, path=path)
        found.append(min(response.status_code, 400))
        found.append(official_style.comparable(response.get_json()))
    return found


@pytest.mark.parametrize("arguments, path", ARGUMENTS.items())
@pytest.mark.parametrize("program", [FLASK, DJANGO], ids=["flask", "django"])
def test_an_application_moves_by_its_imports(program, arguments, path):
    source = program.replace("ARGUMENTS", arguments)
    lines = source.split("\n")
    moved = [MOVED.get(line, line) for line in lines]
    assert sum(one != other for one, other in zip(lines, moved)) == 2
    wanted = answers(run(source, "official_program"), path)
    assert 404 not in wanted
    found = answers(run("\n".join(moved), "moved_program"), path)
    assert found == wanted
