"""A declared function, and its registration."""

from __future__ import annotations

import json
import typing as t

from . import _protocol as p, errors, flow
from ._checks import handlers
from ._codec import validate
from .checkpointing import Checkpointing, Option, checked, policy
from .trigger import Trigger, TriggerCron, TriggerEvent

#: The most retries that the server allows; it reduces more to this.
MAX_RETRIES = 20
#: The most entries of each list (PROTOCOL section 5).
MAX_TRIGGERS = 10
MAX_CANCELLATIONS = 5
MAX_CONCURRENCY = 2

FAILURE_SUFFIX = "-failure"

#: Covariant, so that functions of several types are a list of ``Function[object]``, and can be
#: served.
T = t.TypeVar("T", covariant=True)
Handler = t.Callable[[t.Any], T]


class Options(t.NamedTuple):
    """The options of a function, which
    :meth:`inngest_wsgi.Inngest.create_function` documents and has as its
    parameters."""

    fn_id: str
    trigger: t.Union[Trigger, t.Sequence[Trigger]]
    name: t.Optional[str] = None
    retries: t.Optional[int] = None
    on_failure: t.Optional[Handler[t.Any]] = None
    batch_events: t.Optional[flow.Batch] = None
    cancel: t.Optional[t.Sequence[flow.Cancel]] = None
    checkpointing: Option = None
    concurrency: t.Optional[t.Sequence[flow.Concurrency]] = None
    debounce: t.Optional[flow.Debounce] = None
    idempotency: t.Optional[str] = None
    middleware: t.Optional[t.Sequence[t.Any]] = None
    output_type: t.Any = None
    priority: t.Optional[flow.Priority] = None
    rate_limit: t.Optional[flow.RateLimit] = None
    singleton: t.Optional[flow.Singleton] = None
    throttle: t.Optional[flow.Throttle] = None
    timeouts: t.Optional[flow.Timeouts] = None


