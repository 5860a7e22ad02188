"""Hold the answer whose ops are being handled."""

from __future__ import annotations

import typing as t

from .._model.state import Config
from .._run.items import Call
from .._run.machinery import Machinery
from .._run.retries import may_retry, retry
from .._wire.outcomes import Op, Reported


class Report:
    """One 206 answer.

    :param machinery: the runs of the server.
    :param call: the call that was answered.
    :param config: what the call's request was built with.
    :param reported: the answer.
    :param group: name of the group that the answer reports; empty if none.
    """

    def __init__(
        self, machinery: Machinery, call: Call, config: Config, reported: Reported, group: str
    ) -> None:
        self.machinery = machinery
        self.call = call
        self.config = config
        self.run = call.run
        self.reported = reported
        self.group = group

    def note_repeated(self, op: Op) -> None:
        """Record that an op had no effect, to name it in the error if the run hangs."""
        self.run.stuck_reasons.append(
            f"the app reported {op.op} for step {op.display_name!r} a second time"
        )

    def retry_conflict(self, op: Op) -> None:
        """Retry the call of a step that ended in two ways; the first one stays."""
        self.note_repeated(op)
        if may_retry(self.call, True):
            retry(self.machinery, self.call, None, op.display_name)


#: Acts on one op of an answer.
Handler = t.Callable[[Report, Op], None]
