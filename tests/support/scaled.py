"""Situations of many runs on the local server, in process."""

import inngest_wsgi as inngest
from inngest_wsgi.testing import TestServer

#: The most events in one request.
MOST_EVENTS = 500


class InProcess:
    """A server that calls an application with these functions in this thread."""

    def __init__(self, client, functions):
        self.application = inngest.serve(client, functions, checkpointing=False)
        self.server = TestServer()
        self.serve()

    def serve(self):
        self.server.serve(self.application)

    @property
    def store(self):
        return self.server._store

    def send(self, events):
        """Send events, and do what is due now, and all that follows from it."""
        for start in range(0, len(events), MOST_EVENTS):
            self.server.send(events[start : start + MOST_EVENTS])

    def finish(self):
        """Do all there is, and let time pass."""
        self.server.run_until_idle()

    def check(self, status, count):
        """Make sure that so many runs ended so, and no others."""
        assert [run.status for run in self.server.runs()] == [status] * count


def client_and_function(body, **options):
    client = inngest.Inngest(app_id="bench", is_production=False)
    options.setdefault("trigger", inngest.TriggerEvent(event="bench/go"))
    return client, client.create_function(fn_id="f", **options)(body)


def five_steps(ctx):
    for n in range(5):
        ctx.step.run(f"step-{n}", int)


def one_step(ctx):
    ctx.step.run("step", int)


def go(count, name="bench/go"):
    return [{"name": name, "data": {"id": n, "tenant": n % 7}} for n in range(count)]


def simple(body, events=go, runs=lambda count: count, **options):
    """Return a situation: all runs of a function, from the event to the end."""

    def situation(count):
        client, function = client_and_function(body, **options)
        server = InProcess(client, [function])

        def play():
            server.send(events(count))
            server.finish()
            server.check("Completed", runs(count))

        return play

    return situation


def waiting(expression):
    """Return a situation: runs that wait for events, each for its own.

    :param expression: made of the run's number.
    """

    def body(ctx):
        ctx.step.wait_for_event(
            "wait",
            event="bench/paid",
            timeout="1d",
            if_exp=expression.format(ctx.event.data["id"]),
        )

    def situation(count):
        client, function = client_and_function(body)
        server = InProcess(client, [function])

        def play():
            server.send(go(count))
            server.send(go(count, "bench/paid"))
            server.finish()
            server.check("Completed", count)

        return play

    return situation


def sleeping(ctx):
    ctx.step.sleep("sleep", "1d")


def cancelled(count):
    client, function = client_and_function(
        sleeping,
        cancel=[inngest.Cancel(event="bench/stop", if_exp="event.data.id == async.data.id")],
    )
    server = InProcess(client, [function])

    def play():
        server.send(go(count))
        server.send(go(count, "bench/stop"))
        server.finish()
        server.check("Cancelled", count)

    return play


def cancelled_at_once(count):
    client, function = client_and_function(sleeping, cancel=[inngest.Cancel(event="bench/stop")])
    server = InProcess(client, [function])

    def play():
        server.send(go(count))
        server.send(go(1, "bench/stop"))
        server.finish()
        server.check("Cancelled", count)

    return play


def invoking(count):
    client = inngest.Inngest(app_id="bench", is_production=False)
    child = client.create_function(fn_id="child", trigger=inngest.TriggerEvent(event="bench/no"))(
        one_step
    )
    parent = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="bench/go"))(
        lambda ctx: ctx.step.invoke("invoke", function=child)
    )
    server = InProcess(client, [parent, child])

    def play():
        server.send(go(count))
        server.finish()
        server.check("Completed", 2 * count)

    return play


