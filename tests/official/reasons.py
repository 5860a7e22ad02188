"""The reasons for the differences from the official SDK, and what no script
sees: the same name with another behaviour. They become
``docs/from-the-official-sdk.md``."""

INTRODUCTION = """
# From the official Python SDK

A function written for the synchronous API of the official SDK (`inngest` {version} on PyPI) runs
here when you change its import to `import inngest_wsgi as inngest`. Names, parameters and types
of the two were compared one by one: {same} of the official ones are the same here, or are wider.
This page lists each that is not, with its reason. `nox -s official` compares them again, and runs
a set of programs with both: their answers to an Inngest server are the same.

What is missing raises an error where it is used: an `ImportError`, `AttributeError`, or
`TypeError`.

**Async code** does not run here: WSGI is synchronous. `async def` functions and hooks are refused
where they are declared.

**Mounting it.** `inngest_wsgi.flask.serve()` and `inngest_wsgi.django.serve()` take what those of
the official SDK take. So the whole of an application moves by its imports:

```text
# official                       # here
import inngest                   import inngest_wsgi as inngest
import inngest.flask             import inngest_wsgi.flask
```

[Flask](frameworks/flask.md) and [Django](frameworks/django.md) say what these do. For other
frameworks `inngest_wsgi.serve()` returns a WSGI application object.
"""

#: Patterns of differences, each of which must match one; and the reason.
REASONS = [
    (
        ["Context", "Middleware", "Step"],
        "These are asynchronous in the official SDK. Here there is one class of each, which both "
        "names mean, so annotations stay as they are.",
    ),
    (
        [
            "[!E]*.model_*",
        ],
        "The official classes are pydantic's models, with its methods and `to_dict`, `from_raw`. "
        "Here they are dataclasses, because the package does without pydantic. Use "
        "`dataclasses.asdict()` and `dataclasses.replace()`.",
    ),
    (
        ["Event.model_*"],
        "An `Event` has the methods by which events are stored and made: `model_dump`, "
        "`model_dump_json`, `model_validate`, `model_validate_json`, `model_copy`, `to_dict` and "
        "`from_raw`. The others are about pydantic itself.",
    ),
    (
        ["Event(data) default"],
        "None, `{{}}` and a missing value mean the same to both.".replace("{{}}", "{}"),
    ),
    (
        [
            "*.timeout type",
            "*.period type",
            "Timeouts.start type",
            "Timeouts.finish type",
            "TriggerCron.jitter type",
        ],
        "Durations may be time strings too, so code that reads one back may find a string; only "
        "where you wrote one.",
    ),
    (
        ["*(output_type) default"],
        "None stands for a missing `output_type`; `None` as a type is of no use.",
    ),
    (
        [
            "Function.call",
            "Function.call_sync",
            "Function.get_config",
            "Function()",
            "StepSync()",
            "StepSync.ai()",
            "StepMemos.Output()",
            "StepMemos.MemoizedError()",
            "StepMemos.MemoizedError.from_error",
        ],
        "Only the SDK makes or calls these. In a unit test call `function.handler`, or run the "
        "function with `inngest_wsgi.testing`.",
    ),
    (
        ["*Error.code (kind)", "*Error.include_stack"],
        "`err.code` is a string here. Which errors have a traceback is decided where the answer "
        "is written.",
    ),
    (
        ["errors.*"],
        "These classes are private in the official SDK (`inngest._internal.errors`), and only "
        "`NonRetriableError`, `RetryAfterError` and `StepError` are exported. Here all are in "
        "`inngest_wsgi.errors`; some have another name.",
    ),
    (
        ["StepMemos.pop -> type"],
        "A memo that does not exist is None; in the official SDK it is an object of a private "
        "class.",
    ),
    (
        ["TransformOutputResult*error*"],
        "A function may also raise a `BaseException`, for example a timeout of gevent.",
    ),
    (
        [
            "connect (module)",
            "digital_ocean (module)",
            "fast_api (module)",
            "tornado (module)",
            "experimental.digital_ocean_simulator (module)",
            "INNGEST_CONNECT_MAX_WORKER_CONCURRENCY (environment)",
            "INNGEST_THREAD_POOL_MAX_WORKERS (environment)",
        ],
        "They are for other platforms than WSGI, or for asynchronous code. The WSGI server "
        "decides about threads.",
    ),
    (
        ["experimental.dev_server (module)"],
        "Use `inngest_wsgi.testing.TestServer`, or the fixture `inngest_server` of pytest: it "
        "runs whole functions in a test, and needs no other program.",
    ),
    (
        ["experimental.realtime (module)"],
        "Not supported yet. `POST /v1/realtime/publish` of the server's API does it.",
    ),
    (
        [
            "experimental.remote_state_middleware (module)",
            "experimental.sentry_middleware (module)",
        ],
        "The official SDK advises to copy these into your own code. Such a copy runs here; in "
        "place of `inngest._internal.server_lib.Opcode` write `inngest.Opcode`. Do not import "
        "them from the official package: its opcodes are other objects, so that the remote state "
        "middleware would store nothing.",
    ),
]

