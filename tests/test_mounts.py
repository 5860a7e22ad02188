"""The endpoint mounted in each framework's own way."""

import pytest
from apps import Endpoint, call_body
from servers import Scripted, serving
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response


def dispatcher(endpoint):
    return DispatcherMiddleware(Response("a page", 404), {"/api/inngest": endpoint})


def in_bottle(endpoint):
    import bottle

    app = bottle.Bottle()
    app.mount("/api/inngest", endpoint)
    return app


def in_pyramid(endpoint):
    from pyramid.config import Configurator
    from pyramid.wsgi import wsgiapp2

    with Configurator() as config:
        config.add_route("inngest", "/api/inngest")
        config.add_view(wsgiapp2(endpoint), route_name="inngest")
        return config.make_wsgi_app()


@pytest.mark.parametrize("mount", [dispatcher, in_bottle, in_pyramid])
def test_it_registers_where_it_answers_and_nowhere_else(mount):
    server = Scripted((200, {"ok": True}))
    with serving(server) as origin:
        client = Client(mount(Endpoint(lambda ctx: "done", base_url=origin).application))
        assert client.put("/api/inngest").status_code == 200
    url = server.requests[0].get_json()["functions"][0]["steps"]["step"]["runtime"]["url"]
    assert url == "http://localhost/api/inngest?fnId=shop-f&stepId=step"
    answer = client.post(url.replace("http://localhost", ""), json=call_body())
    assert (answer.status_code, answer.get_json()) == (200, "done")
    assert client.get("/api/inngestfoo").status_code == 404
