"""Replace the steps of functions in a test."""

from __future__ import annotations

import typing as t


class _Sentinel:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


#: The value of a stub for a step that waits, or invokes a function: it times out.
TIMEOUT = _Sentinel("TIMEOUT")
#: Stands for no value, for None is one.
NOT_GIVEN: t.Any = _Sentinel("NOT_GIVEN")
#: The result of :meth:`Stub.act` if the step is to be carried out for real.
FOR_REAL = _Sentinel("FOR_REAL")


class StubbedFailure(Exception):
    """Raised in a step that a stub lets fail, unless the stub has an error of its own."""


class UnusedStubError(AssertionError):
    """Raised at the end of a test if no step met one of its stubs."""


class Stub:
    """Replaces a step; made by :meth:`TestServer.stub`.

    :ivar step_id: of the step that it replaces.
    :ivar uses: how often it was asked.
    """

    def __init__(
        self,
        step_id: str,
        value: t.Any = NOT_GIVEN,
        *,
        error: t.Union[BaseException, t.Type[BaseException], str, None] = None,
        fail: t.Optional[int] = None,
        call: t.Optional[t.Callable[..., t.Any]] = None,
        function: t.Optional[str] = None,
        index: t.Optional[int] = None,
        optional: bool = False,
    ) -> None:
        self.step_id = step_id
        self.uses: int = 0
        self.optional = optional
        self._value = value
        self._error = error
        self._fail = fail
        self._call = call
        self._function = function
        self._index = index
        self._failures: t.Dict[t.Any, int] = {}
        self._check()

    def _check(self) -> None:
        given = [
            self._value is not NOT_GIVEN,
            self._error is not None and self._fail is None,
            self._call is not None,
        ]
        if sum(given) > 1 or (not any(given) and self._fail is None):
            raise ValueError(
                f"the stub of step {self.step_id!r} needs a value, error=, call= or fail=; "
                "fail= may have an error= to fail with, and a value or call= for what comes after"
            )
        # True is 1, and no number
        if self._fail is not None and (type(self._fail) is not int or self._fail < 1):
            raise ValueError(f"fail must be the number of failures, not {self._fail!r}")

    def __repr__(self) -> str:
        of = "" if self._function is None else f" of {self._function}"
        use = "" if self._index is None else f", use {self._index}"
        return f"<stub of step {self.step_id!r}{of}{use}>"

    def fits(self, function_id: str, app_id: str, step_id: str, index: int) -> bool:
        """Return True if it is for a step.

        :param function_id: the full id.
        :param index: which use of the step's id it is, from 0.
        """
        return (
            step_id == self.step_id
            and self._index in (None, index)
            and (self._function is None or is_named(self._function, function_id, app_id))
        )

    def act(
        self, key: t.Any, real: t.Callable[..., t.Any], args: t.Tuple[t.Any, ...], **more: t.Any
    ) -> t.Any:
        """Do in place of a step what the test wants.

        :param key: tells apart the steps that the stub is used for, because each
            of them fails anew.
        :param real: carries out the step itself.
        :param args: of the step, and ``more`` its keyword arguments.
        :raise Exception: the step is to fail.
        """
        self.uses += 1
        failed = self._failures.get(key, 0)
        if self._fail is not None and failed < self._fail:
            self._failures[key] = failed + 1
            raise self._made_error(f"stubbed failure {failed + 1} of {self._fail}")
        if self._fail is None and self._error is not None:
            raise self._made_error("stubbed failure")
        if self._call is not None:
            return self._call(*args, **more)
        if self._value is not NOT_GIVEN:
            return self._value
        return real(*args, **more)

    def _made_error(self, text: str) -> BaseException:
        error = self._error
        if error is None:
            return StubbedFailure(text)
        if isinstance(error, str):
            return StubbedFailure(error)
        # else its traceback would grow with each attempt
        return error(text) if isinstance(error, type) else error.with_traceback(None)


class Stubs:
    """The stubs of a test; the newest that fits is used."""

    def __init__(self) -> None:
        self._stubs: t.List[Stub] = []

    def add(self, stub: Stub) -> None:
        self._stubs.append(stub)

    def clear(self) -> None:
        self._stubs.clear()

    def find(self, function_id: str, app_id: str, step_id: str, index: int) -> t.Optional[Stub]:
        """Return the stub for a step; None if there is none."""
        for stub in reversed(self._stubs):
            if stub.fits(function_id, app_id, step_id, index):
                return stub
        return None

    def check_used(self, seen: t.Collection[str]) -> None:
        """Require that each was used.

        :param seen: ids of the steps that there were.
        :raise UnusedStubError: names those that were not.
        """
        unused = [stub for stub in self._stubs if not stub.uses and not stub.optional]
        if unused:
            steps = ", ".join(sorted(set(map(repr, seen)))) or "none"
            raise UnusedStubError(
                f"{', '.join(map(repr, unused))} was not used: no step met it. The steps that "
                f"there were: {steps}. Correct the id, or give the stub optional=True"
            )


def is_named(name: str, function_id: str, app_id: str) -> bool:
    """Return True if a function has this id, with its app's or without."""
    return name in (function_id, function_id[len(app_id) + 1 :])
