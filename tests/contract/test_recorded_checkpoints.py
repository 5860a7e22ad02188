"""A checkpointing SDK was recorded: the same functions send the same
checkpoints, and end their calls in the same way."""

import json
import time
import types

import pytest
import recordings

import inngest_wsgi as inngest


def basic(ctx):
    a = ctx.step.run("one", lambda: {"n": 1})
    b = ctx.step.run("two", lambda: None)
    ctx.step.sleep("nap", "1s")
    return {"a": a, "b": b, "c": ctx.step.run("three", lambda: "c")}


def all_sync(ctx):
    return ctx.step.run("one", lambda: 1) + ctx.step.run("two", lambda: 2)


def buffered(ctx):
    for n in range(4):
        ctx.step.run(f"s{n}", lambda n=n: n)
    ctx.step.run("slow", lambda: "slow")
    return "ok"


def max_runtime(ctx):
    began = time.monotonic()

    def slow():
        while time.monotonic() < began + 0.6:
            time.sleep(0.05)
        return 2

    ctx.step.run("a", lambda: 1)
    ctx.step.run("b", slow)
    ctx.step.run("c", lambda: 3)
    return "ok"


def bad():
    try:
        raise ValueError("inner cause")
    except ValueError as cause:
        raise TypeError("bad step") from cause


def step_error(ctx):
    ctx.step.run("fine", lambda: "fine")
    try:
        ctx.step.run("bad", bad)
    except inngest.StepError as error:
        cause = "{name}: {message}".format(**(error.cause or {}))
        found = {"name": error.name, "message": error.message, "isStepError": True}
        return {"caught": dict(found, cause=cause)}


def function_error(ctx):
    ctx.step.run("fine", lambda: "fine")
    if ctx.attempt == 0:
        raise RuntimeError("after a checkpointed step")
    return f"ok {ctx.attempt}"


def non_retriable(ctx):
    ctx.step.run("fine", lambda: 1)
    raise inngest.NonRetriableError("fn never again")


def parallel(ctx):
    before = ctx.step.run("before", lambda: "z")
    both = ctx.group.parallel(
        (lambda: ctx.step.run("a", lambda: "A"), lambda: ctx.step.run("b", lambda: "B"))
    )
    return [before, list(both), ctx.step.run("join", lambda: "+".join(both))]


def never_again(ctx):
    def bad():
        raise inngest.NonRetriableError("never again") from RuntimeError("why")

    ctx.step.run("bad", bad)


def retry_after(ctx):
    def later():
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("wait", 3000)
        return "ok"

    return ctx.step.run("later", later)


def one_and_nap(ctx):
    one = ctx.step.run("one", lambda: 1)
    ctx.step.sleep("nap", "1s")
    return one


def with_input(ctx):
    return ctx.step.run("with-args", lambda *args: {"got": list(args)}, {"a": 1}, "two")


def racing(ctx):
    branches = [lambda name=name: ctx.step.run(name, lambda: name) for name in ("fast", "slow")]
    return ctx.group.parallel(tuple(branches), parallel_mode=inngest.ParallelMode.RACE)[0]


def branch_and_sleep(ctx):
    def branch():
        return ctx.step.run("a1", lambda: 1) + ctx.step.run("a2", lambda: 2)

    ctx.group.parallel((branch, lambda: ctx.step.sleep("b", "3s")))


#: recording, function id, function, checkpointing
CASES = [
    ("72", "ckpt", basic, True),
    ("73", "ckpt-all-sync", all_sync, True),
    ("74", "ckpt-buffered", buffered, inngest.Checkpointing(buffered_steps=10)),
    ("75", "ckpt-maxruntime", max_runtime, inngest.Checkpointing(max_runtime="500ms")),
    ("76", "ckpt-step-error", step_error, True),
    ("77", "ckpt-fn-error", function_error, True),
    ("78", "ckpt-non-retriable-step", never_again, True),
    ("79", "ckpt-non-retriable-fn", non_retriable, True),
    ("80", "ckpt-retry-after-step", retry_after, True),
    ("81", "ckpt-parallel", parallel, True),
    ("82", "no-ckpt", one_and_nap, False),
    ("83", "no-ckpt-input", with_input, False),
    ("84", "race", racing, True),
    ("85", "race-default", branch_and_sleep, True),
    ("102", "ckpt", basic, True),
]


#: Calls, by recording and number, whose recorded answer is none of ours.
NOT_COMPARED = {
    ("85", 3): "the recorded function ends with the first branch; a parallel group waits for all",
}


