"""A call of a function, from the moment its request was built to its answer.

Internal.
"""

from __future__ import annotations

import time
import typing as t

from .._http.caller import AnswerTooLarge, Caller, CallFailed, CallRequest
from .._ops import handlers
from .._wire import answers
from .._wire.outcomes import Failure, Outcome, Returned
from .._wire.signing import SigningKey
from .queue import Call
from .work import Exchange, Work


class CallExchange(Exchange):
    """A call of a function."""

    def __init__(
        self, work: Work, call: Call, request: CallRequest, key: t.Optional[SigningKey]
    ) -> None:
        self._work = work
        self._call = call
        self._key = key
        self.request = request

    @property
    def item(self) -> Call:
        return self._call

    def perform(self, caller: Caller) -> Outcome:
        request = self.request
        try:
            answer = caller.request("POST", request.url, request.headers, request.body)
        except CallFailed as error:
            if caller.aborted:
                raise
            return answers.unreachable(str(error))
        except AnswerTooLarge:
            return answers.too_large()
        return answers.understand(answer, self._key, time.time())

    def settle(self, result: Outcome) -> None:
        if isinstance(result, Returned):
            self._work.complete(self._call.run, result.output)
        elif isinstance(result, Failure):
            self._work.retry_or_fail(self._call, result)
        else:
            handlers.apply(self._work, self._call, self.request, result)
