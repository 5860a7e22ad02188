"""Check that a handler can be called with the context alone, and runs then.

The number of its arguments is read off the code that is called, and not off
:func:`inspect.signature`: that one believes ``__wrapped__`` and
``__signature__``, and a decorator that hands its function more arguments than
it is given keeps both. Where the code cannot be seen, as that of a C function,
nothing is refused.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing as t

_NONE: t.Mapping[str, t.Any] = {}
#: Stands in a partial (from Python 3.14) for an argument that a call gives.
_PLACEHOLDER = getattr(functools, "Placeholder", object())


def problem(handler: object, what: str) -> t.Optional[str]:
    """Return why a handler cannot run, and what to write; None if it can, or
    if that cannot be told.

    :param handler: something that can be called
    :param what: names the handler: "the function", "on_failure"
    """
    return _other_kind(handler, what) or _other_arguments(handler, what)


def _other_kind(handler: object, what: str) -> t.Optional[str]:
    plain: t.Any = handler
    while isinstance(plain, functools.partial):
        plain = plain.func
    if not inspect.isroutine(plain):
        plain = type(plain).__call__
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        return (
            f"{what} is async def. WSGI is synchronous: a coroutine would never run. Write it "
            "with def; for an async application use the official SDK"
        )
    if inspect.isgeneratorfunction(plain):
        return (
            f"{what} contains a yield, so that calling it runs none of its code. Move the "
            "yield into another function"
        )
    return None


def _other_arguments(handler: object, what: str) -> t.Optional[str]:
    if accepts(handler, 1) is not False:
        return None
    if accepts(handler, 2):
        return (
            f"{what} takes two arguments, and is called with one, the context. The steps are an "
            "attribute of it: write def handler(ctx), and ctx.step for step"
        )
    if accepts(handler, 0):
        return (
            f"{what} takes no argument, and is called with one, the context: write def "
            "handler(ctx)"
        )
    return (
        f"{what} cannot be called with one argument, the context, alone: write def handler(ctx), "
        "and give every further parameter a default"
    )


def accepts(
    handler: t.Any, count: int, keywords: t.Mapping[str, t.Any] = _NONE
) -> t.Optional[bool]:
    """Tell if something can be called with some arguments; None if that
    cannot be told.

    :param count: the number of positional arguments
    """
    # by type(), not by isinstance(): a proxy may pretend to be a function
    kind = type(handler)
    if issubclass(kind, functools.partial):
        merged = dict(handler.keywords, **keywords)
        open_places = sum(1 for argument in handler.args if argument is _PLACEHOLDER)
        if count < open_places:
            return False
        return accepts(handler.func, count - open_places + len(handler.args), merged)
    if kind is types.MethodType:
        return accepts(handler.__func__, count + 1, keywords)
    if kind is types.FunctionType:
        return _function_accepts(handler, count, keywords)
    call = inspect.getattr_static(kind, "__call__", None)
    if isinstance(call, staticmethod):
        return accepts(call.__func__, count, keywords)
    if isinstance(call, classmethod) or type(call) is types.FunctionType:
        return accepts(getattr(call, "__func__", call), count + 1, keywords)
    return None


def _function_accepts(
    function: types.FunctionType, count: int, keywords: t.Mapping[str, t.Any]
) -> bool:
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    only_by_name = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    if count > len(positional) and not code.co_flags & inspect.CO_VARARGS:
        return False
    if any(name in positional[code.co_posonlyargcount : count] for name in keywords):
        return False  # given twice
    by_name = positional[max(count, code.co_posonlyargcount) :] + only_by_name
    if not code.co_flags & inspect.CO_VARKEYWORDS and not set(keywords) <= set(by_name):
        return False
    with_default = len(function.__defaults__ or ())
    required = positional[count : len(positional) - with_default]
    defaults = function.__kwdefaults__ or {}
    required += tuple(name for name in only_by_name if name not in defaults)
    return set(required) <= set(keywords) & set(by_name)
