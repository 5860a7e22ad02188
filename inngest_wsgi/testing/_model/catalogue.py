"""Find registered functions: by their id, and by the events that trigger them."""

from __future__ import annotations

import typing as t

from .functions import Function, Trigger, patterns_of
from .registry import Registration


class Catalogue:
    """The registrations of all apps, with what is looked up in them."""

    def __init__(self) -> None:
        self._registrations: t.Dict[str, Registration] = {}
        self._by_id: t.Dict[str, Function] = {}
        #: Triggers by the event that they name; each with the number of the
        #: function, because all functions of an event run in one order.
        self._named: t.Dict[str, t.List[t.Tuple[int, Function, Trigger]]] = {}

    def register(self, registration: Registration) -> t.Optional[Registration]:
        """Replace an app's functions.

        :return: what was registered for the app before.
        """
        previous = self._registrations.get(registration.app_id)
        self._registrations[registration.app_id] = registration
        self._by_id, self._named = {}, {}
        for number, function in enumerate(self.functions()):
            self._by_id.setdefault(function.function_id, function)
            for trigger in function.triggers:
                self._named.setdefault(trigger.event, []).append((number, function, trigger))
        return previous

    def functions(self) -> t.List[Function]:
        """Return all functions, in the order in which they were registered."""
        return [
            function
            for registration in self._registrations.values()
            for function in registration.functions
        ]

    def function(self, function_id: str) -> Function:
        """Return a function by its full id.

        :raise LookupError: no app has it.
        """
        function = self._by_id.get(function_id)
        if function is None:
            raise LookupError(f"no function {function_id!r} is registered")
        return function

    def triggered_by(self, name: str, form: t.Dict[str, t.Any]) -> t.List[Function]:
        """Return the functions that an event triggers, in the order of their registration.

        :param name: of the event.
        :param form: the event, as the app gets it.
        """
        found: t.Dict[int, Function] = {}
        for pattern in patterns_of(name):
            for number, function, trigger in self._named.get(pattern, ()):
                if number not in found and (
                    trigger.expression is None or trigger.expression.matches(form)
                ):
                    found[number] = function
        return [found[number] for number in sorted(found)]
