"""Draw the faults of a seed."""

from __future__ import annotations

import functools
import random
import typing as t

from . import fault as f
from .fault import Fault

#: Makes a fault, anew each time.
Make = t.Callable[[], Fault]


class Kind(t.NamedTuple):
    """A kind of fault that is explored.

    :ivar per: what it is counted by, see :attr:`Faults.counts`.
    :ivar values: the values of its options to choose from.
    """

    verb: str
    of: str
    per: str
    values: t.Dict[str, t.Sequence[t.Any]]


_DELAYS = (1.0, 45.0, 600.0)
#: The kinds of faults by the names that ``faults=`` takes.
KINDS: t.Dict[str, Kind] = {
    "drop call": Kind(f.DROP, f.CALL, f.CALL, {}),
    "drop answer": Kind(f.DROP, f.ANSWER, f.ANSWER, {}),
    "duplicate call": Kind(f.DUPLICATE, f.CALL, f.CALL, {"reads": (1, 2)}),
    "delay call": Kind(f.DELAY, f.CALL, f.CALL, {"by": _DELAYS}),
    "delay answer": Kind(f.DELAY, f.ANSWER, f.ANSWER, {"by": _DELAYS}),
    "truncate call": Kind(f.TRUNCATE, f.CALL, f.CALL, {}),
    "truncate answer": Kind(f.TRUNCATE, f.ANSWER, f.ANSWER, {}),
    "lose worker": Kind(f.LOSE, f.WORKER, f.WORKER, {"when": (f.BEFORE, f.AFTER)}),
    "kill before": Kind(f.KILL, f.STEP, f.STEP, {"when": (f.BEFORE,)}),
    "kill inside": Kind(f.KILL, f.STEP, f.STEP, {"when": (f.INSIDE,), "line": (1, 2, 3, 5)}),
    "kill after": Kind(f.KILL, f.STEP, f.STEP, {"when": (f.AFTER,)}),
    "drop checkpoint": Kind(f.DROP, f.CHECKPOINT, f.CHECKPOINT, {"times": (1, 3)}),
    "drop checkpoint answer": Kind(f.DROP, f.CHECKPOINT_ANSWER, f.CHECKPOINT, {"times": (1, 3)}),
    "duplicate checkpoint": Kind(f.DUPLICATE, f.CHECKPOINT, f.CHECKPOINT, {}),
    "delay checkpoint": Kind(
        f.DELAY, f.CHECKPOINT, f.CHECKPOINT, {"times": (1, 3), "by": _DELAYS}
    ),
    "fail api": Kind(
        f.FAIL,
        f.REQUEST,
        f.REQUEST,
        {"times": (1, 2), "status": (500, 503, None), "path": (None,), "done": (False,)},
    ),
}


def drawn(
    seed: int, kinds: t.Sequence[str], counts: t.Mapping[str, int], most: int
) -> t.List[Make]:
    """Return what makes the faults of a seed.

    :param kinds: the names of the kinds to choose among.
    :param counts: how many there were of each thing that a fault may happen to.
    :param most: how many faults there may be.
    """
    draw = random.Random(f"{seed} faults")
    possible = [kind for kind in kinds if counts.get(KINDS[kind].per)]
    if not possible or most < 1:
        return []
    found = []
    for _ in range(min(draw.choice((0, 1, 1, 1, 1, 2, 2, 3)), most)):
        name = draw.choice(possible)
        kind = KINDS[name]
        values = {option: draw.choice(list(of)) for option, of in kind.values.items()}
        found.append(made(name, 1 + draw.randrange(counts[kind.per]), **values))
    return found


def made(name: str, nth: int, **values: t.Any) -> Make:
    """Return what makes a fault of a kind."""
    kind = KINDS[name]
    return functools.partial(
        Fault, kind.verb, kind.of, nth=nth, optional=True, explored=True, **values
    )
