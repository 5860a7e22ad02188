"""A transaction of SQLAlchemy for each step, with SQLAlchemy 1.4 and 2::

    database = step_transaction(Session)

    def place_order(order_id):
        database.session.add(Order(id=order_id))

    application = inngest_wsgi.serve(client, functions, step_context=[database])

``docs/transactions.md`` says what is committed when.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import typing as t
import weakref

from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from . import errors
from ._messages import RunningStep

#: The key in ``info`` of a session or connection under which is noted what its
#: transaction has done.
_DONE = "inngest_wsgi.done"
_CHANGED = "rows were changed"
_UNKNOWN = "a statement was executed of which nothing is known"
#: The same for a session that was closed with changes.
_LOST = "inngest_wsgi.lost"


def step_transaction(
    source: t.Union["sessionmaker[t.Any]", "scoped_session[t.Any]", Engine],
) -> "StepTransaction":
    """Return what gives each step a transaction of its own.

    :param source: a ``sessionmaker``, a ``scoped_session`` such as the
        ``db.session`` of Flask-SQLAlchemy, or an ``Engine``
    :raises SettingsError: it is none of them
    """
    if isinstance(source, Engine):
        return _OfEngine(source)
    if isinstance(source, scoped_session):
        return _OfScopedSession(source)
    if isinstance(source, sessionmaker):
        return _OfSessions(source)
    raise errors.SettingsError(
        "step_transaction()",
        f"takes a sessionmaker, a scoped_session or an Engine of SQLAlchemy, not {source!r}",
    )


class StepTransaction:
    """Gives each step a transaction, for ``serve(step_context=[...])``.

    It begins with the step's first statement. When the step has succeeded, it is
    committed, before the Inngest server is told; if that fails, the step has
    failed. When the step has failed, it is rolled back. Then its connection
    returns to the pool.
    """

    def __init__(self) -> None:
        self._current: "contextvars.ContextVar[t.Any]" = contextvars.ContextVar("inngest_wsgi_db")
        self._seen = threading.local()

    def __call__(self, step: RunningStep) -> t.ContextManager[t.Any]:
        return self._transaction(step)

    @property
    def session(self) -> Session:
        """The session of the step that runs in this thread.

        :raises RuntimeError: no step runs here, or an Engine was given
        """
        found = self._found("session")
        if not isinstance(found, Session):
            raise RuntimeError(
                "step_transaction() was given an Engine, which has no sessions: use .connection, "
                "or give it a sessionmaker"
            )
        return found

    @property
    def connection(self) -> Connection:
        """The connection of the step that runs in this thread.

        :raises RuntimeError: no step runs here
        """
        found = self._found("connection")
        return found.connection() if isinstance(found, Session) else t.cast(Connection, found)

    def call_context(self, environ: t.Any) -> t.ContextManager[None]:
        """Return a context manager for ``serve(call_context=[...])``: it gives back
        what the code between steps has read with. Of use for a
        ``scoped_session``, whose session is removed."""
        return contextlib.nullcontext()

    def open_transaction(self) -> t.Optional[str]:
        """Describe what the code outside of steps has open in this thread."""
        current = self._current.get(None)
        for owner in tuple(getattr(self._seen, "owners", ())):
            if owner is not current:
                found = _describe(owner)
                if found is not None:
                    return found
        return None

    def _found(self, what: str) -> t.Any:
        found = self._current.get(None)
        if found is None:
            raise RuntimeError(
                f"There is no {what} here: a step has one, in the thread that runs its function, "
                "if step_transaction() was given to serve(step_context=[...])"
            )
        return found

    def _transaction(self, step: RunningStep) -> t.ContextManager[t.Any]:
        raise NotImplementedError

    @contextlib.contextmanager
    def _used(self, current: t.Any, transaction: t.Any) -> t.Iterator[None]:
        """Make a session or connection the step's, and end its transaction.

        :param transaction: has ``commit()`` and ``rollback()``; a session has them
        """
        token = self._current.set(current)
        try:
            yield
            transaction.commit()
        except BaseException:
            transaction.rollback()
            raise
        finally:
            self._current.reset(token)
            current.close()

    def _note(self, owner: t.Any, *rest: t.Any) -> None:
        """Remember a session or connection that has begun a transaction here."""
        if not hasattr(self._seen, "owners"):
            self._seen.owners = weakref.WeakSet()
        self._seen.owners.add(owner)


class _OfSessions(StepTransaction):
    """Gives each step a new session of a ``sessionmaker``."""

    def __init__(self, source: t.Any) -> None:
        super().__init__()
        self._source = source
        event.listen(source, "after_transaction_create", self._note)
        event.listen(source, "after_transaction_end", _forget)
        event.listen(source, "after_commit", _settle)
        event.listen(source, "after_rollback", _settle)
        event.listen(source, "after_soft_rollback", _find_again)
        event.listen(source, "after_flush", _note_change)
        event.listen(source, "pending_to_transient", _note_change)
        event.listen(source, "persistent_to_detached", _note_detached)
        event.listen(source, "do_orm_execute", _note_statement)

    def _transaction(self, step: RunningStep) -> t.ContextManager[t.Any]:
        return self._step_of(self._source(), step)

    @contextlib.contextmanager
    def _step_of(self, session: t.Any, step: RunningStep) -> t.Iterator[t.Any]:
        with self._used(session, session):
            yield session
            if _LOST in session.info:
                raise errors.StepConfigError(
                    step.step_id,
                    "its session was closed with changes that were not committed, so they are "
                    "lost. The session is closed after the step: call neither close() nor "
                    "remove() in a step, and use no 'with' block for it",
                )


class _OfScopedSession(_OfSessions):
    """Gives each step a new session, in the place of the one that a
    ``scoped_session`` has for the function."""

    @contextlib.contextmanager
    def call_context(self, environ: t.Any) -> t.Iterator[None]:
        try:
            yield
        finally:
            self._source.remove()

    @contextlib.contextmanager
    def _transaction(self, step: RunningStep) -> t.Iterator[t.Any]:
        registry = self._source.registry
        before = registry() if registry.has() else None
        if before is not None:
            _make_way(before, step)
        session = self._source.session_factory()
        registry.set(session)
        try:
            with self._step_of(session, step):
                yield session
        finally:
            if before is None:
                registry.clear()
            else:
                registry.set(before)


class _OfEngine(StepTransaction):
    """Gives each step a connection of an ``Engine``, in a transaction."""

    def __init__(self, source: Engine) -> None:
        super().__init__()
        self._source = source
        event.listen(source, "begin", self._note)
        event.listen(source, "commit", _forget_connection)
        event.listen(source, "rollback", _forget_connection)
        event.listen(source, "after_cursor_execute", _note_cursor)

    @contextlib.contextmanager
    def _transaction(self, step: RunningStep) -> t.Iterator[t.Any]:
        connection = self._source.connect()
        # also a connection of 1.4 has a transaction then
        with self._used(connection, connection.begin()):
            yield connection


def _make_way(session: t.Any, step: RunningStep) -> None:
    """End the transaction in which the function has read, so that it keeps no
    connection during the step, and sees what the step has written.

    :raises errors.StepConfigError: the function has written in it
    """
    found = _describe(session)
    if found is not None:
        raise errors.StepConfigError(
            step.step_id,
            f"function {step.function_id} has {found} open as the step begins. Nothing commits "
            "it when the call ends at a step. Write in steps, and open no transaction around "
            "them: see docs/transactions.md",
        )
    if _DONE not in session.info:
        session.rollback()


def _describe(owner: t.Any) -> t.Optional[str]:
    """Describe the transaction of a session or connection; None if there is none,
    or nothing would be lost with it."""
    if not owner.in_transaction():
        return None
    # of a "with" block, in 1.4 as in 2.x; SQLAlchemy itself tells it by nothing else
    if getattr(owner, "_trans_context_manager", None) is not None:
        return f"a transaction of SQLAlchemy ({type(owner).__name__}.begin())"
    changed = isinstance(owner, Session) and (owner.new or owner.dirty or owner.deleted)
    if changed or owner.info.get(_DONE) == _CHANGED:
        return f"a {type(owner).__name__.lower()} of SQLAlchemy with changes and no commit"
    return None


def _forget(session: t.Any, transaction: t.Any) -> None:
    if transaction.parent is None and session.info.pop(_DONE, None) == _CHANGED:
        # neither committed nor rolled back
        session.info[_LOST] = transaction


def _find_again(session: t.Any, transaction: t.Any) -> None:
    # what a flush that failed has rolled back is rolled back once more
    if session.info.get(_LOST) is transaction:
        del session.info[_LOST]


def _settle(session: t.Any) -> None:
    session.info.pop(_DONE, None)


def _note_change(session: t.Any, what: t.Any) -> None:
    session.info[_DONE] = _CHANGED


def _note_detached(session: t.Any, instance: t.Any) -> None:
    if inspect(instance).modified:
        session.info[_DONE] = _CHANGED


def _note_statement(state: t.Any) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[_DONE] = _CHANGED
    elif not state.is_select:
        state.session.info.setdefault(_DONE, _UNKNOWN)


def _forget_connection(connection: Connection) -> None:
    with contextlib.suppress(SQLAlchemyError):
        # the connection may be lost
        connection.info.pop(_DONE, None)


def _note_cursor(
    connection: Connection, cursor: t.Any, text: str, parameters: t.Any, context: t.Any, many: bool
) -> None:
    if context.isinsert or context.isupdate or context.isdelete:
        connection.info[_DONE] = _CHANGED
