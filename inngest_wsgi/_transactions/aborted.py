"""A transaction of PostgreSQL in which a statement has failed."""

from __future__ import annotations

import typing as t

#: For SQLAlchemy.
CAUGHT = (
    "an error of the database was caught in the step, and PostgreSQL saves nothing of a "
    "transaction after one. Let the error pass, or catch it around a savepoint: "
    "'with session.begin_nested():'"
)
#: ``PQTRANS_INERROR`` of libpq.
_IN_ERROR = 3


def is_aborted(connection: t.Any) -> bool:
    """Tell whether nothing of a transaction can be saved any more. PostgreSQL rolls it
    back when it is to commit it, and psycopg raises no error then.

    :param connection: of psycopg 2 or 3, or of any other driver, where it is False:
        these raise one, or save what did not fail
    """
    status = getattr(getattr(connection, "info", None), "transaction_status", None)
    return bool(status == _IN_ERROR)