class RecordedApi:
    """A server that stores every checkpoint, and remembers the requests."""

    def __init__(self):
        self.requests = []

    def request(self, method, url, body=b"", headers=None, **options):
        self.requests.append(
            types.SimpleNamespace(method=method, url=url, body=json.loads(body), headers=headers)
        )
        return types.SimpleNamespace(status=200, data=b"", headers={})


def checkpoints_of(recording):
    return [e for e in recording.exchanges if e.path.startswith("/v1/checkpoint/")]


@pytest.mark.parametrize(
    "number, name, function, checkpointing", [pytest.param(*c, id=f"{c[0]}-{c[1]}") for c in CASES]
)
def test_the_checkpoints_and_answers_of_a_run_are_the_recorded_ones(
    number, name, function, checkpointing
):
    recording = recordings.load(number)
    key = getattr(recording, "signing_key", None)
    client = inngest.Inngest(app_id="js-app", is_production=key is not None)
    declared = client.create_function(
        fn_id=name, trigger=inngest.TriggerEvent(event="js/" + name), retries=1
    )(function)
    api = RecordedApi()
    application = inngest.serve(
        client, [declared], signing_key=key, http=api, checkpointing=checkpointing
    )
    answered = 0
    for number_of_call, exchange in enumerate(recordings.calls(recording)):
        call = json.loads(exchange.body)
        recorded = [
            checkpoint
            for checkpoint in checkpoints_of(recording)
            if json.loads(checkpoint.body)["request_id"] == call["ctx"]["request_id"]
        ]
        answered += 1 + len(recorded)
        if (number, number_of_call) in NOT_COMPARED:
            assert not recorded
            continue
        del api.requests[:]
        response = recordings.replay(application, exchange)
        assert_same_answer(response, exchange.answer)
        assert len(api.requests) == len(recorded)
        for made, real in zip(api.requests, recorded):
            assert_same_checkpoint(made, real, call, key)
    # there is nothing else in the recording
    assert answered == len(recording.exchanges)


def test_every_recording_of_the_checkpointing_sdk_is_compared():
    compared = {number for number, *_ in CASES}
    assert compared.issuperset(map(str, range(72, 86)))


def assert_same_answer(response, recorded):
    retry = "X-Inngest-No-Retry"
    assert response.headers.get(retry) == recorded.headers.get(retry.lower())
    # a number of seconds or a time
    assert ("Retry-After" in response.headers) == ("retry-after" in recorded.headers)
    version = "X-Inngest-Req-Version"
    assert response.headers[version] == recorded.headers[version.lower()]
    body, status = json.loads(recorded.body), recorded.status
    if status == 206 and body[0]["op"] == "RunComplete":
        # a plain answer ends the run as well, and the server's API shows its
        # output, which is empty after a RunComplete (W33)
        body, status = body[0]["data"], 200
    assert response.status_code == status
    assert shown(response.get_json()) == shown(body)


def shown(body):
    if not isinstance(body, list) or "op" not in body[0]:
        found = dict(body) if isinstance(body, dict) else body
        if isinstance(found, dict) and "stack" in found:
            return found["message"]
        return found
    return [
        dict(
            shown_step(op),
            # the recorded SDK repeats an error here
            data=None if "error" in op else op.get("data"),
            error=named(op.get("error")),
            cause=named((op.get("error") or {}).get("cause")),
        )
        for op in body
    ]


def named(error):
    return None if error is None else error["message"]


def shown_step(op):
    """Return all of an op that the server reads. The recorded SDK also sends
    objects of its own with it, such as ``promise`` and ``middleware``."""
    opts = op.get("opts") or {}
    userland = op["userland"]
    found = {name: op.get(name) for name in ("op", "id", "displayName", "data")}
    found["userland"] = (userland["id"], userland.get("index") or 0)
    if op["op"] != "Sleep":
        # a sleep may say its duration in either of these
        found["name"] = op["name"]
        found["opts"] = {key: opts[key] for key in ("input", "parallelMode") if key in opts}
    # nanoseconds: the start, and the duration
    has_timing = op["op"] in ("StepRun", "StepError", "StepFailed")
    assert not has_timing or all(isinstance(op["timing"][part], int) for part in "ab")
    return found


def assert_same_checkpoint(made, real, call, key):
    expected = json.loads(real.body)
    assert made.method == "POST" and made.url.endswith(real.path)
    steps = [shown_step(step) for step in expected.pop("steps")]
    assert [shown_step(step) for step in made.body.pop("steps")] == steps
    for stamp in ("ts", "request_started_at"):
        assert isinstance(made.body[stamp], int) and isinstance(expected[stamp], int)
        made.body.pop(stamp), expected.pop(stamp)
    assert made.body == expected
    if key is not None:
        assert made.headers["Authorization"] == real.headers["Authorization"]
