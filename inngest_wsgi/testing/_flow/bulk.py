"""Cancel many runs of a function at once: by when they began, and by their events."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._expressions.expression import Expression, ExpressionError
from .._model.functions import Function
from .._run.machinery import Machinery
from .._wire import ids
from .._wire.times import parse_date, rfc3339

#: Seconds by which ``started_before`` may be in the future.
_TOLERANCE = 5.0
_ACCOUNT_ID = "00000000-0000-4000-a000-000000000000"
_ENVIRONMENT_ID = "00000000-0000-4000-b000-000000000000"


class CancellationRefused(Exception):
    """Raised if a request is not acceptable.

    :ivar status: of the answer.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class BulkCancellations:
    """The cancellations that were asked for, in the form in which they are answered."""

    #: Oldest first.
    made: t.List[t.Dict[str, t.Any]] = field(default_factory=list)

    def create(
        self, machinery: Machinery, functions: t.List[Function], body: t.Any
    ) -> t.Dict[str, t.Any]:
        """Cancel the runs of a function that have not ended, and that a request means.

        :param functions: those that are registered.
        :param body: of ``POST /v1/cancellations``.
        :raise CancellationRefused: it is not acceptable.
        """
        wanted = _read(body, machinery.now())
        function = next((f for f in functions if wanted.names(f)), None)
        if function is None:
            raise CancellationRefused("function not found", 404)
        for run in machinery.running(function):
            condition = wanted.condition
            if wanted.after <= run.began <= wanted.before and (
                condition is None or condition.matches(run.events[0].sent())
            ):
                machinery.cancel(run, "by a request for many runs")
        now = machinery.now()
        made = {
            "created_at": rfc3339(now),
            "name": None,
            "id": ids.ulid(int(now * 1000)),
            "account_id": _ACCOUNT_ID,
            "environment_id": _ENVIRONMENT_ID,
            "app_id": ids.app_uuid(function.app_id),
            "function_internal_id": ids.function_uuid(function.function_id),
            "function_id": function.function_id,
            "started_after": body.get("started_after"),
            "started_before": body["started_before"],
            "kind": "bulk_run",
            "cause": "api",
            "queue_name": None,
        }
        if condition_of(body) is not None:
            made["if"] = condition_of(body)
        self.made.append(made)
        return made

    def delete(self, cancellation_id: str) -> None:
        """Forget a cancellation. What it cancelled stays cancelled.

        :raise CancellationRefused: there is none of that id.
        """
        if not ids.is_ulid(cancellation_id):
            raise CancellationRefused("Invalid cancellation ID")
        left = [made for made in self.made if made["id"] != cancellation_id]
        if len(left) == len(self.made):
            raise CancellationRefused("Cancellation not found", 404)
        self.made = left


@dataclass(frozen=True)
class _Wanted:
    app_id: str
    function_id: str
    after: float
    before: float
    condition: t.Optional[Expression]

    def names(self, function: Function) -> bool:
        """Return True for the function meant, by its id with the app's or without."""
        full = f"{self.app_id}-{self.function_id}"
        return function.app_id == self.app_id and function.function_id in (self.function_id, full)


def condition_of(body: t.Dict[str, t.Any]) -> t.Optional[str]:
    text = body.get("if")
    return text if isinstance(text, str) else None


def _read(body: t.Any, now: float) -> _Wanted:
    if not isinstance(body, dict):
        raise CancellationRefused("Invalid cancellation request")
    app_id, function_id = _text(body, "app_id"), _text(body, "function_id")
    before, after = _time(body, "started_before"), _time(body, "started_after")
    problems = [
        f"{name} is required"
        for name, value in (
            ("app_id", app_id),
            ("function_id", function_id),
            ("started_before", before),
        )
        if not value
    ]
    if before is not None and before > now + _TOLERANCE:
        problems.append("started_before must be in the past")
    if before is not None and after is not None and after > before:
        problems.append("started_after must be before started_before")
    if problems or before is None:
        raise CancellationRefused("\n".join(problems))
    text = condition_of(body)
    try:
        condition = None if text is None else Expression(text)
    except ExpressionError as error:
        raise CancellationRefused(f"invalid expression: {error}") from None
    return _Wanted(app_id, function_id, after or 0.0, before, condition)


def _text(body: t.Dict[str, t.Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, (str, type(None))):
        raise CancellationRefused("Invalid cancellation request")
    return value or ""


def _time(body: t.Dict[str, t.Any], name: str) -> t.Optional[float]:
    value = body.get(name)
    if value is None:
        return None
    moment = parse_date(value) if isinstance(value, str) and len(value) > 10 else None
    if moment is None:
        raise CancellationRefused("Invalid cancellation request")
    return moment.timestamp()
