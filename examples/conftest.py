"""What the tests of both sites share: settings, and a database for each test."""

import os

import pytest

# The shop reads these when it is imported. In dev mode it needs no keys.
os.environ["INNGEST_DEV"] = "1"
os.environ["SHOP_DATABASE"] = ":memory:"


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    import shop

    monkeypatch.setattr(shop, "DATABASE", str(tmp_path / "shop.sqlite3"))
    shop.create_tables()
