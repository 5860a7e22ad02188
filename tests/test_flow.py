"""The settings of a function: their registration, and invalid ones."""

import datetime
import json

import pytest
import recordings
from stub_server import Scripted, serving

import inngest_wsgi as inngest

EVENT = inngest.TriggerEvent(event="a")


def registered(*declarations):
    """Return the registered functions by their ids."""
    client = inngest.Inngest("sync-app", is_production=False, checkpointing=False)
    functions = [
        client.create_function(**dict({"trigger": EVENT}, **options))(lambda ctx: None)
        for options in declarations
    ]
    server = Scripted((200, {"ok": True, "modified": True}))
    with serving(server) as origin:
        application = inngest.serve(client, functions, base_url=origin)
        from werkzeug.test import Client

        Client(application).put("/api/inngest", base_url="http://localhost:3000")
    body = server.requests[0].get_data(as_text=True)
    assert "null" not in body
    return {function["id"]: function for function in json.loads(body)["functions"]}


def test_the_registration_is_the_recorded_one():
    recorded = json.loads(recordings.load("01").exchanges[1].body)["functions"]
    found = registered(
        {"fn_id": "plain", "trigger": inngest.TriggerEvent(event="sync/plain")},
        {
            "fn_id": "rich",
            "name": "Rich function",
            "trigger": [
                inngest.TriggerEvent(event="sync/rich", expression="event.data.ok == true"),
                inngest.TriggerCron(cron="TZ=Europe/Berlin 0 9 * * 1-5"),
            ],
            "retries": 7,
            "cancel": [
                inngest.Cancel(
                    event="sync/cancel",
                    if_exp="async.data.id == event.data.id",
                    timeout=datetime.timedelta(hours=1),
                )
            ],
            "concurrency": [
                inngest.Concurrency(limit=5),
                inngest.Concurrency(limit=2, key="event.data.user", scope="fn"),
            ],
            "debounce": inngest.Debounce(period=5000, key="event.data.id", timeout="5m"),
            "idempotency": "event.data.id",
            "priority": inngest.Priority(run="event.data.vip ? 100 : 0"),
            "singleton": inngest.Singleton(mode="skip", key="event.data.id"),
            "throttle": inngest.Throttle(limit=10, period=60000, key="event.data.user", burst=3),
            "timeouts": inngest.Timeouts(start="10m", finish="2h"),
        },
        {
            "fn_id": "batched",
            "trigger": inngest.TriggerEvent(event="sync/batched"),
            "batch_events": inngest.Batch(max_size=10, timeout="5s", key="event.data.k"),
            "rate_limit": inngest.RateLimit(limit=100, period="1h", key="event.data.k"),
        },
    )
    assert found == {function["id"]: function for function in recorded}


@pytest.mark.parametrize(
    "options, wire",
    [
        ({"batch_events": inngest.Batch(max_size=3)}, {"batchEvents": {"maxSize": 3}}),
        (
            {"batch_events": inngest.Batch(max_size=3, if_exp="event.data.b")},
            {"batchEvents": {"maxSize": 3, "if": "event.data.b"}},
        ),
        ({"cancel": [inngest.Cancel(event="x")]}, {"cancel": [{"event": "x"}]}),
        ({"concurrency": [inngest.Concurrency(limit=0)]}, {"concurrency": [{"limit": 0}]}),
        (
            {"throttle": inngest.Throttle(limit=1, period="1s")},
            {"throttle": {"limit": 1, "period": "1s", "burst": 1}},
        ),
        (
            {"throttle": inngest.Throttle(limit=1, period="1s", burst=None)},
            {"throttle": {"limit": 1, "period": "1s"}},
        ),
        ({"timeouts": inngest.Timeouts(finish="1h")}, {"timeouts": {"finish": "1h"}}),
        ({"timeouts": inngest.Timeouts()}, {}),
        ({"concurrency": [], "cancel": ()}, {}),
        (
            {"trigger": inngest.TriggerCron(cron="0 3 * * *", jitter="30s")},
            {"triggers": [{"cron": "0 3 * * *", "jitter": "30s"}]},
        ),
    ],
)
def test_only_what_is_set_is_registered(options, wire):
    (function,) = registered(dict({"fn_id": "f"}, **options)).values()
    for name in ("id", "name", "steps"):
        del function[name]
    assert function == dict({"triggers": [{"event": "a"}]}, **wire)


def test_a_failure_handler_is_a_separate_function():
    found = registered(
        {
            "fn_id": "f",
            "name": "The function",
            "retries": 7,
            "on_failure": lambda ctx: None,
            "concurrency": [inngest.Concurrency(limit=1)],
        }
    )
    assert list(found) == ["sync-app-f", "sync-app-f-failure"]
    assert found["sync-app-f-failure"] == {
        "id": "sync-app-f-failure",
        "name": "The function (failure)",
        "triggers": [
            {
                "event": "inngest/function.failed",
                "expression": "event.data.function_id == 'sync-app-f'",
            }
        ],
        "steps": {
            "step": {
                "id": "step",
                "name": "step",
                "retries": {"attempts": 0},
                "runtime": {
                    "type": "http",
                    "url": "http://localhost:3000/api/inngest?fnId=sync-app-f-failure&stepId=step",
                },
            }
        },
    }


