"""Types that only type checkers need. Nothing imports this module at run time, and
``typing_extensions``, whose types checkers bring along, is no dependency."""

from __future__ import annotations

import typing as t

#: The values that a step may return without an ``output_type``. The contents of containers
#: are not looked at, because a ``Dict[str, int]`` is no ``Dict[str, Json]``.
Json = t.Union[None, float, str, t.Sequence[t.Any], t.Mapping[t.Any, t.Any]]

#: The output of a function that is not ``async def``. A coroutine is no JSON, so checkers
#: refuse coroutine functions with this name in their message.
SyncJSON = t.TypeVar("SyncJSON", bound=Json)

if t.TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVarTuple

    #: The arguments of a step's function.
    P = ParamSpec("P")
    #: The same without keywords, where there is a keyword of our own beside them.
    Args = TypeVarTuple("Args")
