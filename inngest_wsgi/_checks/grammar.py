"""Find what a server may refuse in an expression whose tokens are right.

This is less than a parser of CEL, and some servers may know more functions than
the one whose source this was taken from. So nothing is refused for it: it
helps to find the function that a server has refused without saying which.
"""

from __future__ import annotations

import typing as t

from .expressions import Token, tokens

_MACROS = frozenset("all exists exists_one existsOne filter map".split())
_METHODS = _MACROS | frozenset(
    "contains endsWith getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours "
    "getMilliseconds getMinutes getMonth getSeconds matches size startsWith".split()
)
_CONVERSIONS = frozenset(("double", "int", "uint"))
_FUNCTIONS = _CONVERSIONS | frozenset(
    "b64decode bool bytes date duration dyn has json_parse lowercase matches now now_minus "
    "now_plus size string timestamp type uppercase".split()
)
_NAMES = frozenset(
    "async bool bytes double event false google int list map null null_type string true type "
    "uint vars".split()
)
_ENGLISH = {"and": "&&", "or": "||", "not": "!", "is": "==", "True": "true", "False": "false"}
_ARITHMETIC = ("+", "-", "*", "/", "%")
_END = Token("end", "")

Fault = t.Optional[str]


def fault(text: str) -> Fault:
    """Return what seems wrong with an expression; None if nothing does."""
    found = tokens(text)
    return _disorder(found) or _unknown_name(found)


def fault_of_key(text: str) -> Fault:
    """Return what seems wrong with an expression whose names no server looks
    up when it registers the function, and whose texts it takes out."""
    return _disorder(tokens(text, lifted=True))


def fault_of_cancel(text: str) -> Fault:
    """Return what seems wrong with the condition of a ``Cancel``, which may
    call no function and calculate nothing."""
    return fault(text) or _calculation(tokens(text))


def _around(found: t.Sequence[Token]) -> t.Iterator[t.Tuple[Token, Token, Token]]:
    """Iterate over the tokens, each with the one before and the one after."""
    padded = [_END, *found, _END]
    return zip(padded, padded[1:], padded[2:])


def _disorder(found: t.Sequence[Token]) -> Fault:
    """Check that values and operators take turns."""
    wants_value = True
    brackets: t.List[str] = []
    for before, token, _ in _around(found):
        sign = token.text
        if before.text == "." and not wants_value and not _is_name(token):
            return f"a name is missing after the dot before {sign}"
        if sign == before.text == "{":
            return "it is written without {{ and }}"
        if sign in (")", "]", "}"):
            opened = brackets.pop()
            may_be_empty = opened != "(" and before.text in (",", opened[-1])
            if wants_value and not may_be_empty and not (opened == "f(" and before.text == "("):
                return f"a value is missing before {sign}"
            wants_value = False
        elif token.kind == "bracket":
            is_call = not wants_value and sign == "(" and before.kind == "name"
            if not wants_value and sign != "[" and before.kind != "name":
                return f"an operator is missing before {sign}"
            brackets.append("f(" if is_call else sign)
            wants_value = True
        elif token.kind == "sign":
            if wants_value and sign not in ("!", "-", "."):
                if not (sign == "," and brackets and brackets[-1] in ("[", "{")):
                    return f"a value is missing before {sign}"
            elif not wants_value and sign == "!":
                return "an operator is missing before !"
            elif sign != ".":
                wants_value = True
        elif sign == "in":
            if wants_value:
                return "a value is missing before in"
            wants_value = True
        elif wants_value or before.text == ".":
            wants_value = False
        else:
            instead = _ENGLISH.get(sign) or _ENGLISH.get(before.text)
            return f"an operator is missing before {sign}" + _write(instead)
    ends_in_a_dot = [token.text for token in found[-1:]] == ["."]
    return "a value is missing at its end" if wants_value or ends_in_a_dot else None


def _is_name(token: Token) -> bool:
    return token.kind == "name" and token.text not in ("in", "true", "false", "null")


def _unknown_name(found: t.Sequence[Token]) -> Fault:
    bound = {
        name.text
        for dot, macro, _, name in zip(found, found[1:], found[2:], found[3:])
        if dot.text == "." and macro.text in _MACROS
    }
    for before, token, after in _around(found):
        name = token.text
        if token.kind != "name" or name == "in":
            continue
        if after.text == "(":
            known = _METHODS if before.text == "." else _FUNCTIONS
            if name not in known:
                return f"CEL has no function {name} here"
        elif before.text != "." and after.text != ":" and name not in _NAMES | bound:
            return f"{name} is no name that it can use: event.data has the event's data" + _write(
                _ENGLISH.get(name)
            )
    return None


def _calculation(found: t.Sequence[Token]) -> Fault:
    for before, token, after in _around(found):
        if token.kind == "name" and after.text == "(" and token.text not in _CONVERSIONS:
            return f"the condition of a cancel may not call a function, as {token.text}"
        is_sign = token.text == "-" and after.kind == "number" and before.kind in ("sign", "end")
        if token.kind == "sign" and token.text in _ARITHMETIC and not is_sign:
            return f"the condition of a cancel may not calculate, as with {token.text}"
    return None


def _write(instead: Fault) -> str:
    return "" if instead is None else f": write {instead}"
