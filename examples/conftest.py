"""Settings, and empty tables for each test of the shop.

The tests use a database in memory, or the one that ``TEST_DATABASE_URL`` names, whose
tables they drop.
"""

import os
from typing import Iterator

import pytest

# Read when the modules are imported. In dev mode no keys are needed.
os.environ["INNGEST_DEV"] = "1"
os.environ["SECRET_KEY"] = "for tests"
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or "sqlite://"


@pytest.fixture(autouse=True)
def empty_tables() -> Iterator[None]:
    from shop import models

    models.Base.metadata.drop_all(models.engine)
    models.create_tables()
    yield
    models.engine.dispose()
