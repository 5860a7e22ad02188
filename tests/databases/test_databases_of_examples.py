"""The tests of the sites in ``examples/``, on a database by its URL."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from demos import SITES


@pytest.mark.parametrize("site", SITES, ids=str)
def test_an_example_on_a_database(site, database_url, tmp_path):
    site.need()
    if site.name == "django":
        site.run_tests(tmp_path, DATABASE_URL=for_django(database_url))
    else:
        site.run_tests(tmp_path, TEST_DATABASE_URL=database_url)


def for_django(database_url):
    """Return a URL of SQLAlchemy as dj-database-url reads it."""
    url = urlsplit(database_url)
    if url.scheme == "sqlite":
        return database_url
    (host,) = parse_qs(url.query)["host"]
    return f"postgresql://{url.username}@{quote(host, safe='')}{url.path}"
