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
import re
import threading
import typing as t
import weakref

from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from . import errors
from ._execution.current_step import current as call_of_thread
from ._messages import RunningStep
from ._transactions.aborted import CAUGHT, is_aborted

#: The key in ``info`` of a session or connection under which is noted what its
#: transaction has done.
_DONE = "inngest_wsgi.done"
_CHANGED = "rows were changed"
_UNKNOWN = "a statement was executed of which nothing is known"
_PERHAPS = "a text was executed that looks as if it changed rows"
#: The same for a session that was closed with changes.
_LOST = "inngest_wsgi.lost"
_WRITES = re.compile(
    r"\s*(insert|update|delete|merge|replace|create|drop|alter|truncate|call|exec|do)\b"
    r"|\s*with\b.*\b(insert|update|delete|merge)\b",
    re.IGNORECASE | re.DOTALL,
)

_ENDED = (
    "its transaction was committed or rolled back, or its connection closed, in the step. That is "
    "done after the step: call neither commit(), rollback() nor close() in a step, and use no "
    "'with' block for the connection"
)

#: The sessions and connections that have begun a transaction, of each thread.
_seen = threading.local()
#: The sessions whose transactions connections are in, and the engines of these.
_session_of: "weakref.WeakKeyDictionary[t.Any, t.Any]" = weakref.WeakKeyDictionary()
_engines: "weakref.WeakSet[t.Any]" = weakref.WeakSet()
#: The classes of sessions, and the engines, that have our listeners.
_watched: "weakref.WeakSet[t.Any]" = weakref.WeakSet()
#: While a step runs with a ``scoped_session``: its registry, and the sessions of it that were
#: closed with changes.
_closed_in_step: "contextvars.ContextVar[t.Tuple[t.Any, t.List[t.Any]]]" = contextvars.ContextVar(
    "inngest_wsgi_closed"
)


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
    if isinstance(source, scoped_session) and _is_factory(source.session_factory):
        return _OfScopedSession(source)
    if isinstance(source, sessionmaker):
        return _OfSessions(source)
    raise errors.SettingsError(
        "step_transaction()",
        "takes a sessionmaker, a scoped_session that was made of one, or an Engine of SQLAlchemy, "
        f"not {source!r}",
    )


def _is_factory(factory: t.Any) -> bool:
    """Tell whether the sessions of a factory have a class of their own, by which
    they can be watched."""
    is_class = isinstance(factory, type) and issubclass(factory, Session)
    return is_class or isinstance(factory, sessionmaker)


class StepTransaction:
    """Gives each step a transaction, for ``serve(step_context=[...])``.

    It begins with the step's first statement. When the step has succeeded, it is
    committed, before the Inngest server is told; if that fails, the step has
    failed. When the step has failed, it is rolled back. Then its connection
    returns to the pool.
    """

    def __init__(self) -> None:
        self._current: "contextvars.ContextVar[t.Any]" = contextvars.ContextVar("inngest_wsgi_db")

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
        for owner in tuple(getattr(_seen, "owners", ())):
            if owner is not current and self._is_own(owner):
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
    def _used(self, current: t.Any, transaction: t.Any) -> t.Generator[None, None, None]:
        """Make a session or connection the step's, and end its transaction.

        :param transaction: has ``commit()`` and ``rollback()``; a session has them
        """
        token = self._current.set(current)
        try:
            yield
            transaction.commit()
        except BaseException:
            # SQLAlchemy warns of one that a step has ended by itself
            if transaction is current or transaction.is_active:
                transaction.rollback()
            raise
        finally:
            self._current.reset(token)
            current.close()

    def _is_own(self, owner: t.Any) -> bool:
        """Tell whether a session or connection is of the source."""
        raise NotImplementedError


class _OfSessions(StepTransaction):
    """Gives each step a new session of a ``sessionmaker``."""

    def __init__(self, source: t.Any) -> None:
        super().__init__()
        self._source = source
        factory = getattr(source, "session_factory", source)
        self._class = getattr(factory, "class_", factory)
        if _is_new(self._class):
            for name, listener in _OF_SESSIONS.items():
                event.listen(source, name, listener)

    def _is_own(self, owner: t.Any) -> bool:
        return isinstance(owner, self._class)

    def _transaction(self, step: RunningStep) -> t.ContextManager[t.Any]:
        return self._step_of(self._source(), step)

    @contextlib.contextmanager
    def _step_of(self, session: t.Any, step: RunningStep) -> t.Generator[t.Any, None, None]:
        with self._used(session, session):
            yield session
            if _LOST in session.info:
                raise _lost(step)
            if _DONE in session.info:
                with contextlib.suppress(SQLAlchemyError):
                    # one that it has, unless a flush has failed: then the commit raises
                    _check(session.connection(), step)


