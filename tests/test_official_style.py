"""Programs in the official SDK's style give the answers that the official SDK
gives; ``tests/official`` has stored those."""

import logging
import typing as t

import official_style
import pytest

import inngest_wsgi as inngest

STORED = official_style.stored()


@pytest.mark.parametrize("program", official_style.PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_answers_as_with_the_official_sdk(program):
    wanted = STORED[program.__name__]
    found = official_style.answers_of(inngest, program)
    assert list(found) == list(wanted) or set(found) == set(wanted)
    for name, answer in found.items():
        assert answer == wanted[name], name


def test_events_are_sent_as_by_the_official_sdk():
    assert official_style.sent(inngest) == STORED["sent"]


def test_functions_are_registered_as_by_the_official_sdk():
    found = official_style.registered(inngest)
    for function in found["payload"]["functions"]:
        # only this package's calls go on after a step
        assert function.pop("checkpoint") == {"batch_steps": 1, "max_runtime": "10s"}
    assert found == STORED["registered"]


def test_middleware_without_close_logs_nothing(caplog):
    class Plain:
        """All that the official base class has."""

        def __init__(self, client, raw_request):
            pass

        def nothing(self, *arguments):
            pass

        transform_input = transform_output = before_execution = nothing
        after_execution = before_response = nothing
        before_send_events = after_send_events = nothing

    class Closed(Plain):
        close = True  # an attribute of its own

    classes: t.Any = [Plain, Closed]
    client = inngest.Inngest(app_id="shop", is_production=False, middleware=classes)

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    def f(ctx):
        return 1

    with caplog.at_level(logging.DEBUG):
        app = official_style.application(inngest, client, [f])
        response = official_style.call(app, "shop-f")
    assert response.get_json() == 1
    assert caplog.text == ""


def test_the_clients_attributes():
    key, other = "signkey-test-" + "ab" * 32, "signkey-test-" + "cd" * 32
    environ = {"INNGEST_SIGNING_KEY": key, "INNGEST_SIGNING_KEY_FALLBACK": other}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        client = inngest.Inngest(app_id="shop")
    assert (client.signing_key, client.signing_key_fallback) == (key, other)
    assert client.is_production is True
    assert inngest.Inngest(app_id="shop", is_production=False).is_production is False


def test_a_functions_attributes():
    client = inngest.Inngest(app_id="shop", is_production=False)
    declare = client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent(event="e"), on_failure=print
    )
    function = declare(print)
    assert (function.get_id(), function.on_failure_fn_id) == ("shop-f", "shop-f-failure")
    assert (function.is_handler_async, function.is_on_failure_handler_async) == (False, False)


def test_memos_and_their_errors_can_be_changed():
    raw = official_style.memos(
        a={"error": {"name": "E", "message": "m"}}, b={"data": 1}, c=None, d={"error": {}}
    )
    memos = inngest.StepMemos.from_raw(raw)
    a, b, c, d = list(memos.values())
    assert a.error is not None
    assert (a.data, a.error.name, a.error.message, a.error.stack) == (None, "E", "m", None)
    assert (b.data, b.error, c.data, c.error) == (1, None, None, None)
    a.error.message = "another"
    b.error = a.error
    b.error = {"name": "N", "message": "n"}
    c.error = None
    d.error = None
    assert raw == official_style.memos(
        a={"error": {"name": "E", "message": "another"}},
        b={"error": {"name": "N", "message": "n"}},
        c=None,
        d={"data": None},
    )
    popped = memos.pop(official_style.hashed("a"))
    assert popped is not None and popped.error is not None
    assert (popped.data, popped.error.message, memos.size) == (None, "another", 3)
    assert memos.pop(official_style.hashed("a")) is None


@pytest.mark.parametrize("op", inngest.Opcode)
def test_an_opcode_is_its_value_too(op):
    assert op == op.value and op in {op.value: 1}
    assert f"{op}" == str(op) == f"Opcode.{op.name}"


def test_errors_have_a_name_and_a_stack():
    with pytest.raises(inngest.Error) as caught:
        raise inngest.NonRetriableError("m")
    assert caught.value.name == "NonRetriableError"
    assert "NonRetriableError: m" in str(caught.value.stack)
    failed = inngest.StepError("m", "KeyError", "S")
    assert (failed.name, failed.stack) == ("KeyError", "S")
