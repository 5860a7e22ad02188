"""``ctx.logger`` logs each line once, with the call it belongs to."""

import io
import logging
import typing as t

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


def test_a_line_before_a_group_is_logged_once(caplog):
    caplog.set_level(logging.INFO, "inngest_wsgi")

    def handler(ctx):
        ctx.logger.info("start")
        ctx.group.parallel((lambda: ctx.step.run("a", ctx.logger.info, "in a"),))
        ctx.logger.info("end")

    endpoint = Endpoint(handler)
    endpoint.call()
    endpoint.call(step=step_hash("a"))
    endpoint.call(A)
    assert [record.getMessage() for record in caplog.records] == ["start", "in a", "end"]


class Prefix(logging.LoggerAdapter):
    def process(self, msg, kwargs):
        kwargs["extra"] = {"tenant": "acme"}
        return "[acme] " + msg, kwargs


@pytest.mark.parametrize("known, lines", CALLS)
def test_a_custom_adapter(known, lines, caplog):
    caplog.set_level(logging.INFO, "the.users.own")
    logger = Prefix(logging.getLogger("the.users.own"), {})
    Endpoint(chatty, client={"logger": logger}).call(known)
    assert [record.getMessage() for record in caplog.records] == ["[acme] " + x for x in lines]
    for record in caplog.records:
        assert (record.tenant, record.inngest_run_id) == ("acme", "01RUN")
    logger.info("outside")
    assert caplog.records[-1].getMessage() == "[acme] outside"


@pytest.mark.parametrize("known, lines", CALLS)
def test_a_logger_with_bind(known, lines):
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


def test_a_bound_logger_is_silent_while_replaying():
    out = io.StringIO()
    logger = structlog.wrap_logger(structlog.PrintLogger(out))

    def handler(ctx):
        ctx.logger.bind(x=1).info("before a")
        ctx.step.run("a", lambda: None)
        ctx.logger.bind(x=1).info("after a")

    Endpoint(handler, client={"logger": logger}).call(A)
    assert "before a" not in out.getvalue() and "after a" in out.getvalue()


class WithNotice(logging.Logger):
    def notice(self, msg):
        self.log(25, msg)


class Uncopyable(logging.LoggerAdapter):
    def __copy__(self):
        raise TypeError("no")


def test_custom_levels(caplog):
    logger = WithNotice("own.levels", level=1)
    logger.addHandler(caplog.handler)

    def handler(ctx):
        ctx.logger.notice("before a")
        ctx.step.run("a", lambda: None)
        ctx.logger.notice("after a")
        return ctx.logger.level

    for one in (logger, Uncopyable(logger, {})):
        del caplog.records[:]
        if one is logger:
            assert Endpoint(handler, client={"logger": one}).call(A).get_json() == 1
            assert [record.getMessage() for record in caplog.records] == ["after a"]
        else:
            Endpoint(chatty, client={"logger": one}).call(A)
            assert [record.getMessage() for record in caplog.records] == ["after a"]


class Own:
    """A logger with only a few methods."""

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


def test_no_level_is_enabled_while_replaying(caplog):
    caplog.set_level(logging.DEBUG, "inngest_wsgi")
    found = []

    def handler(ctx):
        found.append(ctx.logger.isEnabledFor(logging.DEBUG))
        ctx.step.run("a", lambda: None)
        found.append(ctx.logger.isEnabledFor(logging.DEBUG))

    Endpoint(handler).call(A)
    assert found == [False, True]


class Overriding(logging.Logger):
    """Overrides the methods of each level, one without keywords."""

    def __init__(self):
        super().__init__("the.users.own", logging.DEBUG)
        self.called = []

    def info(self, msg, *args, **kwargs):
        self.called.append("info")
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().info("mine: " + msg, *args, **kwargs)

    def warning(self, msg):  # type: ignore[override]
        self.called.append("warning")
        super().warning(msg)

    def log(self, level, msg, *args, **kwargs):
        self.called.append("log")
        super().log(level, msg, *args, **kwargs)


def test_the_method_of_the_users_own_class_is_called(caplog):
    logger = Overriding()
    logger.addHandler(caplog.handler)

    def handler(ctx):
        ctx.logger.info("not again")
        ctx.step.run("a", lambda: None)
        ctx.logger.info("an %s", "info", extra={"tenant": "acme"})
        ctx.logger.warning("a warning")
        ctx.logger.log(logging.ERROR, "a log")

    Endpoint(handler, client={"logger": logger}).call(A)
    assert logger.called == ["info", "warning", "log"]
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["mine: an info", "a warning", "a log"]
    first = caplog.records[0]
    assert (first.inngest_run_id, first.tenant, first.filename) == (
        "01RUN",
        "acme",
        "test_logging.py",
    )


METHODS = ["debug", "info", "warning", "error", "critical", "exception", "fatal"]


class Levels:
    """An object with nothing but methods that log."""

    def __init__(self):
        self.called = []

    def __getattr__(self, name):
        if name not in METHODS:
            raise AttributeError(name)
        return lambda *args: self.called.append((name, *args))


def call_all(ctx):
    for name in METHODS:
        getattr(ctx.logger, name)("never")
    ctx.step.run("a", lambda: None)
    try:
        1 / 0
    except ZeroDivisionError:
        for name in METHODS:
            getattr(ctx.logger, name)("once")


def test_each_level_of_an_object_with_level_methods_alone():
    logger = Levels()
    Endpoint(call_all, client={"logger": logger}).call(A)
    assert logger.called == [(name, "once") for name in METHODS]


@pytest.mark.parametrize("wrapped", [False, True])
def test_each_level_of_a_logger(caplog, wrapped):
    caplog.set_level(logging.DEBUG, "the.users.own")
    logger: t.Any = logging.getLogger("the.users.own")
    levels = [name for name in METHODS if name != "fatal"] if wrapped else METHODS
    if wrapped:
        logger = logging.LoggerAdapter(logger, {"tenant": "acme"})

    def handler(ctx):
        for name in levels:
            getattr(ctx.logger, name)("never")
        ctx.step.run("a", lambda: None)
        try:
            1 / 0
        except ZeroDivisionError:
            for name in levels:
                getattr(ctx.logger, name)("once")

    Endpoint(handler, client={"logger": logger}).call(A)
    names = [record.levelname.lower() for record in caplog.records]
    assert names == [{"exception": "error", "fatal": "critical"}.get(n, n) for n in levels]
    for record in caplog.records:
        assert (record.filename, record.funcName) == ("test_logging.py", "handler")
        assert (record.inngest_run_id, record.getMessage()) == ("01RUN", "once")
    assert caplog.records[levels.index("exception")].exc_info[0] is ZeroDivisionError


def test_a_method_that_was_taken_while_replaying():
    """It is silent until the replay is over, and not for ever."""
    for logger in (Own(), Overriding()):

        def handler(ctx):
            info = ctx.logger.info
            info("never")
            ctx.step.run("a", lambda: None)
            info("once")

        Endpoint(handler, client={"logger": logger}).call(A)
        assert (logger.lines if isinstance(logger, Own) else logger.called) in (["once"], ["info"])
