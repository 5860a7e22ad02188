"""Define the three outcomes of a call as values.

``answers`` makes them; ``_run.call`` and ``_ops`` act on them.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ... import _protocol


@dataclass(frozen=True)
class Returned:
    """The function returned."""

    output: t.Any


@dataclass(frozen=True)
class Failure:
    """The attempt failed; the run fails if it is not retried."""

    #: Becomes the run's output if this is the end.
    output: t.Any
    #: ``error`` of the lifecycle events (W67).
    error: t.Dict[str, t.Any]
    #: ``result`` of the lifecycle events; left out when None.
    result: t.Any
    #: One line for the history of the run.
    text: str
    retriable: bool = True
    #: Seconds until the next attempt, if the app asked for a delay.
    retry_after: t.Optional[float] = None


@dataclass(frozen=True)
class Op:
    """One reported op, its name in the spelling of :data:`~.reported.KNOWN_OPS`."""

    op: str
    id: str
    name: str
    display_name: str
    data: t.Any
    opts: t.Dict[str, t.Any]
    error: t.Dict[str, t.Any]
    #: Which use of the display name it is, from 0.
    index: int = 0

    @property
    def race(self) -> bool:
        """Return True if it is one of a group in race mode, or follows one (W69)."""
        return self.opts.get("parallelMode") == _protocol.PARALLEL_RACE


@dataclass(frozen=True)
class Reported:
    """The app reported ops (206)."""

    ops: t.List[Op]
    no_retry: bool
    retry_after: t.Optional[float]
    version: int


Outcome = t.Union[Returned, Failure, Reported]


def server_failure(
    message: str,
    name: str = "Error",
    text: t.Optional[str] = None,
    stack: t.Optional[str] = None,
    label: t.Optional[str] = None,
) -> Failure:
    """Return a failure whose message is the server's and not the app's.

    :param text: the line for the history, if it should say more.
    :param stack: goes into the output, if there is one.
    :param label: name and message in one, if not in the usual form.
    """
    if label is None:
        label = message if name == "Error" else f"{name}: {message}"
    output = {"error": {"error": label, "name": name, "message": message}}
    if stack is not None:
        output["error"]["stack"] = stack
    nested = json.dumps(output, separators=(",", ":"), ensure_ascii=False)
    error = {"error": message if name == "Error" else name, "message": nested, "name": "Error"}
    return Failure(output, error, nested, text or label)


def local_failure(message: str) -> Failure:
    """Return a failure for a case in which a real server would hang, loop or go on."""
    return server_failure(message, "LocalServerError")
