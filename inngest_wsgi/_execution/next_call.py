"""Make the input of the calls that one call with checkpoints stands for."""

from __future__ import annotations

import typing as t

from .._codec import json as _json
from .._messages import Call
from ..context import Context
from ..function import Function
from ..middleware import StepMemos
from .middleware_stack import Stack


class NextCall:
    """The input of the calls that one call with checkpoints stands for.

    Each has memos and events of its own, as the server would send them, because
    a middleware may have changed those of the call before.
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
        self._steps = {key: _json.dumps(memo) for key, memo in (call.steps or {}).items()}

    def transform_input(self, stack: Stack, hashed_id: str, memo: t.Any) -> t.Dict[str, t.Any]:
        """Let the middleware transform the input of the next call.

        :returns: the memos as transformed
        """
        self._steps[hashed_id] = _json.dumps(memo)
        steps = {key: _json.loads(text) for key, text in self._steps.items()}
        # the function keeps its context, and the events in it, which it may
        # have changed; what the middleware sets goes over into it
        fresh, _ = self._make_context(_json.loads(self._events))
        before = dict(vars(fresh))
        stack.forward("transform_input", fresh, self._function, StepMemos(steps))
        for name, value in vars(fresh).items():
            if name not in ("event", "events") and before.get(name) is not value:
                setattr(self._context, name, value)
        return steps
