"""Keep what waits for an event, and find those that one event may concern.

Without looking at all: by the event's name, and where the expressions have
equalities, by the values in these.
"""

from __future__ import annotations

import typing as t

from .equalities import NO_KEY, Equality, Path, equalities, lookup_key, value_at
from .expression import Expression

L = t.TypeVar("L", bound=t.Hashable)

#: Listeners by the number of their registration.
_Numbered = t.Dict[int, L]
_Paths = t.Tuple[Path, ...]


class _Named(t.Generic[L]):
    """The listeners for events of one name."""

    def __init__(self) -> None:
        #: Those that have to be asked each time.
        self.plain: _Numbered[L] = {}
        #: The others, by the paths of their equalities and the values there.
        self.by_value: t.Dict[_Paths, t.Dict[t.Tuple[t.Any, ...], _Numbered[L]]] = {}


class Listeners(t.Generic[L]):
    """Keeps listeners for events in the order in which they came."""

    def __init__(self) -> None:
        self._named: t.Dict[str, _Named[L]] = {}
        self._owned: t.Dict[t.Hashable, t.Dict[L, None]] = {}
        #: Where each listener is, to be found when it is removed.
        self._places: t.Dict[L, _Place] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, listener: L) -> bool:
        return listener in self._places

    def add(
        self,
        listener: L,
        owner: t.Hashable,
        name: str,
        expression: t.Optional[Expression],
        event: t.Dict[str, t.Any],
    ) -> None:
        """Add a listener.

        :param owner: what :meth:`forget` is called with.
        :param name: of the events.
        :param expression: what is true for the events; any event if None.
        :param event: ``event`` of the expression, as the app gets it.
        """
        self._count += 1
        found = () if expression is None else equalities(expression.text)
        paths = tuple(equality.awaited for equality in found)
        values = tuple(_expected(equality, event) for equality in found)
        if NO_KEY in values:
            paths, values = (), ()
        place = _Place(owner, name, paths, values, self._count)
        named = self._named.get(name)
        if named is None:
            named = self._named[name] = _Named()
        if paths:
            by_value = named.by_value.setdefault(paths, {})
            by_value.setdefault(values, {})[self._count] = listener
        else:
            named.plain[self._count] = listener
        self._places[listener] = place
        self._owned.setdefault(owner, {})[listener] = None

    def find(self, name: str, awaited: t.Dict[str, t.Any]) -> t.List[L]:
        """Return the listeners that an event may concern, oldest first.

        Their expressions have to be evaluated all the same.

        :param awaited: the event, as the app gets it.
        """
        named = self._named.get(name)
        if named is None:
            return []
        found = dict(named.plain)
        for paths, by_value in named.by_value.items():
            found.update(by_value.get(tuple(value_at(awaited, path) for path in paths), ()))
        return [found[number] for number in sorted(found)]

    def remove(self, listener: L) -> None:
        """Remove a listener; harmless if it is not there."""
        place = self._places.pop(listener, None)
        if place is None:
            return
        owned = self._owned[place.owner]
        del owned[listener]
        if not owned:
            del self._owned[place.owner]
        named = self._named[place.name]
        if place.paths:
            by_value = named.by_value[place.paths]
            del by_value[place.values][place.number]
            if not by_value[place.values]:
                del by_value[place.values]
            if not by_value:
                del named.by_value[place.paths]
        else:
            del named.plain[place.number]
        if not named.plain and not named.by_value:
            del self._named[place.name]

    def forget(self, owner: t.Hashable) -> None:
        """Remove all listeners of an owner."""
        for listener in list(self._owned.get(owner, ())):
            self.remove(listener)


class _Place(t.NamedTuple):
    owner: t.Hashable
    name: str
    paths: _Paths
    values: t.Tuple[t.Any, ...]
    number: int


def _expected(equality: Equality, event: t.Dict[str, t.Any]) -> t.Any:
    """Return the value that a listener's equality asks for."""
    if equality.own is None:
        return lookup_key(equality.constant)
    return value_at(event, equality.own)
