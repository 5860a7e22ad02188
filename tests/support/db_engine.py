"""An engine of SQLAlchemy whose pool counts, with 1.4 as with 2."""

from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool


def make_engine(url):
    # connections of SQLite are used in several threads then
    arguments = {"check_same_thread": False} if url.startswith("sqlite") else {}
    return create_engine(url, future=True, poolclass=QueuePool, connect_args=arguments)
