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

from ._protocol import VERSION as __version__
from .client import Inngest
from .context import Context
from .errors import (
    ApiError,
    Error,
    FunctionConfigError,
    NonRetriableError,
    OutputError,
    RetryAfterError,
    SendEventsError,
    SettingsError,
    StepConfigError,
    StepError,
)
from .event import Event
from .function import Function, TriggerCron, TriggerEvent
from .step import Step
from .wsgi import Application, serve

#: The official SDK's names for the synchronous forms, which are the only ones.
ContextSync = Context
StepSync = Step

__all__ = [
    "ApiError",
    "Application",
    "Context",
    "ContextSync",
    "Error",
    "Event",
    "Function",
    "FunctionConfigError",
    "Inngest",
    "NonRetriableError",
    "OutputError",
    "RetryAfterError",
    "SendEventsError",
    "SettingsError",
    "Step",
    "StepConfigError",
    "StepError",
    "StepSync",
    "TriggerCron",
    "TriggerEvent",
    "__version__",
    "serve",
]
