"""Keep event keys out of urllib3's logs.

The key is a part of the event API's path. urllib3 logs the path of each
request at level DEBUG, and as a WARNING where a header of the answer is
malformed: then from another logger, with an exception that quotes the answer.

What the user has attached to these loggers may raise, in the middle of a
request. That is no reason to report as failed what the server has accepted.
"""

from __future__ import annotations

import functools
import logging
import traceback
import typing as t
import urllib.parse

from .. import _protocol as p
from .._logs import report_failure
from .connection import is_limited

#: Shorter event keys, in characters, are replaced in the path only: a dev
#: server takes any word, and a short one may stand anywhere.
MIN_SECRET_LENGTH = 8

#: The loggers of urllib3, of 1.26 and 2. A filter of a logger does not see
#: the records of the loggers below it.
LOGGERS = (
    "urllib3",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.contrib.appengine",
    "urllib3.contrib.emscripten.response",
    "urllib3.contrib.ntlmpool",
    "urllib3.contrib.pyopenssl",
    "urllib3.http2.connection",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)


class EventKeyFilter(logging.Filter):
    """Replaces event keys in log records. Keeps every record.

    :ivar keys: the keys to replace, percent-encoded
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: t.Set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:
            # its arguments do not fit: logging reports that
            return True
        shown = self._without_keys(text)
        if shown != text:
            record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[0] is not None:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            shown = self._without_keys(text)
            if shown != text:
                record.exc_info, record.exc_text = None, shown
        return True

    def _without_keys(self, text: str) -> str:
        for key in tuple(self.keys):
            text = text.replace(p.PATH_EVENT + key, p.PATH_EVENT + "...")
            if len(key) >= MIN_SECRET_LENGTH:
                text = text.replace(key, "...").replace(urllib.parse.unquote(key), "...")
        return text


def _handle(handle: t.Callable[[logging.LogRecord], None], record: logging.LogRecord) -> None:
    """Do what a logger does with a record. During a request of ours, an
    exception of a filter or a handler is printed."""
    try:
        handle(record)
    except Exception:
        if not is_limited():
            raise
        report_failure()


_filter = EventKeyFilter()
_loggers = tuple(map(logging.getLogger, LOGGERS))


def hide_event_key(quoted: str) -> None:
    """Keep an event key out of urllib3's logs from now on.

    :param quoted: the key, percent-encoded
    """
    if quoted not in _filter.keys:
        _filter.keys.add(quoted)
    # at every request: a logger holds a filter only once, and code that
    # configures logging later may have removed it
    for logger in _loggers:
        if _filter not in logger.filters:
            logger.addFilter(_filter)


def let_logs_fail_nothing() -> None:
    """Let no filter or handler of urllib3's logs fail a request of ours."""
    for logger in _loggers:
        if "handle" not in vars(logger):
            vars(logger)["handle"] = functools.partial(_handle, logger.handle)
