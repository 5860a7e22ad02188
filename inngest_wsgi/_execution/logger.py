"""A logger for replayed code. It is silent while memos are given back, so that
each line is logged once; and it adds the run, the function and the attempt to
every record."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import typing as t

from .._logs import report_failure

Logger = t.Any

#: Methods that log, in logging libraries other than the standard one.
_METHODS = frozenset(
    "trace debug verbose info notice success warning warn error critical fatal alert "
    "emergency exception log msg".split()
)
#: Methods that return another logger.
_DERIVING = frozenset("bind new opt patch try_unbind unbind".split())


class Replay:
    """The switch of one call's logger.

    :ivar over: True once code runs for the first time, so that lines are
        logged
    """

    over = False


def for_call(logger: Logger, replay: Replay, facts: t.Mapping[str, t.Any]) -> Logger:
    """Make the logger of one call.

    :param logger: a logger or adapter of :mod:`logging`, or any other object
        with methods such as ``info``
    :param replay: silences the logger until it is over
    :param facts: attributes of every record; passed to ``bind()``, if the
        logger has such a method, as those of structlog and loguru have
    """
    if isinstance(logger, logging.Logger):
        return _StandardLogger(logger, replay, facts)
    if isinstance(logger, logging.LoggerAdapter):
        try:
            # innermost, because an adapter may replace our extra with its own
            adapter = copy.copy(logger)
            adapter.logger = for_call(logger.logger, replay, facts)
            return adapter
        except Exception:
            return _OtherLogger(logger, replay)
    try:
        return _OtherLogger(logger.bind(**facts), replay)
    except Exception:
        # no bind(), or one that takes no keywords
        return _OtherLogger(logger, replay)


class _StandardLogger(t.cast(t.Any, logging.LoggerAdapter)):  # type: ignore[misc]
    """Adapts a logger of :mod:`logging`.

    An adapter would call the logger's ``log``, whichever method it is called
    by. This one calls the method of the same name, because the class of the
    logger may override it.
    """

    #: an argument of adapters since Python 3.13; process() does not ask for it
    merge_extra = False

    def __init__(
        self, logger: logging.Logger, replay: Replay, facts: t.Mapping[str, t.Any]
    ) -> None:
        # all that the adapter's own does, which each call would wait for
        self.logger = logger
        self.extra = facts
        self._replay = replay

    def isEnabledFor(self, level: int) -> bool:
        return self._replay.over and bool(self.logger.isEnabledFor(level))

    def process(
        self, msg: t.Any, kwargs: t.MutableMapping[str, t.Any]
    ) -> t.Tuple[t.Any, t.MutableMapping[str, t.Any]]:
        kwargs["extra"] = dict(self.extra, **(kwargs.get("extra") or {}))
        return msg, kwargs

    def __getattr__(self, name: str) -> t.Any:
        """Return an attribute of the logger that adapters do not have, such as
        the method of a custom level."""
        if name in _METHODS:
            return self._method(name)
        return _gated(getattr(self.__dict__["logger"], name), name, self._replay)

    def _method(self, name: str) -> t.Callable[..., None]:
        """Return the logger's method of a name. It is silent during replay,
        adds what every record has, and keeps an exception of a user's filter
        from failing a step."""
        method = getattr(self.__dict__["logger"], name)
        takes_extra = _takes_extra(getattr(method, "__func__", method))

        def call(*args: t.Any, **kwargs: t.Any) -> None:
            # asked now: the method may have been taken earlier
            if not self._replay.over:
                return
            if takes_extra:
                self.process(None, kwargs)
            try:
                method(*args, **kwargs)
            except Exception:
                report_failure()

        hidden: t.Callable[..., None] = _hidden(call)
        return hidden


def _method_property(name: str) -> property:
    return property(lambda adapter: adapter._method(name))


for _name in "debug info warning warn error exception critical fatal log".split():
    setattr(_StandardLogger, _name, _method_property(_name))


def _hidden(function: t.Any) -> t.Any:
    """Make :mod:`logging` take a function for one of its own, so that a record
    has the place of the user's line. A ``stacklevel`` could not be passed
    through a method that the user overrides."""
    source = getattr(logging, "_srcfile", None)
    if source:
        function.__code__ = _hidden_code(function.__code__, source)
    return function


@functools.lru_cache(maxsize=8)
def _hidden_code(code: t.Any, source: str) -> t.Any:
    return code.replace(co_filename=source)


@functools.lru_cache(maxsize=256)
def _takes_extra(method: t.Any) -> bool:
    """Tell whether a method that logs takes ``extra``, as those of
    :mod:`logging` do."""
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False
    return "extra" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


class _OtherLogger:
    """Wraps any other object that logs."""

    def __init__(self, logger: t.Any, replay: Replay) -> None:
        self._logger = logger
        self._replay = replay

    def __getattr__(self, name: str) -> t.Any:
        return _gated(getattr(self.__dict__["_logger"], name), name, self._replay)


def _gated(member: t.Any, name: str, replay: Replay) -> t.Any:
    """Return an attribute of a logger. While memos are given back, a method
    that logs is silent."""
    if name in _METHODS and not replay.over:
        # it may be called later; a wrapper only here, for some libraries take
        # the place of the line from the frame that calls them
        def log_later(*args: t.Any, **kwargs: t.Any) -> t.Any:
            return member(*args, **kwargs) if replay.over else None

        return log_later
    if name in _DERIVING and callable(member):

        def derive(*args: t.Any, **kwargs: t.Any) -> _OtherLogger:
            return _OtherLogger(member(*args, **kwargs), replay)

        return derive
    return member
