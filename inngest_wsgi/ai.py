"""Steps that call AI models, as ``ctx.step.ai``."""

from __future__ import annotations

import typing as t

from . import _protocol as p, errors
from ._execution import memos, options
from ._execution.engine import Engine
from ._messages import Op, StepId

if t.TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._typing import Args, SyncJSON


class Adapter(t.Protocol):
    """A provider of models, as :meth:`AI.infer` needs it;
    ``inngest_wsgi.experimental.ai`` has some."""

    def auth_key(self) -> str:
        """Return the provider's API key."""
        ...

    def format(self) -> str:
        """Return the form of request and response: ``"openai-chat"``,
        ``"anthropic"`` or ``"gemini"``."""
        ...

    def headers(self) -> t.Dict[str, str]:
        """Return further headers of the request."""
        ...

    def on_call(self, body: t.Dict[str, t.Any]) -> None:
        """Complete the body of the request."""

    def url_infer(self) -> str:
        """Return the URL of the request."""
        ...


class AI:
    """The AI steps of one call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def infer(self, step_id: str, *, adapter: Adapter, body: t.Mapping[str, t.Any]) -> t.Any:
        """Have the server send a request to a model. The process is free
        meanwhile.

        :param adapter: the provider
        :param body: the body of the request, in the provider's form
        :returns: the provider's response, as JSON
        :raises StepError: the provider refused the request, or did not respond
        """

        def describe_edited(step: StepId, edited: t.List[t.Any]) -> Op:
            if len(edited) != 1 or not isinstance(edited[0], dict):
                raise errors.StepConfigError(step_id, "the edited input must be one body")
            return describe(step, edited[0])

        def describe(step: StepId, body: t.Mapping[str, t.Any] = body) -> Op:
            if not callable(getattr(adapter, "url_infer", None)):
                raise errors.StepConfigError(
                    step_id,
                    "adapter must have the methods of those in inngest_wsgi.experimental.ai",
                )
            request = dict(body)
            adapter.on_call(request)
            opts = {
                "type": p.TYPE_AI_INFER,
                "url": adapter.url_infer(),
                "headers": adapter.headers(),
                "auth_key": adapter.auth_key(),
                "format": adapter.format(),
                "body": request,
            }
            return Op(p.OP_AI_GATEWAY, step, step_id, options.json(step_id, "the request", opts))

        return memos.unwrapped(self._engine.ask(step_id, describe, describe_edited))

    def wrap(
        self,
        step_id: str,
        handler: t.Callable[[Unpack[Args]], SyncJSON],
        *handler_args: Unpack[Args],
    ) -> SyncJSON:
        """Run a call of a provider's own library as a step. The server's page
        shows it as an AI step; otherwise it is like ``ctx.step.run``."""
        if not callable(handler):
            raise options.no_function(step_id, handler)
        body = self._engine.replaced(handler)
        found: SyncJSON = self._engine.run(step_id, p.TYPE_AI_WRAP, body, handler_args)
        return found
