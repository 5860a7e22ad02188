"""Django with its debug toolbar, CSRF protection, a login for every page, a transaction
around each request, error pages, compression and slash redirects."""

import django
import jobs
from django.conf import settings

MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "debug_toolbar.middleware.DebugToolbarMiddleware",
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
    MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": ":memory:",
            "ATOMIC_REQUESTS": True,
        }
    },
    DEBUG_TOOLBAR_CONFIG={"SHOW_TOOLBAR_CALLBACK": lambda request: True},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "debug_toolbar",
    ],
    KEPT=jobs.KEPT,
    LOGIN_URL="/page",
    MIDDLEWARE=MIDDLEWARE,
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    STATIC_URL="/static/",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    # the tests of Apache and uWSGI leave out translations
    USE_I18N=False,
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import include, path  # noqa: E402

import inngest_wsgi.django  # noqa: E402


def keeps():
    """Return what the database gives, outside of a transaction of the request."""
    assert not connection.in_atomic_block
    with connection.cursor() as cursor:
        return cursor.execute("select %s", [settings.KEPT]).fetchone()[0]


def public(view):
    view.login_required = False
    return view


@public
def page(request):
    assert connection.in_atomic_block
    return HttpResponse("<html><body>a page</body></html>")


@public
def form(request):
    if request.method == "POST":
        return HttpResponse("saved: " + request.POST["text"])
    field = f"<input type=hidden name=csrfmiddlewaretoken value='{get_token(request)}'>"
    return HttpResponse(f"<form method=post>{field}<input name=text></form>")


@public
def error(request):
    raise RuntimeError("on purpose")


@public
def folder(request):
    return HttpResponse("in the folder")


def handler404(request, exception):
    return HttpResponse("nothing here", status=404)


def handler500(request):
    return HttpResponse("something broke", status=500)


urlpatterns = [
    path("page", page),
    path("form", form),
    path("error", error),
    path("folder/", folder),
    path("__debug__/", include("debug_toolbar.urls")),
    *(
        inngest_wsgi.django.serve(
            endpoint.client, endpoint.functions, serve_path=endpoint.path, **endpoint.options
        )
        for endpoint in jobs.endpoints(keeps)
    ),
]

application = get_wsgi_application()
