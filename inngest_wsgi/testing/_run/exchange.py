"""Declare an exchange: a request that was built, and how its answer is used."""

from __future__ import annotations

import abc
import typing as t

from .._http.caller import Caller
from .items import RunItem


class Exchange(abc.ABC):
    """A request that was built, and what to do with its answer."""

    @property
    @abc.abstractmethod
    def item(self) -> RunItem:
        """Return the item of the queue that the request belongs to."""

    @abc.abstractmethod
    def perform(self, caller: Caller) -> t.Any:
        """Make the request, without the lock.

        :return: the argument for :meth:`settle`.
        :raise CallFailed: the caller was told to give up.
        """

    @abc.abstractmethod
    def settle(self, result: t.Any) -> None:
        """Handle the answer. Needs the lock, and a run that has not ended."""
