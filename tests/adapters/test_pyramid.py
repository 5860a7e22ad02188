import threading

import pytest
import transaction
from apps import call_body
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError
from pyramid.request import Request
from pyramid.response import Response
from pyramid.threadlocal import get_current_registry, get_current_request, manager
from streams import FN, inner_of
from test_answers import declare, returns
from werkzeug.test import Client


def application(handler, more=lambda config: None, settings=None, **options):
    with Configurator(settings=settings or {}) as config:
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(*declare(handler), **options)
        more(config)
        return config.make_wsgi_app()


def call(app, path="/api/inngest"):
    answer = Client(app).post(f"{path}?{FN}", json=call_body())
    if answer.status_code != 201:
        return answer.status_code, answer.data
    return inner_of(answer.data)[::2]


@pytest.mark.parametrize("streaming", [False, "force"])
@pytest.mark.parametrize("fails", [False, True])
def test_each_call_has_a_request_of_its_own(streaming, fails):
    seen, finished = [], []

    def handler(ctx):
        request = get_current_request()
        assert get_current_registry() is request.registry
        seen.append((request, threading.current_thread()))
        assert request.shop == "tea" and request.total() == 3
        assert request.registry.settings["shop"] == "tea"
        assert request.path == "/api/inngest" and request.body == b""
        assert request.route_url("inngest") == "http://localhost/api/inngest"
        request.add_finished_callback(
            lambda found: finished.append((found, threading.current_thread()))
        )
        if fails:
            raise ValueError("no")
        return request.method

    def more(config):
        config.add_request_method(lambda request: "tea", "shop", reify=True)
        config.add_request_method(lambda request: 3, "total")

    app = application(handler, more, {"shop": "tea"}, streaming=streaming)
    for _ in range(2):
        status, body = call(app)
        assert (status, body) == (200, b'"POST"') or (fails and status == 500)
    assert finished == seen
    (one, thread), (other, _) = seen
    assert one is not other
    assert (thread is threading.current_thread()) == (not streaming)
    assert get_current_request() is None and not manager.stack


class Began(transaction.TransactionManager):
    began = 0

    def begin(self):
        type(self).began += 1
        return super().begin()


def test_only_what_reads_between_steps_has_a_transaction_around_a_call():
    """It is aborted when the call is over, and the tween has to do with none of it."""
    seen = []

    def handler(ctx):
        request = get_current_request()
        seen.append(("tm.active" in request.environ, Began.began, request.tm))

    def page(request):
        seen.append(("tm.active" in request.environ, Began.began, request.tm))
        return Response("a page")

    def more(config):
        config.include("pyramid_tm")
        config.add_route("page", "/page")
        config.add_view(page, route_name="page")

    hook = {"tm.manager_hook": lambda request: Began(explicit=True)}
    app = application(handler, more, hook)
    Began.began = 0
    assert call(app) == (200, b"null")
    assert Client(app).get("/page").data == b"a page"
    (active, began, manager_of_call), (page_active, page_began, other) = seen
    assert (active, began, page_active, page_began) == (False, 1, True, 2)
    with pytest.raises(transaction.interfaces.NoTransaction):
        manager_of_call.get()
    # that of the application, for transactions of the steps
    assert isinstance(manager_of_call, Began) and manager_of_call is not other


def test_tweens_may_be_listed_explicitly():
    def more(config):
        config.include("pyramid_tm")

    settings = {
        "pyramid.tweens": "pyramid_tm.tm_tween_factory\npyramid.tweens.excview_tween_factory"
    }
    app = application(lambda ctx: "tm.active" in get_current_request().environ, more, settings)
    assert call(app) == (200, b"false")


def test_a_route_that_matches_everything_does_not_take_the_requests():
    with Configurator() as config:
        config.add_route("all", "/{rest:.*}")
        config.add_view(lambda request: Response("a page"), route_name="all")
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(*declare(returns))
        app = config.make_wsgi_app()
    assert [call(app, "/api/inngest" + end)[0] for end in ("", "/")] == [200, 200]
    assert Client(app).get("/api/other").data == b"a page"


def test_a_prefix_of_routes_stands_before_the_path():
    def routes(config):
        config.add_inngest(*declare(returns), route_name="jobs")

    with Configurator() as config:
        config.include("inngest_wsgi.pyramid")
        config.include(routes, route_prefix="/v1")
        app = config.make_wsgi_app()
    assert call(app, "/v1/api/inngest")[0] == 200
    assert call(app, "/api/inngest")[0] == 404
    request = Request.blank("/")
    request.registry = config.registry
    assert request.route_path("jobs") == "/v1/api/inngest"


def test_several_endpoints():
    with Configurator() as config:
        config.include("inngest_wsgi.pyramid")
        for name in ("one", "other"):
            client, functions = declare(lambda ctx, name=name: name)
            config.add_inngest(client, functions, serve_path="/" + name, route_name=name)
        app = config.make_wsgi_app()
    assert [call(app, path) for path in ("/one", "/other")] == [(200, b'"one"'), (200, b'"other"')]


@pytest.mark.parametrize(
    "other", [{"route_name": "other"}, {"serve_path": "/other"}], ids=["path", "route"]
)
def test_what_is_served_twice_is_a_conflict(other):
    with pytest.raises(ConfigurationConflictError):
        application(returns, lambda config: config.add_inngest(*declare(returns), **other))


def test_an_include_may_be_repeated():
    def again(config):
        config.commit()
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(*declare(returns), serve_path="/other", route_name="other")

    app = application(returns, again)
    assert [call(app, path)[0] for path in ("/api/inngest", "/other")] == [200, 200]
    assert Client(app).get("/").status_code == 404


def test_two_applications_of_one_configuration():
    with Configurator() as config:
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(*declare(returns))
        for app in [config.make_wsgi_app(), config.make_wsgi_app()]:
            assert call(app)[0] == 200
            assert Client(app).get("/").status_code == 404


def test_an_execution_policy_stays_for_the_other_pages():
    seen = []

    def policy(environ, router):
        seen.append(environ["PATH_INFO"])
        with router.request_context(environ) as request:
            return router.invoke_request(request)

    app = application(returns, lambda config: config.set_execution_policy(policy))
    assert call(app)[0] == 200
    assert Client(app).get("/page").status_code == 404
    assert seen == ["/page"]


def test_a_subrequest():
    def page(request):
        inner = Request.blank("/api/inngest?" + FN, json=call_body(), method="POST")
        return request.invoke_subrequest(inner)

    def more(config):
        config.add_route("page", "/page")
        config.add_view(page, route_name="page")
        config.set_default_csrf_options(require_csrf=True)

    app = application(lambda ctx: get_current_request().path, more)
    assert Client(app).get("/page").get_json() == "/api/inngest"


def test_the_route_is_listed():
    from pyramid.interfaces import IRoutesMapper

    app = application(returns)
    routes = app.registry.getUtility(IRoutesMapper).get_routes()
    assert [(route.name, route.pattern) for route in routes] == [("inngest", "/api/inngest")]
