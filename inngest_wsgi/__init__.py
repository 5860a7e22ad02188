"""Inngest's durable functions in WSGI applications.

::

    import inngest_wsgi as inngest

    client = inngest.Inngest(app_id="shop")

    @client.create_function(
        fn_id="welcome", trigger=inngest.TriggerEvent(event="user/created")
    )
    def welcome(ctx: inngest.Context):
        user = ctx.step.run("load-user", load_user, ctx.event.data["id"])
        ctx.step.sleep("let-them-settle", "1h30m")
        return ctx.step.run("send", send_email, user)

    application = inngest.serve(client=client, functions=[welcome])
"""

from ._codec.json import JSON
from ._execution.interrupt import Interrupt
from ._messages import RunningStep
from ._protocol import VERSION as __version__
from ._settings import Streaming
from .checkpointing import Checkpointing
from .client import Inngest
from .context import Context
from .errors import (
    ApiError,
    Error,
    FunctionConfigError,
    MiddlewareError,
    NonRetriableError,
    OutputError,
    RetryAfterError,
    SendEventsError,
    SettingsError,
    StepConfigError,
    StepError,
)
from .event import Event
from .flow import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from .function import Function
from .group import Group, ParallelMode
from .middleware import (
    Middleware,
    MiddlewareSync,
    Opcode,
    SendEventsResult,
    StepMemos,
    TransformOutputResult,
)
from .serializer import PydanticSerializer, Serializer
from .step import FetchResponse, Step
from .trigger import TriggerCron, TriggerEvent
from .wsgi import Application, serve

#: The official SDK's names for the synchronous classes; there are no others.
ContextSync = Context
GroupSync = Group
StepSync = Step

__all__ = [
    "ApiError",
    "Application",
    "Batch",
    "Cancel",
    "Checkpointing",
    "Concurrency",
    "Context",
    "ContextSync",
    "Debounce",
    "Error",
    "Event",
    "FetchResponse",
    "Function",
    "FunctionConfigError",
    "Group",
    "GroupSync",
    "Inngest",
    "Interrupt",
    "JSON",
    "Middleware",
    "MiddlewareError",
    "MiddlewareSync",
    "NonRetriableError",
    "Opcode",
    "OutputError",
    "ParallelMode",
    "Priority",
    "PydanticSerializer",
    "RateLimit",
    "RetryAfterError",
    "RunningStep",
    "SendEventsError",
    "SendEventsResult",
    "Serializer",
    "SettingsError",
    "Singleton",
    "Step",
    "StepConfigError",
    "StepError",
    "StepMemos",
    "StepSync",
    "Streaming",
    "Throttle",
    "Timeouts",
    "TransformOutputResult",
    "TriggerCron",
    "TriggerEvent",
    "__version__",
    "serve",
]
