"""Compile and evaluate expressions, and refuse those that a server refuses.

A path without a value counts as null for ``==`` and ``!=``, except that two
of them are not equal; it is less than everything, and nothing happens with it
in functions. A sum of two types is their text. No expression raises when it
is evaluated.

cel-python is imported with the first expression, because only the extra
``testing`` installs it.
"""

from __future__ import annotations

import time
import types
import typing as t

#: How thoroughly a server reads the expressions of a setting when it is registered.
UNCHECKED, PARSED, CHECKED, RESTRICTED = range(4)

#: The root names of paths.
EVENT = "event"
ASYNC = "async"

_MISSING = (
    "cel-python is not installed, and expressions need it: "
    "install it with pip install 'inngest-wsgi[testing]'"
)


class ExpressionError(ValueError):
    """Raised if a server would refuse a text as an expression."""


class UnsupportedExpression(ExpressionError):
    """Raised if a server may take a text, but it cannot be evaluated here."""


class Expression:
    """A compiled expression.

    :param text: the source.
    :param check: :data:`CHECKED` for syntax, names and functions;
        :data:`RESTRICTED` for ``cancel``, which may contain only comparisons
        and ``&& || ! in ?:``; :data:`PARSED` for syntax alone;
        :data:`UNCHECKED` for nothing: what cannot be read has no value.
    :raise ExpressionError: a server would refuse it.
    :raise UnsupportedExpression: it cannot be evaluated here.
    """

    def __init__(self, text: str, check: int = CHECKED) -> None:
        self.text = text
        self._evaluator = _evaluator()
        try:
            self._tree = self._evaluator.parse(text)
            if check > PARSED:
                self._evaluator.check(self._tree, check == RESTRICTED)
        except NotImplementedError as error:
            raise UnsupportedExpression(f"the local server does not read {error}") from None
        except ValueError as error:
            if check != UNCHECKED:
                raise ExpressionError(str(error)) from None
            self._tree = None

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def matches(self, event: t.Any, awaited: t.Any = None, now: t.Optional[float] = None) -> bool:
        """Return True if the value is ``true``, and not merely something other than false.

        :param awaited: the event that ``async`` stands for, if there is one.
        :param now: unix seconds for ``now()``; the real time if None.
        """
        return self.value(event, awaited, now) is True

    def value(self, event: t.Any, awaited: t.Any = None, now: t.Optional[float] = None) -> t.Any:
        """Return the value: a boolean, an int, or its text; False if there is none."""
        if self._tree is None:
            return False
        scope = {EVENT: event, ASYNC: {} if awaited is None else awaited, "vars": {}}
        moment = time.time() if now is None else now
        found = self._evaluator.evaluate(self._tree, scope, moment, awaited is not None)
        return self._evaluator.plain(found)

    def key(self, event: t.Any) -> str:
        """Return the value as a text that is the same for the same value."""
        value = self.value(event)
        return str(value).lower() if isinstance(value, bool) else str(value)


def _evaluator() -> types.ModuleType:
    try:
        from . import evaluator
    except ImportError as error:
        if str(error.name).split(".")[0] != "celpy":
            raise
        raise UnsupportedExpression(_MISSING) from None
    return evaluator
