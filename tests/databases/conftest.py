"""Databases. The main sessions run these tests on SQLite, and the session
``databases`` with ``--databases=sqlite,postgresql``."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--databases", default="sqlite", help="sqlite, postgresql, or both")


def names(config):
    # where this file is read too late, there is no such option
    return config.getoption("--databases", "sqlite").split(",")


@pytest.fixture(scope="session")
def postgresql():
    """What makes databases of a server that runs until the tests are over."""
    from postgresql import cluster

    with cluster() as make_database:
        yield make_database


def pytest_generate_tests(metafunc):
    if "database_url" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("postgresql")
        found = [name for name in names(metafunc.config) if not only or name == "postgresql"]
        metafunc.parametrize("database_name", found)


def pytest_collection_modifyitems(config, items):
    # a test of PostgreSQL alone belongs to the session that has it
    if "postgresql" not in names(config):
        items[:] = [item for item in items if not item.get_closest_marker("postgresql")]


def pytest_configure(config):
    config.addinivalue_line("markers", "postgresql: needs PostgreSQL")


@pytest.fixture
def database_url(database_name, tmp_path, request):
    """The URL of a new database, as SQLAlchemy has it."""
    if database_name == "postgresql":
        return request.getfixturevalue("postgresql")()
    return f"sqlite:///{tmp_path}/db.sqlite"
