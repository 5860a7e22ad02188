"""Databases. The main sessions run these tests on SQLite, and the session
``databases`` on PostgreSQL too, which ``DATABASES`` asks for."""

import os

import pytest

NAMES = os.environ.get("DATABASES", "sqlite").split(",")


@pytest.fixture(scope="session")
def postgresql():
    """Makes databases of a server that runs until the tests are over."""
    from postgresql import cluster

    with cluster() as make_database:
        yield make_database


def pytest_generate_tests(metafunc):
    if "database_url" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("postgresql")
        names = [name for name in NAMES if not only or name == "postgresql"]
        metafunc.parametrize("database_name", names)


def pytest_collection_modifyitems(items):
    # a test of PostgreSQL alone belongs to the session that has it
    items[:] = [
        item
        for item in items
        if "postgresql" in NAMES or not item.get_closest_marker("postgresql")
    ]


def pytest_configure(config):
    config.addinivalue_line("markers", "postgresql: needs PostgreSQL")


@pytest.fixture
def database_url(database_name, tmp_path, request):
    """The URL of a new database, as SQLAlchemy has it."""
    if database_name == "postgresql":
        return request.getfixturevalue("postgresql")()
    return f"sqlite:///{tmp_path}/db.sqlite"
