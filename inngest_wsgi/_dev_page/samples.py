"""Make sample data for a test event, from the expressions of a function."""

from __future__ import annotations

import re
import typing as t

Data = t.Dict[str, t.Any]

#: A field of the event's data in an expression, with the constant that it is
#: compared with, if there is one.
_FIELD = re.compile(
    r"(?<![\w.])event\.data\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(\()?"
    r"(?:\s*(==|>=|<=|>|<)\s*('[^'\\]*'|\"[^\"\\]*\"|-?[0-9]{1,15}\b(?!\.)|true\b|false\b))?",
    re.ASCII,
)
_PLACEHOLDER = "example"


def data(expressions: t.Iterable[str]) -> Data:
    """Make data with the fields in the expressions, and with values for which
    simple comparisons are true."""
    found: Data = {}
    for expression in expressions:
        for path, called, sign, constant in _FIELD.findall(expression):
            names = path.split(".")
            if called:
                # the last name is a method, not a field
                names.pop()
            if names:
                _put(found, names, _value(sign, constant))
    return found


def _put(data: Data, names: t.Sequence[str], value: t.Any) -> None:
    for name in names[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        data = inner
    data.setdefault(names[-1], value)


def _value(sign: str, constant: str) -> t.Any:
    if not constant:
        return _PLACEHOLDER
    if constant[0] in "'\"":
        return constant[1:-1]
    if constant in ("true", "false"):
        return constant == "true"
    return int(constant) + {">": 1, "<": -1}.get(sign, 0)
