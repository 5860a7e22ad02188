"""All that a replay can end in."""

from __future__ import annotations

import typing as t

from .._messages import Op, UserError


class Returned(t.NamedTuple):
    """The function returned.

    :ivar data: its value as JSON text
    """

    data: bytes


class Failed(t.NamedTuple):
    """The function raised.

    :ivar retriable: whether the server is to call again
    :ivar retry_after: the ``Retry-After`` that the error asks for
    """

    error: UserError
    retriable: bool
    retry_after: t.Optional[str] = None


class StepsReported(t.NamedTuple):
    """The function came to steps that the server must know of first.

    :ivar ops: never empty: the server would call again at once, for ever
    :ivar retriable: of a step that raised: whether it is to be tried again;
        None where no step raised
    :ivar retry_after: the ``Retry-After`` that the step's error asks for
    """

    ops: t.Sequence[Op]
    retriable: t.Optional[bool] = None
    retry_after: t.Optional[str] = None


Outcome = t.Union[Returned, Failed, StepsReported]
