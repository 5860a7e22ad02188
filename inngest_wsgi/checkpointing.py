"""Checkpointing: go on after a step, instead of being called again.

Without it each step costs a call of its own, and the server's queue some 150
milliseconds between two calls. With it a step that has succeeded is sent to the
server, and the function goes on in the same call (PROTOCOL section 9).
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._codec import durations, validate
from ._codec.durations import Duration

_MAX_STEPS = 1000
_MAX_RUNTIME_MS = 2 * 3600 * 1000


@dataclasses.dataclass(frozen=True)
class Checkpointing:
    """How a call goes on after its steps::

        Checkpointing()                                     # after each step
        Checkpointing(buffered_steps=10, max_interval="1s")  # after ten, or a second
        Checkpointing(max_runtime="1m")                     # workers may take a minute

    A step runs again if the process dies before the step was sent. So the more
    steps are sent together, the faster the function is, and the more steps may
    run twice.

    :param buffered_steps: how many steps are sent together, from 1 to 1000
    :param max_interval: send what there is after this time, even while the
        next step runs; None to wait for ``buffered_steps``. A duration is
        milliseconds (``int``), a ``timedelta`` or a time string
    :param max_runtime: the time after which a call runs no further step, and
        asks the server to be called again; at most 2 hours, which is the
        server's limit for a call. Keep it below the time after which the WSGI
        server kills its worker, less the time of the longest step: gunicorn's
        ``--timeout`` is 30 seconds by default
    :raises ValueError: names the field and says what is wrong
    """

    buffered_steps: int = 1
    max_interval: t.Optional[Duration] = None
    max_runtime: Duration = "10s"

    def __post_init__(self) -> None:
        self._check("buffered_steps", validate.whole_number, 1, _MAX_STEPS)
        if self.max_interval is not None:
            self._check("max_interval", validate.milliseconds, 1, _MAX_RUNTIME_MS)
        self._check("max_runtime", validate.milliseconds, 1, _MAX_RUNTIME_MS)

    @property
    def interval_s(self) -> t.Optional[float]:
        """``max_interval`` in seconds."""
        return (
            None if self.max_interval is None else durations.milliseconds(self.max_interval) / 1000
        )

    @property
    def runtime_s(self) -> float:
        """``max_runtime`` in seconds."""
        return durations.milliseconds(self.max_runtime) / 1000

    def _check(self, field: str, check: t.Callable[..., t.Any], *limits: int) -> None:
        try:
            check(getattr(self, field), *limits)
        except ValueError as problem:
            raise ValueError(f"{field} of a Checkpointing: {problem}") from None

    def to_wire(self) -> t.Dict[str, t.Any]:
        """Return the ``checkpoint`` of a registration (PROTOCOL section 5)."""
        wire: t.Dict[str, t.Any] = {"batch_steps": self.buffered_steps}
        if self.max_interval is not None:
            wire["batch_interval"] = durations.optional(self.max_interval)
        wire["max_runtime"] = durations.optional(self.max_runtime)
        return wire


#: A value of a ``checkpointing`` option; None where it is not given.
Option = t.Union[bool, Checkpointing, None]


def policy(option: Option, default: t.Optional[Checkpointing]) -> t.Optional[Checkpointing]:
    """Return the policy that an option asks for; None if it turns checkpointing
    off.

    :param default: what applies where the option is not given
    """
    if option is None:
        return default
    if isinstance(option, bool):
        return (default or Checkpointing()) if option else None
    return option


def checked(value: t.Any) -> t.Union[bool, Checkpointing]:
    """Return the value of a ``checkpointing`` option.

    :raises ValueError: neither a bool nor a :class:`Checkpointing`
    """
    if isinstance(value, (bool, Checkpointing)):
        return value
    raise ValueError(f"must be True, False or a Checkpointing, not {value!r}")
