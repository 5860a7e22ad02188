"""A logger for replayed code: silent while memos are given back, so that each
line is logged once, with the call it belongs to on every record."""

from __future__ import annotations

import copy
import logging
import typing as t

Logger = t.Any

#: Methods that log, of loggers that are not the standard library's.
_METHODS = frozenset(
    "trace debug verbose info notice success warning warn error critical fatal alert "
    "emergency exception log msg".split()
)
#: Methods that give another logger.
_DERIVING = frozenset("bind new opt patch try_unbind unbind".split())


class Replay:
    """The switch of one call's logger.

    :ivar over: True once code runs for the first time, so that lines are
        logged
    """

    over = False


def for_call(logger: Logger, replay: Replay, facts: t.Mapping[str, t.Any]) -> Logger:
    """The logger of one call.

    :param logger: a logger or adapter of :mod:`logging`, or any other object
        with methods such as ``info``; one with ``bind()``, as structlog's and
        loguru's have, gets the facts that way
    :param facts: attributes of every record
    """
    if isinstance(logger, logging.LoggerAdapter):
        try:
            # innermost, for an adapter may put its own extra in place of ours
            adapter = copy.copy(logger)
            adapter.logger = for_call(logger.logger, replay, facts)
            return adapter
        except Exception:
            return _OtherLogger(logger, replay)
    if isinstance(logger, logging.Logger):
        return _StandardLogger(logger, replay, facts)
    try:
        return _OtherLogger(logger.bind(**facts), replay)
    except Exception:
        # no bind, or another than those we know
        return _OtherLogger(logger, replay)


class _StandardLogger(t.cast(t.Any, logging.LoggerAdapter)):  # type: ignore[misc]
    def __init__(
        self, logger: logging.Logger, replay: Replay, facts: t.Mapping[str, t.Any]
    ) -> None:
        super().__init__(logger, dict(facts))
        self._replay = replay

    def isEnabledFor(self, level: int) -> bool:
        return self._replay.over and bool(self.logger.isEnabledFor(level))

    def process(
        self, msg: t.Any, kwargs: t.MutableMapping[str, t.Any]
    ) -> t.Tuple[t.Any, t.MutableMapping[str, t.Any]]:
        kwargs["extra"] = dict(self.extra, **(kwargs.get("extra") or {}))
        return msg, kwargs

    def __getattr__(self, name: str) -> t.Any:
        """What an adapter has not, the logger may have: levels of its own."""
        return _gated(getattr(self.__dict__["logger"], name), name, self._replay)


class _OtherLogger:
    def __init__(self, logger: t.Any, replay: Replay) -> None:
        self._logger = logger
        self._replay = replay

    def __getattr__(self, name: str) -> t.Any:
        return _gated(getattr(self.__dict__["_logger"], name), name, self._replay)


def _gated(member: t.Any, name: str, replay: Replay) -> t.Any:
    """A member of a logger, as it is while memos are given back, or not."""
    if name in _METHODS and not replay.over:
        return _silent
    if name in _DERIVING and callable(member):
        return lambda *args, **kwargs: _OtherLogger(member(*args, **kwargs), replay)
    return member


def _silent(*args: t.Any, **kwargs: t.Any) -> None:
    pass
