"""Pyramid with its debug toolbar, pyramid_tm, CSRF protection, a default permission, error
pages and slash redirects."""

import jobs
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from pyramid.threadlocal import get_current_registry, get_current_request


class Visitors:
    """A security policy: everybody may view pages, and nobody anything else."""

    def identity(self, request):
        return None

    authenticated_userid = identity

    def permits(self, request, context, permission):
        return permission == "view"


def keeps():
    request = get_current_request()
    assert get_current_registry() is request.registry
    assert "tm.active" not in request.environ
    return request.kept


def kept(request):
    return request.registry.settings["kept"]


def page(request):
    assert request.environ["tm.active"]
    return Response("<html><body>a page</body></html>")


def form(request):
    if request.method == "POST":
        return Response("saved: " + request.POST["text"])
    field = f"<input type=hidden name=csrf_token value='{get_csrf_token(request)}'>"
    return Response(f"<form method=post>{field}<input name=text></form>")


def error(request):
    raise RuntimeError("on purpose")


def folder(request):
    return Response("in the folder")


def missing(request):
    return Response("nothing here", status=404)


def something_broke(exc, request):
    return Response("something broke", status=500)


SETTINGS = {
    "debugtoolbar.hosts": "0.0.0.0/0",
    "kept": jobs.KEPT,
    "tm.commit_veto": "pyramid_tm.default_commit_veto",
    "tm.manager_hook": "pyramid_tm.explicit_manager",
}

with Configurator(settings=SETTINGS) as config:
    config.set_session_factory(SignedCookieSessionFactory("for tests"))
    config.set_security_policy(Visitors())
    config.set_default_permission("edit")
    config.set_default_csrf_options(require_csrf=True)
    config.include("inngest_wsgi.pyramid")
    for endpoint in jobs.endpoints(keeps):
        config.add_inngest(
            endpoint.client,
            endpoint.functions,
            serve_path=endpoint.path,
            route_name=endpoint.path,
            **endpoint.options,
        )
    config.include("pyramid_tm")
    config.include("pyramid_debugtoolbar")
    config.add_request_method(kept, reify=True)
    for name, view in [("page", page), ("form", form), ("error", error), ("folder/", folder)]:
        config.add_route(name, "/" + name)
        config.add_view(view, route_name=name, permission="view")
    config.add_notfound_view(missing, append_slash=True)
    config.add_exception_view(something_broke, context=Exception)
    application = config.make_wsgi_app()