def test_a_failure_handlers_id_cannot_be_used_twice():
    client = inngest.Inngest("shop", is_production=False)
    functions = [
        client.create_function(fn_id="f", trigger=EVENT, on_failure=print)(print),
        client.create_function(fn_id="f-failure", trigger=EVENT)(print),
    ]
    with pytest.raises(inngest.FunctionConfigError, match="f-failure"):
        inngest.serve(client, functions)


async def coroutine(ctx):
    pass


@pytest.mark.parametrize(
    "options, said",
    [
        ({"on_failure": coroutine}, "on_failure is async def"),
        ({"on_failure": "text"}, "cannot be called"),
        ({"concurrency": inngest.Concurrency(limit=1)}, "list of Concurrency"),
        ({"concurrency": 5}, "list of Concurrency"),
        ({"concurrency": [inngest.Concurrency(limit=1)] * 3}, "3 entries; the most is 2"),
        ({"cancel": [inngest.Cancel(event="x")] * 6}, "6 entries; the most is 5"),
        ({"cancel": ["x"]}, "list of Cancel"),
        (
            {"cancel": [inngest.Cancel(event="x")], "batch_events": inngest.Batch(max_size=2)},
            "cannot go together",
        ),
        ({"batch_events": 10}, "batch_events must be a Batch"),
        ({"debounce": "5s"}, "debounce must be a Debounce"),
        ({"idempotency": ""}, "idempotency"),
        ({"idempotency": 3}, "idempotency"),
        ({"priority": "100"}, "priority must be a Priority"),
        ({"rate_limit": 3}, "rate_limit must be a RateLimit"),
        ({"singleton": "skip"}, "singleton must be a Singleton"),
        ({"throttle": 3}, "throttle must be a Throttle"),
        ({"timeouts": "1h"}, "timeouts must be a Timeouts"),
    ],
)
def test_an_invalid_setting_is_refused_by_name(options, said):
    client = inngest.Inngest("shop", is_production=False)
    with pytest.raises(inngest.FunctionConfigError, match="function 'f': .*" + said):
        client.create_function(fn_id="f", trigger=EVENT, **options)(print)


@pytest.mark.parametrize(
    "kind, options, said",
    [
        (inngest.Batch, {"max_size": 0}, "max_size of a Batch"),
        (inngest.Batch, {"max_size": "10"}, "max_size of a Batch"),
        (inngest.Batch, {"max_size": 1, "timeout": "soon"}, "timeout of a Batch"),
        (inngest.Batch, {"max_size": 1, "key": ""}, "key of a Batch"),
        (inngest.Cancel, {"event": ""}, "event of a Cancel"),
        (inngest.Cancel, {"event": "x", "if_exp": " "}, "if_exp of a Cancel"),
        (inngest.Concurrency, {"limit": -1}, "limit of a Concurrency"),
        (inngest.Concurrency, {"limit": True}, "limit of a Concurrency"),
        (inngest.Concurrency, {"limit": 1, "scope": "app"}, "fn, env, account"),
        (inngest.Concurrency, {"limit": 1, "scope": "account"}, "key of a Concurrency"),
        (inngest.Debounce, {"period": "500ms"}, "from 1s to 7d"),
        (inngest.Debounce, {"period": "8d"}, "from 1s to 7d"),
        (inngest.Debounce, {"period": None}, "period of a Debounce"),
        (inngest.Priority, {"run": ""}, "run of a Priority"),
        (inngest.Priority, {"run": 100}, "run of a Priority"),
        (inngest.RateLimit, {"limit": 1, "period": "25h"}, "from 1s to 1d"),
        (inngest.RateLimit, {"limit": 0, "period": "1h"}, "limit of a RateLimit"),
        (inngest.Singleton, {"mode": "nope"}, "skip, cancel"),
        (inngest.Singleton, {"mode": None}, "mode of a Singleton"),
        (inngest.Throttle, {"limit": 1, "period": "nonsense"}, "period of a Throttle"),
        (inngest.Throttle, {"limit": 1, "period": "1h", "burst": 0}, "burst of a Throttle"),
        (inngest.Timeouts, {"start": "nonsense"}, "start of a Timeouts"),
        (inngest.Timeouts, {"finish": -1}, "finish of a Timeouts"),
        (inngest.TriggerCron, {"cron": "0 3 * * *", "jitter": "x"}, "time string"),
    ],
)
def test_a_value_that_the_server_would_refuse_is_refused_here(kind, options, said):
    with pytest.raises(ValueError, match=said):
        kind(**options)
