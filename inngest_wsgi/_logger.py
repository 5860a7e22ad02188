"""A logger for replayed code: silent while memos are given back, so that each
line is logged once, with the call it belongs to on every record."""

from __future__ import annotations

import copy
import logging
import typing as t

Logger = t.Any

#: Methods that log, of loggers that are not the standard library's.
_METHODS = frozenset(
    "trace debug info success warning warn error critical fatal exception log msg".split()
)


class Replay:
    """Whether code is being replayed. One for each call."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


def for_call(logger: Logger, replay: Replay, facts: t.Mapping[str, t.Any]) -> Logger:
    """The logger of one call.

    :param logger: a logger or adapter of :mod:`logging`, or any other object
        with methods such as ``info``; one with ``bind()``, as structlog's and
        loguru's have, gets the facts that way
    :param facts: attributes of every record
    """
    if isinstance(logger, logging.LoggerAdapter):
        # innermost, for an adapter may put its own extra in place of ours
        adapter = copy.copy(logger)
        adapter.logger = for_call(logger.logger, replay, facts)
        return adapter
    if isinstance(logger, logging.Logger):
        return _StandardLogger(logger, replay, facts)
    bind = getattr(logger, "bind", None)
    return _OtherLogger(bind(**facts) if callable(bind) else logger, replay)


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


class _OtherLogger:
    def __init__(self, logger: t.Any, replay: Replay) -> None:
        self._logger = logger
        self._replay = replay

    def __getattr__(self, name: str) -> t.Any:
        found = getattr(self._logger, name)
        if name in _METHODS and not self._replay.over:
            return _silent
        return found


def _silent(*args: t.Any, **kwargs: t.Any) -> None:
    pass
