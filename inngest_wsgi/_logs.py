"""Write the package's own log, the logger ``inngest_wsgi``.

Two rules hold for each line. Writing it fails nothing: a filter or a handler
of the user's may raise, and a step that has charged a card must not be tried
again for that. And it is one line: ids that came with a request could
otherwise contain a newline, and what looks like another line after it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
import typing as t


def printable(text: str) -> str:
    """Return text without line breaks and control characters: unchanged if it
    has none, else escaped as in a Python string."""
    return text if text.isprintable() else ascii(text)[1:-1]


def report_failure() -> None:
    """Print the exception that is being handled, as :mod:`logging` does with
    an exception of a handler."""
    if logging.raiseExceptions and sys.stderr is not None:
        with contextlib.suppress(Exception):
            traceback.print_exc(file=sys.stderr)


class Log:
    """Writes to a logger of :mod:`logging`.

    Each method takes a message as ``%`` expects it, and its arguments; texts
    and exceptions among the arguments are made :func:`printable`.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, message: str, *args: t.Any) -> None:
        """Write a line of level INFO."""
        self._write(logging.INFO, message, args, None)

    def warning(self, message: str, *args: t.Any, exc_info: t.Any = None) -> None:
        """Write a line of level WARNING."""
        self._write(logging.WARNING, message, args, exc_info)

    def error(self, message: str, *args: t.Any, exc_info: t.Any = None) -> None:
        """Write a line of level ERROR."""
        self._write(logging.ERROR, message, args, exc_info)

    def exception(self, message: str, *args: t.Any) -> None:
        """Write a line of level ERROR, with the traceback of the exception
        that is being handled."""
        self._write(logging.ERROR, message, args, True)

    def log(self, level: int, message: str, *args: t.Any, exc_info: t.Any = None) -> None:
        """Write a line of any level."""
        self._write(level, message, args, exc_info)

    def _write(self, level: int, message: str, args: t.Tuple[t.Any, ...], exc_info: t.Any) -> None:
        try:
            # the line is that of the caller's caller
            self._logger.log(
                level, message, *map(_one_line, args), exc_info=exc_info, stacklevel=3
            )
        except Exception:
            report_failure()


def _one_line(arg: t.Any) -> t.Any:
    return printable(str(arg)) if isinstance(arg, (str, BaseException)) else arg


log = Log("inngest_wsgi")
