"""``ctx.logger``: each line once, with the call it belongs to."""

import io
import logging

import pytest
import structlog
from apps import Endpoint, step_hash

A = {step_hash("a"): {"data": None}}


def chatty(ctx):
    ctx.logger.info("before %s", "a")
    ctx.step.run("a", lambda: ctx.logger.warning("in a"))
    ctx.logger.info("after a")
    ctx.step.sleep("b", "1s")
    ctx.logger.error("the end")


CALLS = [
    ({}, ["before a", "in a"]),
    (A, ["after a"]),
    (dict(A, **{step_hash("b"): None}), ["the end"]),
]


@pytest.mark.parametrize("known, lines", CALLS)
def test_each_line_is_logged_once(known, lines, caplog):
    caplog.set_level(logging.INFO, "inngest_wsgi")
    Endpoint(chatty).call(known, attempt=2)
    assert [record.getMessage() for record in caplog.records] == lines
    for record in caplog.records:
        facts = (record.inngest_run_id, record.inngest_function_id, record.inngest_attempt)
        assert facts == ("01RUN", "shop-f", 2)
        assert record.filename == "test_logging.py", "the caller's own place"


class Prefix(logging.LoggerAdapter):
    def process(self, msg, kwargs):
        kwargs["extra"] = {"tenant": "acme"}
        return "[acme] " + msg, kwargs


@pytest.mark.parametrize("known, lines", CALLS)
def test_an_adapter_of_the_users_own(known, lines, caplog):
    caplog.set_level(logging.INFO, "the.users.own")
    logger = Prefix(logging.getLogger("the.users.own"), {})
    Endpoint(chatty, client={"logger": logger}).call(known)
    assert [record.getMessage() for record in caplog.records] == ["[acme] " + x for x in lines]
    for record in caplog.records:
        assert (record.tenant, record.inngest_run_id) == ("acme", "01RUN")
    logger.info("outside")
    assert caplog.records[-1].getMessage() == "[acme] outside"


@pytest.mark.parametrize("known, lines", CALLS)
def test_a_logger_that_binds(known, lines):
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out), processors=[structlog.processors.JSONRenderer()]
    )

    def handler(ctx):
        ctx.logger.info("before a")
        ctx.step.run("a", lambda: ctx.logger.warning("in a"))
        ctx.logger.info("after a")
        ctx.step.sleep("b", "1s")
        ctx.logger.error("the end")

    Endpoint(handler, client={"logger": logger}).call(known)
    written = out.getvalue()
    assert written.count("\n") == len(lines)
    assert written.count('"inngest_run_id": "01RUN"') == len(lines)
    assert all(line in written for line in lines)


class Own:
    """Not much of a logger."""

    def __init__(self):
        self.lines = []
        self.level = 7

    def info(self, msg, *args):
        self.lines.append(msg % args)

    warning = error = info


@pytest.mark.parametrize("known, lines", CALLS)
def test_any_logger(known, lines):
    logger = Own()

    def handler(ctx):
        assert ctx.logger.level == 7
        chatty(ctx)

    Endpoint(handler, client={"logger": logger}).call(known)
    assert logger.lines == lines


def test_what_is_asked_of_the_logger_is_silent_too(caplog):
    caplog.set_level(logging.DEBUG, "inngest_wsgi")
    found = []

    def handler(ctx):
        found.append(ctx.logger.isEnabledFor(logging.DEBUG))
        ctx.step.run("a", lambda: None)
        found.append(ctx.logger.isEnabledFor(logging.DEBUG))

    Endpoint(handler).call(A)
    assert found == [False, True]