class _OfScopedSession(_OfSessions):
    """Gives each step a new session, in the place of the one that a
    ``scoped_session`` has for the function."""

    @contextlib.contextmanager
    def call_context(self, environ: t.Any) -> t.Generator[None, None, None]:
        # what a page has left in this thread is none of the function's
        self._source.remove()
        try:
            yield
        finally:
            self._source.remove()

    @contextlib.contextmanager
    def _transaction(self, step: RunningStep) -> t.Generator[t.Any, None, None]:
        registry = self._source.registry
        before = registry() if registry.has() else None
        if before is not None:
            _make_way(before, step)
        session = self._source.session_factory()
        registry.set(session)
        closed: t.List[t.Any] = []
        token = _closed_in_step.set((registry, closed))
        try:
            with self._step_of(session, step):
                yield session
                self._close_other(session)
                if any(_LOST in other.info for other in closed):
                    raise _lost(step)
        finally:
            _closed_in_step.reset(token)
            self._close_other(session)
            if before is None:
                registry.clear()
            else:
                registry.set(before)

    def _close_other(self, session: t.Any) -> None:
        """Close the session that the step has made after a remove(): nobody commits
        it."""
        registry = self._source.registry
        if registry.has() and registry() is not session:
            self._source.remove()


class _OfEngine(StepTransaction):
    """Gives each step a connection of an ``Engine``, in a transaction."""

    def __init__(self, source: Engine) -> None:
        super().__init__()
        self._source = source
        if _is_new(source):
            event.listen(source, "begin", _note)
            event.listen(source, "commit", _forget_connection)
            event.listen(source, "rollback", _forget_connection)
            event.listen(source, "after_cursor_execute", _note_cursor)

    def _is_own(self, owner: t.Any) -> bool:
        return isinstance(owner, Connection) and owner.engine.pool is self._source.pool

    @contextlib.contextmanager
    def _transaction(self, step: RunningStep) -> t.Generator[t.Any, None, None]:
        connection = self._source.connect()
        # also a connection of 1.4 has a transaction then
        transaction = connection.begin()
        with self._used(connection, transaction):
            yield connection
            if not transaction.is_active:
                raise errors.StepConfigError(step.step_id, _ENDED)
            _check(connection, step)


def _is_new(watched: t.Any) -> bool:
    """Tell whether something is to be given listeners. A factory of applications may
    call :func:`step_transaction` any number of times."""
    is_new = watched not in _watched
    _watched.add(watched)
    return is_new


def _note(owner: t.Any, *rest: t.Any) -> None:
    """Remember a session or connection that has begun a transaction in this thread.

    No method: the source would be kept for ever.
    """
    if not hasattr(_seen, "owners"):
        _seen.owners = weakref.WeakSet()
    _seen.owners.add(owner)


def _lost(step: RunningStep) -> errors.StepConfigError:
    return errors.StepConfigError(
        step.step_id,
        "its session was closed with changes that were not committed, so they are lost. The "
        "session is closed after the step: call neither close() nor remove() in a step, and use "
        "no 'with' block for it",
    )


def _check(connection: Connection, step: RunningStep) -> None:
    """Check that what is in a transaction can be committed.

    :raises errors.StepConfigError: nothing would be saved, without an error
    """
    if is_aborted(getattr(connection.connection, "dbapi_connection", None)):
        raise errors.StepConfigError(step.step_id, CAUGHT)


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
    if transaction.parent is None and session.info.pop(_DONE, None) in (_CHANGED, _PERHAPS):
        # neither committed nor rolled back
        session.info[_LOST] = transaction
        registry, closed = _closed_in_step.get((None, []))
        # other sessions are somebody's who may mean it
        if registry is not None and registry.has() and registry() is session:
            closed.append(session)


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


def _note_begin(session: t.Any, transaction: t.Any, connection: Connection) -> None:
    """Have the statements noted that pass by the session's own events, as those of
    bulk operations and of ``session.connection()`` do."""
    if call_of_thread.get(None) is None:
        # pages are none of our business
        return
    if connection.engine not in _engines:
        _engines.add(connection.engine)
        event.listen(connection.engine, "after_cursor_execute", _note_cursor_of_session)
    _session_of[connection] = weakref.ref(session)


def _note_cursor_of_session(
    connection: Connection, cursor: t.Any, text: str, parameters: t.Any, context: t.Any, many: bool
) -> None:
    found = _session_of.get(connection)
    session = None if found is None else found()
    if session is None:
        return
    if context.isinsert or context.isupdate or context.isdelete:
        session.info[_DONE] = _CHANGED
    elif session.info.get(_DONE) != _CHANGED and _WRITES.match(text):
        session.info[_DONE] = _PERHAPS


def _forget_connection(connection: Connection) -> None:
    with contextlib.suppress(SQLAlchemyError):
        # the connection may be lost
        connection.info.pop(_DONE, None)


def _note_cursor(
    connection: Connection, cursor: t.Any, text: str, parameters: t.Any, context: t.Any, many: bool
) -> None:
    if context.isinsert or context.isupdate or context.isdelete:
        connection.info[_DONE] = _CHANGED


#: The listeners of the events of sessions.
_OF_SESSIONS: t.Dict[str, t.Callable[..., None]] = {
    "after_transaction_create": _note,
    "after_transaction_end": _forget,
    "after_commit": _settle,
    "after_rollback": _settle,
    "after_soft_rollback": _find_again,
    "after_flush": _note_change,
    "pending_to_transient": _note_change,
    "persistent_to_detached": _note_detached,
    "do_orm_execute": _note_statement,
    "after_begin": _note_begin,
}
