"""A transaction of the package ``transaction`` for each step, as of ``pyramid_tm``."""

from __future__ import annotations

import contextlib
import sys
import typing as t

import transaction
from transaction.interfaces import NoTransaction

from .. import errors
from .._logs import log
from .._messages import RunningStep
from .aborted import CAUGHT, is_aborted

#: Returns the transaction manager of the running call.
FindManager = t.Callable[[], t.Any]

_HELD = (
    "the function has a transaction open in which it has written. Its rows would be lost when the "
    "call ends at a step. Write in steps, and open no transaction around them: see "
    "docs/transactions.md"
)
_ENDED = (
    "its transaction was committed or aborted in the step. That is done after the step: call "
    "neither commit() nor abort() in a step"
)
_ABORTED = (
    "What a call has written with transaction.manager or request.tm is lost: it was in no step's "
    "transaction, and nothing commits that of a call. Write in steps, and give "
    "step_context=[inngest_wsgi.pyramid.step_transaction()]: see docs/transactions.md"
)


class StepTransaction:
    """Gives each step a transaction, for ``serve(step_context=[...])``.

    When the step has succeeded, the transaction is committed, before the Inngest
    server is told; if that fails, the step has failed. When the step has failed, it
    is aborted.

    :param find: returns the manager
    """

    def __init__(self, find: FindManager) -> None:
        self._find = find

    def __call__(self, step: RunningStep) -> t.ContextManager[t.Any]:
        return self._transaction(step)

    @contextlib.contextmanager
    def call_context(self, environ: t.Any) -> t.Generator[None, None, None]:
        """Return a context manager for ``serve(call_context=[...])``: the code
        between steps can read in its transaction, which is aborted."""
        manager = self._find()
        outer = _current(manager)
        if outer is None:
            manager.begin()
        # an implicit manager always has one: only one that is in use is somebody's
        is_own = outer is None or not (manager.explicit or outer._resources)
        try:
            yield
            # a call that has not ended so is looked at when it ends at a step
            if is_own and _has_written(_current(manager)):
                log.warning(_ABORTED)
        finally:
            if is_own and _current(manager) is not None:
                manager.abort()

    def open_transaction(self) -> t.Optional[str]:
        """Describe what the code outside of steps has open in this thread."""
        if _has_written(_current(self._find())):
            return "a transaction of transaction.manager or request.tm, in which it has written,"
        return None

    @contextlib.contextmanager
    def _transaction(self, step: RunningStep) -> t.Generator[t.Any, None, None]:
        manager = self._find()
        outer = _current(manager)
        if outer is not None:
            # that of a request, in which the function may have read
            if _has_written(outer):
                raise errors.StepConfigError(step.step_id, _HELD)
            manager.abort()
        manager.begin()
        try:
            yield manager
            if _current(manager) is None:
                raise errors.StepConfigError(step.step_id, _ENDED)
            if any(map(_cannot_commit, getattr(_current(manager), "_resources", ()))):
                raise errors.StepConfigError(step.step_id, CAUGHT)
            manager.commit()
        except BaseException:
            if _current(manager) is not None:
                manager.abort()
            raise
        finally:
            if outer is not None:
                manager.begin()


def thread_local() -> t.Any:
    """Return the manager that this thread has."""
    return transaction.manager


def _current(manager: t.Any) -> t.Any:
    """Return the open transaction; None if there is none."""
    try:
        return manager.get()
    except NoTransaction:
        # an explicit manager makes none by itself
        return None


def _has_written(found: t.Any) -> bool:
    """Tell whether something has joined a transaction that is more than a session
    of SQLAlchemy which has only read."""
    return any(map(_is_changed, getattr(found, "_resources", ())))


def _is_changed(resource: t.Any) -> bool:
    session = getattr(resource, "session", None)
    module = sys.modules.get("zope.sqlalchemy.datamanager")
    if session is None or module is None:
        return True
    if session.new or session.dirty or session.deleted:
        return True
    return bool(module._SESSION_STATE.get(session) == module.STATUS_CHANGED)


def _cannot_commit(resource: t.Any) -> bool:
    """Tell whether a session of SQLAlchemy has a transaction of which nothing would be
    saved, without an error."""
    session = getattr(resource, "session", None)
    if session is None:
        return False
    try:
        connection = session.connection().connection
    except Exception:
        # a flush has failed: then the commit raises
        return False
    return is_aborted(getattr(connection, "dbapi_connection", None))
