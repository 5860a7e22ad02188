"""Make the input of the calls that one call with checkpoints stands for."""

from __future__ import annotations

import typing as t

from .._codec import json as _json
from .._messages import Call
from ..context import Context, State
from ..function import Function
from ..middleware import StepMemos
from .middleware_stack import Stack

_IMMUTABLE = (str, int, float, bool, type(None))


class NextCall:
    """The input of the calls that one call with checkpoints stands for.

    Each has memos and events of its own, as the server would send them, because
    a middleware may have changed those of the call before. Only needed where a
    middleware has a ``transform_input`` of its own.
    """

    def __init__(
        self,
        context: Context,
        function: Function[t.Any],
        call: Call,
        make_context: t.Callable[[t.Any], t.Tuple[Context, t.Any]],
    ) -> None:
        self._context = context
        self._function = function
        self._make_context = make_context
        self._events = _json.dumps(call.events)
        self._kept = _Kept()
        for key, memo in (call.steps or {}).items():
            self._kept.put(key, memo)

    def transform_input(self, stack: Stack, hashed_id: str, memo: t.Any) -> t.Dict[str, t.Any]:
        """Let the middleware transform the input of the next call.

        :returns: the memos as transformed
        """
        self._kept.put(hashed_id, memo)
        steps = _LazyStepMemos(self._kept)
        # the function keeps its context, and the events in it, which it may
        # have changed; what the middleware sets goes over into it
        fresh, _ = self._make_context(_json.loads(self._events))
        before = dict(vars(fresh))
        stack.forward("transform_input", fresh, self._function, steps)
        for name, value in vars(fresh).items():
            if isinstance(value, State):
                # what the function itself has assigned there stays
                vars(self._context.state).update(vars(value))
            elif name not in ("event", "events") and before.get(name) is not value:
                setattr(self._context, name, value)
        return steps.transformed()


class _Kept(t.Dict[str, t.Any]):
    """Memos of which each call can have a copy. What could be changed is kept
    as JSON text, and read anew each time."""

    def __getitem__(self, key: str) -> t.Any:
        found = super().__getitem__(key)
        return _json.loads(found) if type(found) is bytes else found

    def get(self, key: str, default: t.Any = None) -> t.Any:
        return self[key] if key in self else default

    def put(self, key: str, memo: t.Any) -> None:
        has_data_alone = type(memo) is dict and memo.keys() == {"data"}
        # of a memo, a middleware can reach the data alone, or the whole of it
        value = memo["data"] if has_data_alone else memo
        self[key] = memo if isinstance(value, _IMMUTABLE) else _json.dumps(memo)

    def copied(self) -> t.Dict[str, t.Any]:
        """Return a copy, all read at once: that is several times as fast."""
        found = dict(self)
        keys = [key for key, memo in found.items() if type(memo) is bytes]
        texts = b",".join(found[key] for key in keys)
        found.update(zip(keys, _json.loads(b"[%b]" % texts)))
        return found


class _LazyStepMemos(StepMemos):
    """Copies the memos when a middleware first looks at them: many never do,
    and to copy all of them after each step takes the longer the more there are.
    """

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> t.Any:
        if name != "_memos":
            raise AttributeError(name)
        self._memos = self._kept.copied()
        return self._memos

    @property
    def size(self) -> int:
        return len(vars(self).get("_memos", self._kept))

    def transformed(self) -> t.Dict[str, t.Any]:
        """Return the memos as they are now."""
        found: t.Dict[str, t.Any] = vars(self).get("_memos", self._kept)
        return found
