"""Each framework's way to mount a WSGI application.

A mount is a function of the endpoint and the path at which to mount it.
"""

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response


def latin(text):
    """Return a text in the encoding that PEP 3333 uses in an environ."""
    return text.encode().decode("latin-1")


def bare(endpoint, at):
    return endpoint


def dispatcher(endpoint, at):
    return DispatcherMiddleware(Response("a page", 404), {latin(at): endpoint})


def in_bottle(endpoint, at):
    import bottle

    app = bottle.Bottle()
    app.mount(at, endpoint)
    return app


def in_pyramid(endpoint, at):
    from pyramid.config import Configurator
    from pyramid.wsgi import wsgiapp2

    with Configurator() as config:
        config.add_route("inngest", at)
        config.add_view(wsgiapp2(endpoint), route_name="inngest")
        return config.make_wsgi_app()


MOUNTS = (dispatcher, in_bottle, in_pyramid)
ALL = (bare,) + MOUNTS
