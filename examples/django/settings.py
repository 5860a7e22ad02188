"""The settings of the project: no more than it needs."""

import os
import pathlib

import dj_database_url

HERE = pathlib.Path(__file__).resolve().parent

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "app.application"

# ``claims`` in this folder
INSTALLED_APPS = ["claims"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE / "templates"]}
]

# DATABASE_URL: sqlite:///claims.sqlite3 is a file in the current folder,
# postgresql://user:password@localhost/claims a database of PostgreSQL
DATABASES = {"default": dj_database_url.config(default="sqlite:///claims.sqlite3")}
DATABASES["default"]["ATOMIC_REQUESTS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
