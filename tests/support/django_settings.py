"""Django's settings, which a process can have once."""

import contextlib

_stack = contextlib.ExitStack()


def configure(folder):
    """Configure Django, with a database in the folder, if that was not done."""
    import django
    from django.conf import settings

    if not settings.configured:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db")}
        settings.configure(
            ALLOWED_HOSTS=["*"],
            DATABASES={"default": database},
            INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
            SECRET_KEY="for tests",
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            USE_TZ=True,
        )
        django.setup()


@contextlib.contextmanager
def overridden(folder):
    """Let :func:`override` change settings until the end."""
    configure(folder)
    with _stack:
        yield


def override(**settings):
    from django.test import override_settings

    _stack.enter_context(override_settings(**settings))
