"""Make one call of a function and handle its answer."""

from __future__ import annotations

import dataclasses
import http.client
import typing as t

from .._http.caller import AnswerTooLarge, Caller, CallFailed
from .._ops import handlers
from .._wire import answers
from .._wire.outcomes import Failure, Outcome, Returned
from .._wire.signing import SigningKey
from .exchange import Exchange
from .items import Call
from .machinery import Machinery
from .request import CallRequest
from .retries import retry_or_fail


class CallExchange(Exchange):
    """A call of a function, from its request to its answer.

    :param key: what the request was signed with; None if it was not signed.
    """

    def __init__(
        self,
        machinery: Machinery,
        call: Call,
        request: CallRequest,
        key: t.Optional[SigningKey],
    ) -> None:
        self._machinery = machinery
        self._call = call
        self._key = key
        self.request = request

    @property
    def item(self) -> Call:
        return self._call

    def with_body(self, body: bytes) -> "CallExchange":
        """Return the same call with another body, and the headers that do not fit it."""
        request = dataclasses.replace(self.request, body=body)
        return CallExchange(self._machinery, self._call, request, self._key)

    def perform(self, caller: Caller) -> Outcome:
        request = self.request
        try:
            answer = caller.request("POST", request.url, request.headers, request.body)
        except CallFailed as error:
            if caller.aborted:
                raise
            if isinstance(error.__cause__, http.client.IncompleteRead):
                return answers.cut_off()
            return answers.unreachable(str(error))
        except AnswerTooLarge:
            return answers.too_large()
        return answers.understand(answer, self._key, self._machinery.app_now())

    def settle(self, result: Outcome) -> None:
        if isinstance(result, Returned):
            self._machinery.complete(self._call.run, result.output)
        elif isinstance(result, Failure):
            retry_or_fail(self._machinery, self._call, result)
        else:
            handlers.apply(self._machinery, self._call, self.request, result)