#: What, in the official SDK, here.
BEHAVIOUR = [
    (
        "`Inngest.send()`",
        "a coroutine; `send_sync()` is the synchronous one",
        "synchronous, as `send_sync()` is",
    ),
    (
        "unknown keywords of `Batch`, `Throttle` and the other options",
        "are ignored",
        "raise a `TypeError`; of `Event` they are ignored here too",
    ),
    (
        "attributes of the options, of `Inngest.app_id` and of triggers",
        "can be assigned",
        "cannot: make another object",
    ),
    ('`Event(name="")`', "is made, and refused by the server", "raises a `ValueError`"),
    (
        "`user` and `v` of an event",
        "are ignored",
        "are sent and received; `model_dump()` has them if they are set",
    ),
    (
        "event data with dates, sets or objects inside a dict",
        "is converted to strings and lists",
        "raises an `OutputError` that names the value, as the outputs of steps do",
    ),
    (
        '`Inngest(event_key="")`, `signing_key=""`, `env=""`',
        "the environment's value is used",
        "raises a `SettingsError`; None uses the environment",
    ),
    ("`Inngest.api_origin`, `event_api_origin`", "end with a slash", "have no slash at the end"),
    ("the address of the dev server", "`http://127.0.0.1:8288`", "`http://localhost:8288`"),
    (
        "`is_production=True` with a URL in `INNGEST_DEV`",
        "cloud mode, with the requests to that URL",
        "cloud mode; `INNGEST_DEV` is ignored. `INNGEST_BASE_URL` sets the address",
    ),
    ("`Inngest.middleware`", "a list, which may be changed", "a tuple; use `add_middleware()`"),
    ("the default logger", "named after a module of the SDK", "`inngest_wsgi`"),
    (
        "`raw_request` of a middleware",
        "the request of Flask or Django",
        "the WSGI environ; `werkzeug.Request(environ)` makes a request of it",
    ),
    (
        "`step.sleep()`",
        "sends the time of its end, by this machine's clock",
        "sends the duration, so the two clocks need not agree",
    ),
    ("`close()` of a middleware", "is not called", "is called last, if there is one"),
    (
        "a step that raises `NonRetriableError` or `RetryAfterError`, in a middleware",
        "the function failed: `result.step` is None, and `after_execution` is not called",
        "the step failed, as with any other error",
    ),
    (
        "`result.output` of a function that raised",
        "an object of a private class",
        "None; `has_output()` is False in both",
    ),
    ("`ctx.event` and `ctx.events[0]`", "two equal objects", "one object"),
    ("`set_step_context()` within a call", "raises", "replaces the steps until it ends"),
    (
        "naming a scope without a `key` in `Concurrency`, and other values that a server refuses",
        "fails the sync, which does not say why",
        "raises a `ValueError` where it is written",
    ),
    (
        "a duration of less than a second, or with a fraction of one, but of a sleep",
        "fails the sync or the step",
        "is sent",
    ),
    (
        "a naive `datetime` in the hour that daylight saving skips",
        "an hour too early: 02:30 in New York is sent as 06:30Z",
        "as PEP 495 says: 07:30Z",
    ),
    (
        "`RetryAfterError.retry_after` made of a naive `datetime`",
        "stays naive",
        "has the local time zone",
    ),
    (
        "the status of the answer when a function has failed for good",
        "500, with `X-Inngest-No-Retry: true`",
        "400, with the same header, as the JavaScript SDK; servers treat both alike",
    ),
    ("the age of a signature", "is not checked", "at most five minutes"),
]

#: Variable, value, in the official SDKs, here.
ENVIRONMENT = [
    ("`INNGEST_DEV`", "`1`, `true`", "dev mode", "the same"),
    ("", "`0`, `false`, empty", "cloud mode", "the same"),
    ("", "`yes`, `on`", "dev mode", "dev mode"),
    ("", "`no`, `off`", "dev mode", "refused: write `0`"),
    ("", "`localhost:8288`", "dev mode, `http://`", "the same"),
    (
        "",
        "`localhost`, any other word",
        "dev mode; the address differs from SDK to SDK",
        "refused: write the URL",
    ),
    (
        "`INNGEST_BASE_URL`, `INNGEST_API_BASE_URL`, `INNGEST_EVENT_API_BASE_URL`",
        "`host:port`, `host.example`",
        "`http://` in dev mode, `https://` in cloud mode",
        "the same",
    ),
    ("", "a word without dot and colon", "ignored", "refused"),
    ("`INNGEST_SERVE_ORIGIN`", "`shop.example`", "`https://`", "the same"),
    ("`INNGEST_SERVE_PATH`", "`api/inngest`", "taken as it is", "refused: write `/api/inngest`"),
    ("`INNGEST_STREAMING`", "`force`", "every answer is streamed", "the same"),
    ("", "`allow`", "as `force`", "where the WSGI server can deliver a stream"),
    ("", "`disable`", "none", "the same"),
    ("", "`true`, `1`", "ignored (Python), as `force` (JavaScript)", "as `allow`"),
    ("", "anything else", "ignored", "refused"),
    (
        "`INNGEST_ENABLE_UNAUTHED_SYNC`",
        "`false`, `0`",
        "only a signed PUT may start a sync",
        "the same",
    ),
    ("", "anything but `true`, `1`, `false`, `0`", "as `true`", "refused"),
    (
        "`INNGEST_ENV`, then `RAILWAY_GIT_BRANCH`, `RENDER_GIT_BRANCH`, `VERCEL_GIT_COMMIT_REF`",
        "the name of a branch",
        "the branch environment",
        "the same",
    ),
    (
        "`HEROKU_BRANCH`",
        "set in review apps",
        "not read",
        "the branch environment, after the others. Fly has no such variable",
    ),
    (
        "",
        "in a variable of a platform, a name that is not printable ASCII text",
        "the SDK for Python raises at the first request",
        "ignored, with a warning; in `INNGEST_ENV` refused",
    ),
]

#: What is not listed under "Only here".
NOT_SHOWN = [
    "*Error*",
    "*.to_wire",
    "*.from_wire",
    "*._disconnected",
    "*.others",
    "Function.[dfmor]*",
    "Opcode.*",
    "StepMemos.*",
    "Inngest.serializer",
]
