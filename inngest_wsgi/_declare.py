"""The type of the decorator that ``create_function`` returns, for type checkers. Nothing
imports this module at run time."""

from __future__ import annotations

import sys
import types
import typing as t

from ._typing import SyncJSON
from .context import Context
from .function import Function

if t.TYPE_CHECKING:
    from typing_extensions import TypeVar

    #: The type of the argument ``output_type``; None where it is not given.
    GivenType = TypeVar("GivenType", default=None)

    # types that are no classes for checkers, such as Optional[Order]
    if sys.version_info >= (3, 10):
        Special = TypeVar("Special", bound=t.Union[types.UnionType, t._SpecialForm])
    else:
        Special = TypeVar("Special", bound=t._SpecialForm)

    T = TypeVar("T")

    class Declare(t.Generic[GivenType]):
        """Declares a function. Without an ``output_type`` it must return JSON, and with one
        it must return that type."""

        # overloads here, and not of create_function, because mypy would answer each wrong
        # option with a list of them

        @t.overload
        def __call__(
            self: Declare[None], handler: t.Callable[[Context], SyncJSON], /
        ) -> Function[SyncJSON]: ...

        @t.overload
        def __call__(
            self: Declare[t.Type[T]], handler: t.Callable[[Context], T], /
        ) -> Function[T]: ...

        @t.overload
        def __call__(
            self: Declare[Special], handler: t.Callable[[Context], T], /
        ) -> Function[T]: ...

        # what mypy takes "Order | None" for
        @t.overload
        def __call__(
            self: Declare[object], handler: t.Callable[[Context], T], /
        ) -> Function[T]: ...

        def __call__(self, handler: t.Callable[[Context], t.Any], /) -> Function[t.Any]: ...
