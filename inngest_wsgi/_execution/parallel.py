"""A parallel group, while its branches are being called."""

from __future__ import annotations

import typing as t

from .._messages import Op


class ParallelGroup:
    """A parallel group whose branches are being called.

    :ivar ops: what its branches came to
    :ivar ended: whether the branch that is being called has come to a step
    """

    __slots__ = ("mode", "outer", "ops", "ended", "_branch", "_steps", "_first_uses")

    def __init__(self, mode: str, outer: t.Optional["ParallelGroup"]) -> None:
        self.mode = mode
        self.outer = outer
        self.ops: t.List[Op] = []
        self.ended = False
        self._branch = 0
        self._steps = 0
        self._first_uses: t.Dict[str, t.Tuple[int, bool]] = {}

    def begin(self, branch: int) -> None:
        """The next branch is called."""
        self._branch, self._steps, self.ended = branch, 0, False

    def use(self, user_id: str) -> t.Optional[str]:
        """What is wrong with using this id in this branch.

        The uses of an id are told apart by their order. Between branches
        there is none, but for the first step of each.
        """
        first = self._steps == 0
        self._steps += 1
        branch, was_first = self._first_uses.setdefault(user_id, (self._branch, first))
        if branch == self._branch:
            self._first_uses[user_id] = (branch, first)
        elif not (first and was_first):
            return (
                "another branch of its parallel group has a step of the same id; give each "
                "branch ids of its own"
            )
        return None if self.outer is None else self.outer.use(user_id)
