"""Check the functions that an endpoint serves."""

from __future__ import annotations

import typing as t

from .. import errors
from ..function import Function

Functions = t.Tuple[Function[t.Any], ...]


def collect(functions: t.Sequence[Function[t.Any]], app_id: str) -> Functions:
    """Return the functions to serve, each followed by its failure handler.

    :param functions: the argument of ``serve()``
    :param app_id: the app they are served as
    :raises errors.SettingsError: not a list of functions, or an empty one
    :raises errors.FunctionConfigError: two functions have one id
    """
    if not isinstance(functions, (list, tuple)) or not functions:
        raise errors.SettingsError(
            "functions", "must be a list of at least one function, from client.create_function"
        )
    found: t.Dict[str, Function[t.Any]] = {}
    for function in functions:
        if not isinstance(function, Function):
            raise errors.SettingsError(
                "functions",
                f"{function!r} is not a function of Inngest's; decorate it with "
                "@client.create_function(...)",
            )
        for one in (function, function.failure_handler(app_id)):
            if one is None:
                continue
            if one.fn_id in found:
                raise errors.FunctionConfigError(
                    one.fn_id, "two functions have this fn_id; give each its own"
                )
            found[one.fn_id] = one
    return tuple(found.values())
