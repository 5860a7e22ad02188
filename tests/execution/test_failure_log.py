"""The package's own log: each failure once, by the name of its step, in one
line, and without failing anything itself."""

import io
import logging

import pytest
from apps import Endpoint, step_hash

import inngest_wsgi as inngest


def raising(error):
    def work():
        raise error

    return work


def charge(error):
    return lambda ctx: ctx.step.run("charge", raising(error))


def told(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


STEP = "Step 'charge' of function shop-f failed, attempt {} (run 01RUN)"
FUNCTION = "Function shop-f failed, attempt {} (run 01RUN)"


@pytest.mark.parametrize(
    "handler, ctx, level, line",
    [
        (charge(ValueError("m")), {"attempt": 1}, "WARNING", STEP.format("2 of 4")),
        (charge(ValueError("m")), {"attempt": 3}, "ERROR", STEP.format("4 of 4")),
        (charge(ValueError("m")), {"max_attempts": None}, "WARNING", STEP.format("1")),
        (charge(inngest.NonRetriableError("m")), {}, "ERROR", STEP.format("1 of 4")),
        (charge(inngest.RetryAfterError("m", 1)), {}, "WARNING", STEP.format("1 of 4")),
        (lambda ctx: 1 / 0, {}, "WARNING", FUNCTION.format("1 of 4")),
        (lambda ctx: 1 / 0, {"attempt": 3}, "ERROR", FUNCTION.format("4 of 4")),
        (
            lambda ctx: raising(inngest.NonRetriableError())(),
            {},
            "ERROR",
            FUNCTION.format("1 of 4"),
        ),
    ],
)
def test_a_failure_is_logged_once_with_its_step_and_attempt(handler, ctx, level, line, caplog):
    Endpoint(handler).call(**ctx)
    assert told(caplog) == [(level, line)]
    assert caplog.records[0].exc_info


def test_a_step_that_was_logged_is_not_logged_again(caplog):
    endpoint = Endpoint(charge(ValueError("m")))
    op = endpoint.op(attempt=3)
    assert len(caplog.records) == 1
    response = endpoint.call({op["id"]: {"error": op["error"]}})
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert len(caplog.records) == 1, "the function ended with what was logged"


@pytest.mark.parametrize(
    "handler",
    [
        # nobody has logged these
        lambda ctx: ctx.step.invoke_by_id("charge", function_id="other"),
        lambda ctx: ctx.step.fetch("charge", "http://example.com"),
    ],
)
def test_a_failure_of_a_step_of_the_server_is_logged(handler, caplog):
    memo = {"error": {"name": "E", "message": "m"}}
    Endpoint(handler).call({step_hash("charge"): memo})
    assert told(caplog) == [("ERROR", FUNCTION.format("1 of 4"))]


def test_an_error_raised_from_a_logged_one_is_logged(caplog):
    def handler(ctx):
        try:
            ctx.step.run("charge", lambda: None)
        except inngest.StepError as error:
            raise ValueError("mine") from error

    Endpoint(handler).call({step_hash("charge"): {"error": {"name": "E", "message": "m"}}})
    assert told(caplog) == [("WARNING", FUNCTION.format("1 of 4"))]


class Quiet(inngest.NonRetriableError):
    def __init__(self):
        super().__init__("m", quiet=True)


def test_a_quiet_error_is_not_logged_in_either_call(caplog):
    endpoint = Endpoint(charge(Quiet()))
    op = endpoint.op()
    endpoint.call({op["id"]: {"error": op["error"]}})
    assert told(caplog) == []


def broken(record):
    raise RuntimeError("a filter of the user's")


def swallows(ctx):
    try:
        ctx.step.run("a", lambda: 1)
    except BaseException:
        return "swallowed"


class Broken(inngest.Middleware):
    def close(self):
        raise ValueError("m")


@pytest.mark.parametrize("where", ["filter", "handler"])
@pytest.mark.parametrize(
    "handler, ctx, status",
    [
        (charge(ValueError("m")), {}, 206),
        (lambda ctx: 1 / 0, {}, 500),
        (swallows, {}, 206),
        (lambda ctx: ctx.step.run("a", ctx.logger.info, "x"), {}, 206),
        (lambda ctx: ctx.logger.warning("x"), {}, 200),
        (lambda ctx: 1, {"run_id": 5}, 400),
    ],
)
def test_a_log_that_raises_fails_nothing(handler, ctx, status, where, monkeypatch):
    log = logging.getLogger("inngest_wsgi")
    monkeypatch.setattr(log, "level", logging.DEBUG)
    if where == "filter":
        monkeypatch.setattr(log, "filters", [broken])
    else:
        bad = logging.Handler()
        monkeypatch.setattr(bad, "handle", broken)
        monkeypatch.setattr(log, "handlers", [bad])
    response = Endpoint(handler, client={"middleware": [Broken]}).call(**ctx)
    assert response.status_code == status
    if status == 206:
        assert response.get_json()[0]["op"] == (
            "StepError" if b"error" in response.data else "StepRun"
        )


def test_a_log_that_raises_is_reported_on_stderr(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("inngest_wsgi"), "filters", [broken])
    Endpoint(lambda ctx: 1 / 0).call()
    assert "a filter of the user's" in capsys.readouterr().err


FORGED = "01\nCRITICAL forged\r\x1b[31m\u2028\x85"


@pytest.mark.parametrize(
    "handler, step, ctx",
    [
        (charge(ValueError("m")), "step", {"run_id": FORGED}),
        (lambda ctx: 1 / 0, "step", {"run_id": FORGED}),
        (swallows, "step", {"run_id": FORGED}),
        (lambda ctx: ctx.logger.warning("x"), "step", {"run_id": FORGED}),
        (lambda ctx: ctx.step.run("a", lambda: 1), "1%0ACRITICAL%20forged", {}),
        (lambda ctx: ctx.step.run(FORGED, raising(ValueError("m"))), "step", {}),
    ],
)
@pytest.mark.parametrize("streaming", [False, "force"])
def test_no_value_of_a_request_forges_a_line(handler, step, ctx, streaming, caplog):
    out = io.StringIO()
    lines = logging.StreamHandler(out)
    lines.setFormatter(
        logging.Formatter("%(levelname)s %(threadName)s %(inngest_run_id)s %(message)s")
    )
    lines.addFilter(lambda record: record.__dict__.setdefault("inngest_run_id", "-"))
    log = logging.getLogger("inngest_wsgi")
    log.addHandler(lines)
    try:
        with Endpoint(handler, streaming=streaming).call(step=step, **ctx) as response:
            assert response.data
    finally:
        log.removeHandler(lines)
    written = out.getvalue()
    assert "forged" in written
    for line in written.splitlines():
        assert not line.startswith("CRITICAL"), written
    assert not set("\r\x1b\u2028\x85") & set(written)