def branches(width):
    """Return a situation: groups of parallel steps, together as many as runs elsewhere.

    :param width: how many each group has.
    """

    def body(ctx):
        ctx.group.parallel(tuple(lambda n=n: ctx.step.run(f"step-{n}", int) for n in range(width)))

    def situation(count):
        client, function = client_and_function(body)
        server = InProcess(client, [function])

        def play():
            server.send(go(count // width))
            server.finish()
            server.check("Completed", count // width)

        return play

    return situation


def looking(count):
    """Look at all that a test may see of each run."""
    client, function = client_and_function(five_steps)
    server = InProcess(client, [function])
    server.send(go(count))

    def play():
        for run in server.server.runs("f", "Completed"):
            assert len(run.calls) == 6
            assert [(step.id, step.attempts, step.output) for step in run.steps] == [
                (f"step-{n}", 1, 0) for n in range(5)
            ]
            assert run.step("step-4").ended == run.ended
            assert str(run)

    return play


def waking_up_without_equality(count):
    """One event, for which each wait has to be asked."""

    def body(ctx):
        ctx.step.wait_for_event(
            "wait", event="bench/paid", timeout="1d", if_exp="event.data.id < async.data.id"
        )

    client, function = client_and_function(body)
    server = InProcess(client, [function])

    def play():
        server.send(go(count))
        server.send([{"name": "bench/paid", "data": {"id": count}}])
        server.check("Completed", count)

    return play


def schedules(count):
    """As many functions, each with a schedule that fires once."""
    client = inngest.Inngest(app_id="bench", is_production=False)
    functions = [
        client.create_function(
            fn_id=f"f{n}", trigger=inngest.TriggerCron(cron=f"{n % 60} 3 * * *")
        )(one_step)
        for n in range(count)
    ]
    server = InProcess(client, functions)

    def play():
        server.server.advance("1d")
        server.check("Completed", count)

    return play


def one_schedule(count):
    """One schedule, which fires as often."""
    client, function = client_and_function(one_step, trigger=inngest.TriggerCron(cron="0 * * * *"))
    server = InProcess(client, [function])

    def play():
        server.server.advance(f"{count}h")
        server.check("Completed", count)

    return play


def many_functions(count):
    client = inngest.Inngest(app_id="bench", is_production=False)
    functions = [
        client.create_function(fn_id=f"f{n}", trigger=inngest.TriggerEvent(event=f"bench/go.{n}"))(
            one_step
        )
        for n in range(500)
    ]
    server = InProcess(client, functions)

    def play():
        server.send([{"name": f"bench/go.{n % 500}", "data": {}} for n in range(count)])
        server.finish()
        server.check("Completed", count)

    return play


KEY = "event.data.id"

SITUATIONS = {
    "runs": simple(five_steps),
    "backlog": simple(one_step, concurrency=[inngest.Concurrency(limit=1)]),
    "backlog with keys": simple(
        one_step,
        concurrency=[
            inngest.Concurrency(limit=1, key="event.data.tenant"),
            inngest.Concurrency(limit=3),
        ],
    ),
    "waits": waiting("event.data.id == async.data.id"),
    "waits, two conditions": waiting("async.data.id >= 0 && async.data.id == event.data.id"),
    "waits, a number": waiting("async.data.id == {}"),
    "sleeps": simple(sleeping),
    "invokes": invoking,
    "cancelled by event": cancelled,
    "cancelled by one": cancelled_at_once,
    "throttle": simple(one_step, throttle=inngest.Throttle(limit=10, period="60s", key=KEY)),
    "throttle, one key": simple(one_step, throttle=inngest.Throttle(limit=10, period="60s")),
    "debounce": simple(one_step, debounce=inngest.Debounce(period="60s", key=KEY)),
    "debounce, one key": simple(
        one_step, runs=lambda count: 1, debounce=inngest.Debounce(period="60s")
    ),
    "rate limit": simple(one_step, rate_limit=inngest.RateLimit(limit=1, period="60s", key=KEY)),
    "rate limit, one key": simple(
        one_step, rate_limit=inngest.RateLimit(limit=50000, period="60s")
    ),
    "batches": simple(one_step, batch_events=inngest.Batch(max_size=10, timeout="60s", key=KEY)),
    "batches, one key": simple(
        one_step,
        runs=lambda count: -(-count // 10),
        batch_events=inngest.Batch(max_size=10, timeout="60s"),
    ),
    "singleton": simple(one_step, singleton=inngest.Singleton(mode="skip", key=KEY)),
    "branches": branches(10),
    "500 functions": many_functions,
    "schedules": schedules,
    "one schedule": one_schedule,
    "waits, no equality": waking_up_without_equality,
    "priorities": simple(
        one_step,
        concurrency=[inngest.Concurrency(limit=1)],
        priority=inngest.Priority(run="event.data.tenant"),
    ),
    "looking": looking,
    "no function": simple(
        one_step, events=lambda count: go(count, "bench/other"), runs=lambda count: 0
    ),
}
