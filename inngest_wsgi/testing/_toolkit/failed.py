"""The errors of a test's runs and steps, as exceptions."""

from __future__ import annotations

import typing as t


class _Failed(Exception):
    def __init__(self, name: str, message: str, stack: str = "") -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.stack = stack


class RunFailed(_Failed):
    """Raised by :meth:`TestRun.result` of a run that has not completed.

    :ivar name: the name of the error's class; ``Cancelled`` or ``Running`` if the
        run was cancelled or has not ended.
    :ivar message: of the error.
    :ivar stack: the traceback of the error, as the app sent it; empty if it sent none.
    """


class StepFailed(_Failed):
    """The error of a step, as :attr:`TestStep.error` has it.

    :ivar name: the name of the error's class.
    :ivar message: of the error.
    :ivar stack: the traceback of the error, as the app sent it; empty if it sent none.
    :ivar data: JSON values that the error carries; None if it carries none.
    """

    def __init__(self, name: str, message: str, stack: str = "", data: t.Any = None) -> None:
        super().__init__(name, message, stack)
        self.data = data


def step_failed(error: t.Mapping[str, t.Any]) -> StepFailed:
    """Return the error of a step.

    :param error: as the server keeps it, with any fields.
    """
    name, message, stack = (str(error.get(key) or "") for key in ("name", "message", "stack"))
    return StepFailed(name or "Error", message, stack, error.get("data"))
