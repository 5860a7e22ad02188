"""A transaction of Django for each step."""

from __future__ import annotations

import contextlib
import sys
import typing as t

from django.db import connections, transaction

from .. import errors
from .._messages import RunningStep
from .aborted import is_aborted

_HELD = (
    "the function has {} open on the database {!r}. The rows of the step would be lost with it "
    "when the call ends at a step, while the step is recorded. Open no transaction around steps; "
    "if it is ATOMIC_REQUESTS, add the endpoint with inngest_wsgi.django.serve(): see "
    "docs/transactions.md"
)
_AUTOCOMMIT = (
    "autocommit is off on the database {!r}, so that Django commits nothing by itself. Leave "
    "AUTOCOMMIT in DATABASES as it is"
)
_CLOSED = (
    "the connection to the database {!r} was closed in the transaction of the step, so nothing of "
    "it is saved. Do not close connections in a step"
)
_ROLLBACK = (
    "the transaction of the step on the database {!r} can only be rolled back: an error in an "
    "atomic block without a savepoint was caught, or set_rollback(True) was called. Let the error "
    "pass, or catch it around a transaction.atomic() of its own"
)


def step_transaction(using: t.Union[str, t.Sequence[str]] = "default") -> "StepTransaction":
    """Return what gives each step a transaction of its own.

    :param using: a database of ``DATABASES``, or several; then each has a
        transaction, and they are committed one after the other
    :raises SettingsError: it is no name, and no list of names
    """
    aliases = (using,) if isinstance(using, str) else using
    if not isinstance(aliases, (list, tuple)) or not all(isinstance(a, str) for a in aliases):
        raise errors.SettingsError(
            "step_transaction()", f"takes names of databases of Django, not {using!r}"
        )
    return StepTransaction(tuple(aliases))


class StepTransaction:
    """Gives each step a ``transaction.atomic()``, for ``serve(step_context=[...])``.

    When the step has succeeded, the transaction is committed, before the Inngest
    server is told; if that fails, the step has failed. When the step has failed, it
    is rolled back. Connections that are unusable or too old are closed before and
    after the step.
    """

    def __init__(self, aliases: t.Tuple[str, ...]) -> None:
        self._aliases = aliases

    def __call__(self, step: RunningStep) -> t.ContextManager[None]:
        return self._transaction(step)

    @contextlib.contextmanager
    def call_context(self, environ: t.Any) -> t.Generator[None, None, None]:
        """Return a context manager for ``serve(call_context=[...])``: it closes
        connections that are unusable or too old before and after each call.
        ``inngest_wsgi.django.serve()`` does that by itself."""
        close_old_connections()
        try:
            yield
        finally:
            close_old_connections()

    def open_transaction(self) -> t.Optional[str]:
        """Describe what the code outside of steps has open in this thread."""
        return open_transaction()

    @contextlib.contextmanager
    def _transaction(self, step: RunningStep) -> t.Generator[None, None, None]:
        for alias in self._aliases:
            found = _held(alias)
            if found is not None:
                raise errors.StepConfigError(step.step_id, _HELD.format(found, alias))
        close_old_connections()
        try:
            with contextlib.ExitStack() as stack:
                for alias in self._aliases:
                    stack.enter_context(_atomic(alias, step))
                yield
        finally:
            close_old_connections()


@contextlib.contextmanager
def _atomic(alias: str, step: RunningStep) -> t.Generator[None, None, None]:
    """Enter a transaction. Unlike ``transaction.atomic()``, raise an error where
    nothing would be saved although the step has raised none.

    :raises errors.StepConfigError: nothing can be saved
    """
    connection = connections[alias]
    if not connection.in_atomic_block and not connection.get_autocommit():
        raise errors.StepConfigError(step.step_id, _AUTOCOMMIT.format(alias))
    with transaction.atomic(using=alias):
        yield
        if connection.closed_in_transaction or connection.connection is None:
            raise errors.StepConfigError(step.step_id, _CLOSED.format(alias))
        if connection.needs_rollback or is_aborted(connection.connection):
            raise errors.StepConfigError(step.step_id, _ROLLBACK.format(alias))


def open_transaction() -> t.Optional[str]:
    """Describe a transaction that is open in this thread; None if there is none."""
    for alias in connections:
        found = _held(alias)
        if found is not None:
            return f"{found} on the database {alias!r}"
    return None


def close_old_connections() -> None:
    """Close the connections of this thread that are unusable or too old.

    Django does that at the beginning and the end of its own requests. A
    connection in a transaction is left alone: in a test it is the test's.
    """
    for connection in connections.all():
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _held(alias: str) -> t.Optional[str]:
    """Describe the transaction that is open in this thread; None if there is none,
    or only that of a ``TestCase``."""
    connection = connections[alias]
    if not connection.in_atomic_block:
        turned_off = connection.settings_dict["AUTOCOMMIT"] and connection.connection is not None
        if turned_off and not connection.get_autocommit():
            return "a transaction (set_autocommit(False))"
        return None
    return None if _is_of_test_case(connection) else "a transaction.atomic()"


def _is_of_test_case(connection: t.Any) -> bool:
    """Tell whether a ``TestCase`` has opened all the blocks that a connection is in."""
    blocks = getattr(connection, "atomic_blocks", None)
    if blocks is not None:
        # Django's own check for durable=True leaves them out too
        return all(getattr(block, "_from_testcase", False) for block in blocks)
    # before Django 4: one block of the class, and within it one of the test
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data") and len(connection.savepoint_ids) < 2
