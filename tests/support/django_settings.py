"""Django's settings, which a process can have once."""


def configure(folder):
    """Configure Django, with a database in the folder, if that was not done."""
    import django
    from django.conf import settings

    if not settings.configured:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db")}
        settings.configure(DATABASES={"default": database})
        django.setup()
