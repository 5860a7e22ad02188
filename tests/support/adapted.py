"""Applications of Flask, Django and Pyramid with an adapter's endpoint, in which every
other request is refused, and every other answer rewritten."""

import types

import django_settings

REFUSED = 403
REWRITTEN = "rewritten"


def in_flask(client, functions, **settings):
    import flask
    from flask_wtf import CSRFProtect

    import inngest_wsgi.flask

    app = flask.Flask("shop")
    app.config.update(
        SECRET_KEY="for tests", MAX_CONTENT_LENGTH=100, WTF_CSRF_METHODS=["GET", "POST", "PUT"]
    )
    CSRFProtect(app)

    @app.before_request
    def refuse():
        flask.g.user = None
        flask.abort(REFUSED)

    @app.after_request
    def rewrite(response):
        assert flask.g.user is None
        response.data = REWRITTEN
        response.headers["X-Rewritten"] = "1"
        return response

    @app.errorhandler(Exception)
    def error(exc):
        return REWRITTEN, 200

    inngest_wsgi.flask.serve(app, client, functions, **settings)
    return app


class Refuses:
    """Middleware of Django that asks for a login, as older projects have it, and
    rewrites every answer."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response["X-Rewritten"] = "1"
        response.status_code = response.status_code
        if response.streaming:
            response.streaming_content = [REWRITTEN.encode()]
        else:
            response.content = REWRITTEN
        return response


def django_middleware():
    import django

    names = [
        "django.middleware.gzip.GZipMiddleware",
        "adapted.Refuses",
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
    if django.VERSION >= (5, 1):
        names.insert(-2, "django.contrib.auth.middleware.LoginRequiredMiddleware")
    return names


def in_django(client, functions, **settings):
    """To be called within :func:`django_settings.overridden`."""
    from django.core.handlers.wsgi import WSGIHandler

    import inngest_wsgi.django

    entries = [inngest_wsgi.django.serve(client, functions, **settings)]
    return django_application(entries, WSGIHandler, django_middleware())


def django_application(entries, handler, middleware):
    """Return a WSGI application with these entries in its ``urlpatterns``."""
    urls = types.ModuleType("urls_of_a_test")
    setattr(urls, "urlpatterns", entries)
    django_settings.override(ROOT_URLCONF=urls, MIDDLEWARE=middleware)
    return handler()


def in_pyramid(client, functions, **settings):
    from pyramid.config import Configurator
    from pyramid.events import NewRequest, NewResponse
    from pyramid.httpexceptions import HTTPForbidden
    from pyramid.response import Response

    with Configurator(settings={"tm.commit_veto": "pyramid_tm.default_commit_veto"}) as config:
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(client, functions, **settings)
        config.include("pyramid_tm")
        config.set_default_csrf_options(require_csrf=True)
        config.set_default_permission("nobody")
        # Pyramid 2.0
        if hasattr(config, "set_security_policy"):
            config.set_security_policy(Nobody())
        config.add_notfound_view(lambda request: Response(REWRITTEN), append_slash=True)
        config.add_exception_view(lambda exc, request: Response(REWRITTEN), context=Exception)

        def refuse(event):
            raise HTTPForbidden()

        def rewrite(event):
            event.response.text = REWRITTEN

        config.add_subscriber(refuse, NewRequest)
        config.add_subscriber(rewrite, NewResponse)
        config.add_tween("adapted.tween_factory")
        return config.make_wsgi_app()


class Nobody:
    """A security policy of Pyramid that permits nothing."""

    def identity(self, request):
        return None

    authenticated_userid = identity

    def permits(self, request, context, permission):
        return False


def tween_factory(handler, registry):
    def tween(request):
        from pyramid.httpexceptions import HTTPForbidden

        return HTTPForbidden()

    return tween


ADAPTED = [in_flask, in_django, in_pyramid]
