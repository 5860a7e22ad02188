"""Replay recorded runs with parallel steps: the local server can make the same calls.

The recorded answers of the app are given to the local server in every order
that agrees with the recording. In at least one order the local server has to
make exactly the recorded calls, and end the run as the real server did.
"""

import json
from urllib.parse import parse_qsl

import pytest
from raw_app import calls_of, function, recording

from inngest_wsgi.testing._http.inprocess import InProcessCaller
from inngest_wsgi.testing._run.call import CallExchange
from inngest_wsgi.testing._stepping import Stepper

#: Seconds between two calls of which either may have been the first.
AT_ONCE = 0.02


def carried(query, body):
    """Return what a call contains about its run and its steps."""
    ctx = body["ctx"]
    return {
        "step_id": dict(parse_qsl(query))["stepId"],
        "attempt": ctx["attempt"],
        "max_attempts": ctx["max_attempts"],
        "disable": ctx["disable_immediate_execution"],
        "stack": ctx["stack"],
        "steps": body["steps"],
        "version": body["version"],
    }


class Recorded:
    """The calls of the run that a recording begins with."""

    def __init__(self, number):
        whole = recording(number)
        times = dict(zip(map(id, whole["exchanges"]), whole["seconds_since_first"]))
        exchanges = calls_of(whole)
        query = dict(parse_qsl(exchanges[0]["request"]["query"]))
        self.calls, self.answers, self.times = [], [], []
        for exchange in exchanges:
            body = json.loads(exchange["request"]["body"])
            if dict(parse_qsl(exchange["request"]["query"]))["fnId"] == query["fnId"]:
                self.calls.append(carried(exchange["request"]["query"], body))
                self.answers.append(exchange["response"])
                self.times.append(times[id(exchange)])
        self.retries = self.calls[0]["max_attempts"] - 1
        (self.run,) = [run for run in whole["runs"]][:1]

    def next(self, made):
        """Return the calls that may have been next, after those that were made."""
        left = [n for n in range(len(self.calls)) if n not in made]
        return [n for n in left if self.times[n] - self.times[left[0]] <= AT_ONCE]


class Attempt:
    """The run on a local server, up to some moment.

    A moment is ``("call", n)``, the n-th thing that is due; ``("answer_of", n)``,
    the answer to the n-th recorded call; or ``("time",)``.
    """

    def __init__(self, recorded, moments):
        self.recorded = recorded
        self.flying = {}
        self.made = []
        settings = function("http://app.test/api", retries=recorded.retries)
        self.stepper = Stepper(InProcessCaller(self.answer), retry_interval=1.0)
        self.stepper.register({"appName": "raw", "functions": [settings]})
        self.event_id = self.stepper.send("raw/go")
        self.wrong = False
        for moment in moments:
            getattr(self, moment[0])(*moment[1:])

    def answer(self, environ, start_response):
        given = self.recorded.answers[self.answering]
        start_response("{} X".format(given["status"]), list(given["headers"].items()))
        return [given["body"].encode()]

    def call(self, number):
        exchange = self.stepper.dispatch(self.stepper.ready()[number])
        if exchange is None:
            return
        assert isinstance(exchange, CallExchange)
        request = exchange.request
        seen = carried(request.url.partition("?")[2], json.loads(request.body))
        for n in self.recorded.next(self.made):
            if self.recorded.calls[n] == seen:
                self.made.append(n)
                self.flying[n] = exchange
                return
        self.wrong = True

    def answer_of(self, n):
        exchange = self.flying.pop(n)
        self.answering = n
        self.stepper.settle(exchange, self.stepper.perform(exchange))

    def time(self):
        self.stepper.pass_time()

    def next(self):
        """Return the moments that may follow."""
        found = [("call", n) for n in range(len(self.stepper.ready()))]
        found += [("answer_of", n) for n in self.flying]
        return found or ([("time",)] if not self.run.ended else [])

    @property
    def run(self):
        (run,) = self.stepper.runs(self.event_id)
        return run


def ways(recorded):
    """Yield the ended runs that made the calls as recorded."""
    unfinished = [[]]
    while unfinished:
        moments = unfinished.pop()
        attempt = Attempt(recorded, moments)
        if attempt.wrong:
            continue
        following = attempt.next()
        unfinished += [moments + [moment] for moment in following]
        if not following and len(attempt.made) == len(recorded.calls):
            yield attempt.run


@pytest.mark.parametrize("number", [24, 25, 26, 27, 28, 38, 84, 85, 120, 121, 126, 127])
def test_the_calls_can_be_made_as_recorded(number):
    recorded = Recorded(number)
    run = next(ways(recorded), None)
    assert run is not None, "no order of the answers leads to the recorded calls"
    if recorded.run["status"] == "Running":
        assert run.status == "Failed"
        assert "would leave it hanging" in run.output["error"]["message"]
        assert "(W69)" in run.output["error"]["message"]
    else:
        assert (run.status, run.output) == (recorded.run["status"], recorded.run["output"])
