"""Descriptions of functions, and sample events."""

import re

import pytest
from dev_page import handler, text

import inngest_wsgi as inngest
from inngest_wsgi._dev_page import descriptions, samples


def described(trigger=None, app=None, **options):
    client = app or inngest.Inngest(app_id="shop", is_production=False)
    trigger = inngest.TriggerEvent(event="a") if trigger is None else trigger
    function = client.create_function(fn_id="f", trigger=trigger, **options)(handler)
    failure = function.failure_handler("shop")
    (found,) = descriptions.functions([function] + [failure] * (failure is not None), "shop")
    return found


C, T, R = inngest.Concurrency, inngest.Throttle, inngest.RateLimit


@pytest.mark.parametrize(
    "options, sentences",
    [
        ({}, []),
        ({"concurrency": [C(1)]}, ["At most 1 step at once"]),
        (
            {"concurrency": [C(5, key="event.data.u", scope="account"), C(0)]},
            [
                "At most 5 steps at once for each `event.data.u`, shared by the whole account",
                "No limit but the account's",
            ],
        ),
        (
            {"concurrency": [C(2, key="'x'", scope="env")]},
            [
                "At most 2 steps at once for each `'x'`, shared by all functions of the "
                "environment with the same key"
            ],
        ),
        ({"checkpointing": True}, ["One call runs steps for up to 10 seconds"]),
        ({"checkpointing": False}, []),
        (
            {
                "checkpointing": inngest.Checkpointing(
                    buffered_steps=10, max_interval="2s", max_runtime="1m"
                )
            },
            [
                "One call runs steps for up to 1 minute, and the server stores 10 of them at a "
                "time, or what there is after 2 seconds"
            ],
        ),
        ({"concurrency": [C(2, scope="fn")]}, ["At most 2 steps at once"]),
        ({"throttle": T(1, "1m")}, ["At most 1 run starts in 1 minute; the others wait"]),
        (
            {"throttle": T(10, "1h30m", key="k", burst=3)},
            [
                "At most 10 runs start in 1 hour 30 minutes for each `k`, 3 of them at the same "
                "moment; the others wait"
            ],
        ),
        (
            {"rate_limit": R(2, "24h", key="k")},
            ["At most 2 runs start in 1 day for each `k`; further events start none"],
        ),
        (
            {"debounce": inngest.Debounce("5s")},
            ["Starts once no event has come for 5 seconds, with the last event"],
        ),
        (
            {"debounce": inngest.Debounce("5s", key="k", timeout="1m")},
            [
                "Starts once no event has come for 5 seconds for each `k`, with the last event; "
                "after 1 minute in any case"
            ],
        ),
        ({"batch_events": inngest.Batch(10)}, ["One run for up to 10 events"]),
        (
            {"batch_events": inngest.Batch(10, "1500ms", key="k", if_exp="x")},
            [
                "One run for up to 10 events, or those of 1 second 500 milliseconds for each `k`, "
                "of the events with `x`"
            ],
        ),
        (
            {"priority": inngest.Priority("event.data.vip ? 1 : 0")},
            ["A run is put ahead by as many seconds as `event.data.vip ? 1 : 0` says"],
        ),
        (
            {"singleton": inngest.Singleton("skip")},
            ["One run at a time; an event during it starts none"],
        ),
        (
            {"singleton": inngest.Singleton("cancel", key="k")},
            ["One run at a time for each `k`; an event during it cancels it and starts another"],
        ),
        ({"idempotency": "k"}, ["One run in 24 hours for each `k`"]),
        (
            {"cancel": [inngest.Cancel("b"), inngest.Cancel("c", if_exp="x", timeout="1d")]},
            ["By the event `b`", "By the event `c`, if `x`, within 1 day of the run's start"],
        ),
        ({"cancel": [inngest.Cancel("c", timeout="2d")]}, ["By the event `c`, within 2 days"]),
        (
            {"timeouts": inngest.Timeouts("1h", "2h")},
            ["Cancelled unless started within 1 hour", "Cancelled unless finished 2 hours after"],
        ),
    ],
)
def test_settings_are_described_in_sentences(options, sentences):
    found = [text(setting["text"]) for setting in described(**options)["settings"]]
    assert len(found) == len(sentences)
    for one, expected in zip(found, sentences):
        assert one.startswith(expected) and "``" not in one


def test_every_option_of_a_function_is_described():
    from inngest_wsgi.function import Options

    quiet = {"fn_id", "trigger", "name", "retries", "on_failure", "middleware", "output_type"}
    camel = {
        re.sub("_(.)", lambda m: m.group(1).upper(), x) for x in Options._fields if x not in quiet
    }
    wire = {"checkpoint" if name == "checkpointing" else name for name in camel}
    assert wire == {option for option, _, _ in descriptions._SENTENCES}