class Function(t.Generic[T]):
    """A function that ``create_function`` has declared.

    :ivar fn_id: its id within the app
    :ivar name: the name that Inngest shows
    :ivar handler: the Python function itself, to be called in unit tests
    :ivar declared: the function itself; for a failure handler, the function
        that has it
    """

    #: The official SDK's question; there are no others here.
    is_handler_async = False

    def __init__(self, handler: Handler[T], options: Options, app_id: str) -> None:
        self.declared: "Function[t.Any]" = self
        self.fn_id: str = options.fn_id
        self._app_id = app_id
        if not validate.is_text(self.fn_id):
            self._refuse('fn_id must be text, and not empty, for example "send-invoice"')
        self.name: str = self.fn_id if options.name is None else options.name
        self._check("name", validate.text, self.name)
        self.handler = handler
        self.middleware: t.Tuple[t.Any, ...] = tuple(options.middleware or ())
        self.output_type: t.Any = options.output_type
        self._checkpointing = options.checkpointing
        if self._checkpointing is not None:
            self._check("checkpointing", checked, self._checkpointing)
        self._on_failure = options.on_failure
        self._retries = self._checked_retries(options.retries)
        self._triggers = self._checked_triggers(options.trigger)
        self._flow = self._checked_flow(options)
        self._check_handler(handler, "the function")
        if self._on_failure is not None:
            self._check_handler(self._on_failure, "on_failure")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.fn_id!r}>"

    @property
    def id(self) -> str:
        """The full id, in the app that the function was declared with."""
        return self.full_id(self._app_id)

    @property
    def local_id(self) -> str:
        """The official SDK's name for ``fn_id``."""
        return self.fn_id

    def get_id(self) -> str:
        """Return :attr:`id`."""
        return self.id

    @property
    def on_failure_fn_id(self) -> t.Optional[str]:
        """The full id of the failure handler; None if there is none."""
        return None if self._on_failure is None else self.id + FAILURE_SUFFIX

    @property
    def is_on_failure_handler_async(self) -> t.Optional[bool]:
        """None if there is no failure handler; it is never asynchronous."""
        return None if self._on_failure is None else False

    def full_id(self, app_id: str) -> str:
        """Return the id by which the server knows the function,
        ``<app>-<fn>``."""
        return f"{app_id}-{self.fn_id}"

    def failure_handler(self, app_id: str) -> t.Optional["Function[t.Any]"]:
        """Return ``on_failure`` as the function that the server calls; None if
        there is none. Of the options, it has the function's middleware alone,
        as in the official SDK (PROTOCOL section 5)."""
        if self._on_failure is None:
            return None
        failed = json.dumps(self.full_id(app_id)).replace("'", "\\'")[1:-1]
        trigger = TriggerEvent(
            event=p.EVENT_FUNCTION_FAILED,
            expression=f"event.data.function_id == '{failed}'",
        )
        options = Options(
            fn_id=self.fn_id + FAILURE_SUFFIX,
            name=self.name + " (failure)",
            trigger=trigger,
            retries=0,
            middleware=self.middleware,
        )
        handler = Function(self._on_failure, options, app_id)
        handler.declared = self
        return handler

    def checkpoint_policy(self, default: t.Optional[Checkpointing]) -> t.Optional[Checkpointing]:
        """Return how calls of the function go on after steps; None if they end
        at each step.

        :param default: of the endpoint
        """
        return policy(self._checkpointing, default)

    def registration(
        self, app_id: str, url: str, default: t.Optional[Checkpointing] = None
    ) -> t.Dict[str, t.Any]:
        """Return the function's part of a registration (PROTOCOL section 5).
        Options that are not set are left out: there is no ``null``.

        :param url: the URL that the server calls, with ``fnId`` and ``stepId``
        :param default: the endpoint's checkpointing
        """
        step: t.Dict[str, t.Any] = {
            "id": p.STEP,
            "name": p.STEP,
            "runtime": {"type": "http", "url": url},
        }
        if self._retries is not None:
            step["retries"] = {"attempts": self._retries}
        checkpointing = self.checkpoint_policy(default)
        extra = {} if checkpointing is None else {"checkpoint": checkpointing.to_wire()}
        return dict(
            self._flow,
            **extra,
            id=self.full_id(app_id),
            name=self.name,
            triggers=[trigger.to_wire() for trigger in self._triggers],
            steps={p.STEP: step},
        )

    # -- checks ----------------------------------------------------------

    def _refuse(self, message: str) -> t.NoReturn:
        raise errors.FunctionConfigError(self.fn_id, message)

    def _check(self, name: str, check: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        """Call a check of :mod:`~inngest_wsgi._codec.validate`."""
        try:
            return check(*args)
        except ValueError as problem:
            self._refuse(f"{name} {problem}")

    def _checked_retries(self, retries: t.Optional[int]) -> t.Optional[int]:
        if retries is None:
            return None
        found: int = self._check("retries", validate.whole_number, retries, 0, MAX_RETRIES)
        return found

    def _checked_triggers(
        self, trigger: t.Union[Trigger, t.Sequence[Trigger]]
    ) -> t.Sequence[Trigger]:
        kinds = (TriggerEvent, TriggerCron)
        if isinstance(trigger, kinds):
            return (trigger,)
        wanted = "a TriggerEvent, a TriggerCron, or a list of them"
        triggers = self._checked_list("trigger", trigger, kinds, MAX_TRIGGERS, wanted)
        if not triggers:
            self._refuse(f"trigger must be {wanted}")
        return triggers

    def _checked_flow(self, options: Options) -> t.Dict[str, t.Any]:
        """Return the options of flow control that are set, by their names in
        a registration."""
        idempotency = options.idempotency
        if idempotency is not None:
            self._check("idempotency", validate.expression, idempotency)
        if options.batch_events is not None and options.cancel:
            self._refuse("batch_events and cancel cannot go together")
        found = {
            "batchEvents": self._one("batch_events", options.batch_events, flow.Batch),
            "cancel": self._several("cancel", options.cancel, flow.Cancel, MAX_CANCELLATIONS),
            "concurrency": self._several(
                "concurrency", options.concurrency, flow.Concurrency, MAX_CONCURRENCY
            ),
            "debounce": self._one("debounce", options.debounce, flow.Debounce),
            "idempotency": idempotency,
            "priority": self._one("priority", options.priority, flow.Priority),
            "rateLimit": self._one("rate_limit", options.rate_limit, flow.RateLimit),
            "singleton": self._one("singleton", options.singleton, flow.Singleton),
            "throttle": self._one("throttle", options.throttle, flow.Throttle),
            "timeouts": self._one("timeouts", options.timeouts, flow.Timeouts),
        }
        return {name: value for name, value in found.items() if value}

    def _one(self, name: str, value: t.Any, kind: t.Any) -> t.Any:
        if value is None:
            return None
        if not isinstance(value, kind):
            self._refuse(f"{name} must be a {kind.__name__}, not {value!r}")
        return value.to_wire()

    def _several(
        self, name: str, value: t.Any, kind: t.Any, most: int
    ) -> t.Optional[t.List[t.Any]]:
        if value is None:
            return None
        wanted = f"a list of {kind.__name__}"
        return [one.to_wire() for one in self._checked_list(name, value, (kind,), most, wanted)]

    def _checked_list(
        self, name: str, value: t.Any, kinds: t.Tuple[type, ...], most: int, wanted: str
    ) -> t.Sequence[t.Any]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(x, kinds) for x in value):
            self._refuse(f"{name} must be {wanted}, not {value!r}")
        if len(value) > most:
            self._refuse(f"{name} has {len(value)} entries; the most is {most}")
        return tuple(value)

    def _check_handler(self, handler: object, what: str) -> None:
        if not callable(handler):
            self._refuse(f"{handler!r} cannot be called")
        problem = handlers.problem(handler, what)
        if problem is not None:
            self._refuse(problem)
