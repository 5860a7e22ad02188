"""Find registered functions: by their id, and by the events that trigger them."""

from __future__ import annotations

import typing as t

from .functions import Function, Trigger
from .registry import Registration


class Catalogue:
    """The registrations of all apps, with what is looked up in them."""

    def __init__(self) -> None:
        self._registrations: t.Dict[str, Registration] = {}
        self._by_id: t.Dict[str, Function] = {}
        #: By the name of the event, in the order of the registrations.
        self._triggered: t.Dict[str, t.List[t.Tuple[Function, t.List[Trigger]]]] = {}

    def register(self, registration: Registration) -> t.Optional[Registration]:
        """Replace an app's functions.

        :return: what was registered for the app before.
        """
        previous = self._registrations.get(registration.app_id)
        self._registrations[registration.app_id] = registration
        self._by_id, self._triggered = {}, {}
        for function in self.functions():
            self._by_id.setdefault(function.function_id, function)
            triggers: t.Dict[str, t.List[Trigger]] = {}
            for trigger in function.triggers:
                triggers.setdefault(trigger.event, []).append(trigger)
            for name, found in triggers.items():
                self._triggered.setdefault(name, []).append((function, found))
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

    def triggered_by(self, name: str) -> t.Sequence[t.Tuple[Function, t.Sequence[Trigger]]]:
        """Return the functions with triggers for the events of a name, and these triggers."""
        return self._triggered.get(name, ())