@pytest.mark.parametrize(
    "retries, words",
    [
        (None, "4, by default: each step is tried up to 5 times"),
        (0, "None: each step is tried once"),
        (1, "1: each step is tried up to 2 times"),
        (20, "20: each step is tried up to 21 times"),
    ],
)
def test_retries_are_described_in_a_sentence(retries, words):
    assert text(described(retries=retries)["retries"]) == words


@pytest.mark.parametrize(
    "cron, words",
    [
        ("* * * * *", "Every minute: `* * * * *`"),
        ("*/15 * * * *", "Every 15 minutes: `*/15 * * * *`"),
        ("5 * * * *", "Every hour, at minute 5: `5 * * * *`"),
        ("0 3 * * *", "Every day at 03:00 (UTC): `0 3 * * *`"),
        ("30 9 * * 1", "Every Monday at 09:30 (UTC): `30 9 * * 1`"),
        ("TZ=Europe/Berlin 0 9 * * 1-5", "Monday to Friday at 09:00 (Europe/Berlin): `TZ="),
        ("CRON_TZ=America/New_York 0 9 * * 0", "Every Sunday at 09:00 (America/New York): `CRON"),
        ("0 0 1 * *", "On day 1 of each month at 00:00 (UTC): `0 0 1 * *`"),
        ("0 0 1 1 *", "On the schedule `0 0 1 1 *` (UTC)"),
        ("0 0 1 * 1", "On the schedule `0 0 1 * 1` (UTC)"),
        ("1,2 0 * * *", "On the schedule `1,2 0 * * *` (UTC)"),
        ("TZ=Asia/Tokyo 0 */2 * * *", "On the schedule `TZ=Asia/Tokyo 0 */2 * * *`"),
        ("0 0 * * mon", "On the schedule `0 0 * * mon` (UTC)"),
    ],
)
def test_simple_schedules_are_described_in_words(cron, words):
    (trigger,) = described(inngest.TriggerCron(cron=cron))["triggers"]
    assert text(trigger["text"]).startswith(words)
    assert trigger["event"] is None


def test_jitter_is_described():
    (trigger,) = described(inngest.TriggerCron(cron="0 0 1 1 *", jitter="30s"))["triggers"]
    assert text(trigger["text"]) == "On the schedule `0 0 1 1 *` (UTC), up to 30 seconds later"
    (trigger,) = described(inngest.TriggerCron(cron="* * * * *", jitter=500))["triggers"]
    assert text(trigger["text"]).endswith("`* * * * *`, up to 500 milliseconds later")


def test_a_failure_handler_is_described_with_its_function():
    assert described()["on_failure"] is None
    assert described(on_failure=handler)["on_failure"] == "shop-f-failure"


def test_each_trigger_has_a_sample_event():
    trigger = [
        inngest.TriggerEvent(event="a", expression="event.data.total > 100"),
        inngest.TriggerEvent(event="b"),
    ]
    first, second = described(trigger, concurrency=[C(1, key="event.data.user.id")])["triggers"]
    assert text(first["text"]) == "When `a` is sent, if `event.data.total > 100`"
    assert first["condition"] == "event.data.total > 100"
    assert first["sample"] == {"total": 101, "user": {"id": "example"}}
    assert text(second["text"]) == "When `b` is sent" and second["condition"] is None


@pytest.mark.parametrize(
    "expressions, data",
    [
        ([], {}),
        (["event.name == 'x'"], {}),
        (["event.data.a == 'x' && event.data.b == \"y\""], {"a": "x", "b": "y"}),
        (["event.data.a >= 5 || event.data.b < 5"], {"a": 5, "b": 4}),
        (["event.data.a == true"], {"a": True}),
        (["event.data.a > 1.5"], {"a": "example"}),
        (["event.data.a == trueish"], {"a": "example"}),
        (["event.data.a != 3"], {"a": "example"}),
        (
            ["event.data.a.startsWith('x')", "size(event.data.b.c)"],
            {"a": "example", "b": {"c": "example"}},
        ),
        (["event.data.matches('x')"], {}),
        (["async.data.id == event.data.id"], {"id": "example"}),
        (["async.event.data.id", "myevent.data.id"], {}),
        (["event.data.a == 1", "event.data.a == 2"], {"a": 1}),
        (["event.data.a == 1", "event.data.a.b == 2"], {"a": 1}),
        (["event.data.a.b == 1", "event.data.a == 2"], {"a": {"b": 1}}),
        (["event.data.a == " + "9" * 5000], {"a": "example"}),
    ],
)
def test_sample_data_is_guessed_from_expressions(expressions, data):
    assert samples.data(expressions) == data
