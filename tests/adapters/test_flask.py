import threading
import warnings

import flask
import pytest
from adapted import in_flask
from apps import call_body
from flask_wtf import CSRFProtect
from streams import FN, inner_of
from test_answers import declare, returns
from werkzeug.middleware.proxy_fix import ProxyFix

import inngest_wsgi as inngest
import inngest_wsgi.flask


def call(app, path="/api/inngest", fn=FN, **options):
    return app.test_client().post(f"{path}?{fn}", json=call_body(), **options)


def output_of(answer):
    if answer.status_code != 201:
        return answer.status_code, answer.data
    return inner_of(answer.data)[::2]


@pytest.mark.parametrize("streaming", [False, "force"])
def test_each_call_has_an_application_context_of_its_own(streaming):
    seen, ended = [], []

    def handler(ctx):
        seen.append((flask.current_app.name, flask.g.get("mark"), threading.current_thread()))
        flask.g.mark = "of an earlier call"
        return flask.current_app.config["SHOP"]

    app = flask.Flask("shop")
    app.config["SHOP"] = "tea"

    @app.before_request
    def mark():
        flask.g.mark = "of the request"

    @app.teardown_appcontext
    def end(error):
        ended.append((flask.g.get("mark"), threading.current_thread()))

    inngest_wsgi.flask.serve(app, *declare(handler), streaming=streaming)
    for _ in range(2):
        assert output_of(call(app)) == (200, b'"tea"')
    assert [found[:2] for found in seen] == [("shop", None)] * 2
    here = threading.current_thread()
    assert all((thread is here) == (not streaming) for _, _, thread in seen)
    # and Flask ends that of the request
    assert {("of an earlier call", thread) for _, _, thread in seen} <= set(ended)
    assert not flask.has_app_context()


@pytest.mark.parametrize("streaming", [False, "force"])
def test_a_failed_call_ends_its_application_context(streaming):
    ended = []

    def handler(ctx):
        flask.g.mark = 1
        raise ValueError("no")

    app = flask.Flask("shop")
    app.teardown_appcontext(lambda error: ended.append(flask.g.get("mark")))
    inngest_wsgi.flask.serve(app, *declare(handler), streaming=streaming)
    assert output_of(call(app))[0] == 500
    assert 1 in ended


@pytest.mark.parametrize("when", ["before", "after", "late"])
def test_csrf_protection_is_for_the_other_pages(when):
    app = flask.Flask("shop")
    app.config["SECRET_KEY"] = "for tests"
    csrf = CSRFProtect()
    if when == "before":
        csrf.init_app(app)
    inngest_wsgi.flask.serve(app, *declare(returns))
    if when == "after":
        csrf.init_app(app)
    app.add_url_rule("/form", "form", lambda: "saved", methods=["POST"])
    if when == "late":
        csrf.init_app(app)
    assert output_of(call(app))[0] == 200
    assert app.test_client().post("/form").status_code == 400


@pytest.mark.parametrize("strict", [True, False])
def test_slashes(strict):
    app = flask.Flask("shop")
    app.url_map.strict_slashes = strict
    inngest_wsgi.flask.serve(app, *declare(returns))
    app.add_url_rule("/folder/", "folder", lambda: "in the folder")
    assert [call(app, "/api/inngest" + end).status_code for end in ("", "/")] == [200, 200]
    assert app.test_client().get("/folder").status_code == (308 if strict else 200)


def test_a_route_of_a_blueprint_does_not_take_the_requests():
    app = flask.Flask("shop")
    pages = flask.Blueprint("pages", "pages", url_prefix="/api")

    @pages.before_app_request
    def refuse():
        flask.abort(401)

    @pages.app_errorhandler(401)
    def login(error):
        return "log in", 401

    pages.add_url_rule("/<path:page>", "page", lambda page: page, methods=["GET", "POST"])
    app.register_blueprint(pages)
    inngest_wsgi.flask.serve(app, *declare(returns))
    assert output_of(call(app))[0] == 200
    assert call(app, "/api/other").data == b"log in"


def test_a_factory_serves_one_client_in_several_applications():
    client, functions = declare(lambda ctx: flask.current_app.name)

    def create_app(name):
        app = flask.Flask(name)
        inngest_wsgi.flask.serve(app, client, functions)
        return app

    for app in [create_app("one"), create_app("other")]:
        assert call(app).get_json() == app.name


def test_several_endpoints_in_one_application():
    app = flask.Flask("shop")
    for name in ("one", "other"):
        client, functions = declare(lambda ctx, name=name: name)
        inngest_wsgi.flask.serve(app, client, functions, serve_path=f"/{name}/api.inngest")
    for name in ("one", "other"):
        assert call(app, f"/{name}/api.inngest").get_json() == name
    with pytest.raises(inngest.SettingsError, match="serve_path: '/one/api.inngest' is served"):
        inngest_wsgi.flask.serve(app, client, functions, serve_path="/one/api.inngest/")


@pytest.mark.parametrize("value", [None, "shop", flask.Blueprint("shop", "shop")])
def test_what_is_no_application_is_refused(value):
    with pytest.raises(inngest.SettingsError, match="app: must be a flask.Flask object"):
        inngest_wsgi.flask.serve(value, *declare(returns))


def test_every_host_of_an_application_that_matches_hosts():
    app = flask.Flask("shop", host_matching=True, static_host="static.example")
    inngest_wsgi.flask.serve(app, *declare(returns))
    for host in ("shop.example", "other.example:8000"):
        assert call(app, base_url=f"http://{host}").status_code == 200


@pytest.mark.parametrize("first", [True, False])
def test_the_address_is_that_of_middleware_whenever_it_was_added(first):
    app = flask.Flask("shop")
    if first:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    inngest_wsgi.flask.serve(app, *declare(returns))
    if not first:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    headers = {
        "X-Inngest-Sync-Kind": "in_band",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
    }
    answer = app.test_client().put("/api/inngest", data=b"{}", headers=headers)
    assert answer.get_json()["url"] == "https://shop.example/api/inngest"


@pytest.mark.skipif(
    not hasattr(flask.Flask, "before_first_request"), reason="Flask 2.3 has no such hook"
)
def test_the_first_request_may_be_a_call():
    app, prepared = flask.Flask("shop"), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(app, "before_first_request")(lambda: prepared.append(1))
    inngest_wsgi.flask.serve(app, *declare(lambda ctx: prepared))
    assert call(app).get_json() == [1]
    assert call(app).get_json() == [1]


def test_the_request_is_left_when_the_answer_begins():
    """Flask's own teardown functions run for the endpoint, too."""
    ended = []
    app = flask.Flask("shop")
    app.teardown_request(lambda error: ended.append(flask.request.path))
    inngest_wsgi.flask.serve(app, *declare(returns), streaming="force")
    assert output_of(call(app))[0] == 200
    assert ended == ["/api/inngest"] and not flask.has_request_context()


def test_the_routes_are_listed():
    rules = list(in_flask(*declare(returns)).url_map.iter_rules())
    (rule,) = [rule for rule in rules if rule.endpoint.startswith("inngest:")]
    assert rule.rule == "/api/inngest"
