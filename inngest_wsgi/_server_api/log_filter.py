"""Keep event keys out of urllib3's log."""

from __future__ import annotations

import logging
import typing as t

from .. import _protocol as p


class EventKeyFilter(logging.Filter):
    """Replaces event keys in log records: urllib3 logs the path of each
    request at level DEBUG, and the key is a part of the event API's path.

    :ivar keys: the keys to replace, percent-encoded
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: t.Set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the keys in the record's arguments. Keeps every record."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(self._without_keys, record.args))
        return True

    def _without_keys(self, value: t.Any) -> t.Any:
        if isinstance(value, str):
            for key in tuple(self.keys):
                value = value.replace(p.PATH_EVENT + key, p.PATH_EVENT + "...")
        return value


_filter = EventKeyFilter()


def hide_event_key(quoted: str) -> None:
    """Keep an event key out of urllib3's log from now on.

    :param quoted: the key, percent-encoded
    """
    _filter.keys.add(quoted)
    # at every request: a logger holds a filter only once, and code that
    # configures logging later may have removed it
    logging.getLogger("urllib3.connectionpool").addFilter(_filter)
