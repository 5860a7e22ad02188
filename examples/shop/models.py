"""The tables, on the database that ``DATABASE_URL`` names.

``sqlite:///shop.sqlite3`` is a file in the current folder,
``postgresql+psycopg://user:password@localhost/shop`` a database of PostgreSQL.

No table has a constraint that would hide a step that runs twice: it would leave two
rows.
"""

import os

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from sqlalchemy.schema import CreateTable

from inngest_wsgi.sqlalchemy import step_transaction

engine = sa.create_engine(os.environ.get("DATABASE_URL", "sqlite:///shop.sqlite3"))

Session = sessionmaker(engine, expire_on_commit=False)

#: For the steps: ``database.session`` is in a transaction of the step that runs. It is
#: committed when the step has succeeded, before the Inngest server is told, and rolled
#: back when the step has failed.
database = step_transaction(Session)

#: For the pages: ``with transaction() as session:`` commits at the end, and rolls back
#: if an exception is raised.
transaction = Session.begin


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    pieces: Mapped[int]
    #: In cents.
    price: Mapped[int]
    card: Mapped[str]
    status: Mapped[str] = mapped_column(default="placed")


class Charge(Base):
    __tablename__ = "charges"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("orders.id"))
    amount: Mapped[int]


class Parcel(Base):
    __tablename__ = "parcels"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("orders.id"))
    piece: Mapped[int]


class Mail(Base):
    """What a shop would send by mail."""

    __tablename__ = "mails"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("orders.id"))
    recipient: Mapped[str]
    text: Mapped[str]


def create_tables() -> None:
    """Create the tables that are missing; several workers may do so at the same time."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # which even with IF NOT EXISTS fails if two create the same table
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(1)"))
        for table in Base.metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
