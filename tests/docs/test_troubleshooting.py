"""Provokes each message that docs/troubleshooting.md has as a heading."""

import json
import logging
import re
import threading
import time

import doc_pages
import pytest
from apps import KEY, Endpoint, call_body, sign, step_hash
from stub_server import Scripted, serving
from werkzeug.test import Client

import inngest_wsgi as inngest
from inngest_wsgi import _adapters, _settings
from inngest_wsgi._dev_page import diagnostics

TEXT = doc_pages.read("docs/troubleshooting.md")
MESSAGES = re.findall(r"^### `(.+)`$", TEXT, re.M)
PROVOKED = {}
LOCAL = "http://localhost:8000/api/inngest"


def provokes(beginning):
    """Say which message a function provokes. It returns the text that has it, or raises it, or
    has it logged."""

    def add(function):
        (message,) = [each for each in MESSAGES if each.startswith(beginning)]
        assert message not in PROVOKED
        PROVOKED[message] = function
        return function

    return add


def declared(handler=lambda ctx: None, **options):
    client = inngest.Inngest(app_id="shop", is_production=False)
    options.setdefault("trigger", inngest.TriggerEvent(event="a"))
    return client.create_function(fn_id="f", **options)(handler)


def called(handler, *arguments, **options):
    """Return the answer to a call of a function."""
    return Endpoint(handler, **options.pop("serve", {})).call(*arguments, **options).get_data(True)


def cloud(**options):
    return Endpoint(lambda ctx: None, cloud=True, **options)


def synced(server, *functions, **options):
    """Sync an app with a server at this address."""
    client = inngest.Inngest(app_id="shop", is_production=False, **options)
    functions = functions or (
        client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="a"))(
            lambda ctx: None
        ),
    )
    app = inngest.serve(client, list(functions), base_url=server, sync_retries=0)
    return Client(app).put("/api/inngest").get_data(True)


def problems(came=LOCAL, here=LOCAL, concurrent=True, **settings):
    client = {"app_id": "shop", "is_production": False}
    found = _settings.resolve(client, settings, {})
    facts = diagnostics.RequestFacts(came, came, here, concurrent)
    listed = diagnostics.problems(found, facts, ["a"], None)
    return "\n".join("".join(problem.what) for problem in listed)


# -- at the start ---------------------------------------------------------


@provokes("signing_key: is missing")
def no_key():
    inngest.serve(inngest.Inngest(app_id="shop"), [declared()])


@provokes("signing_key: is not a signing key")
def no_signing_key():
    inngest.Inngest(app_id="shop", signing_key="signkey-prod-xyz")


@provokes("signing_key: begins or ends")
def quoted():
    inngest.Inngest(app_id="shop", signing_key=f'"{KEY}"')


@provokes("event_key: is a signing key")
def exchanged():
    inngest.Inngest(app_id="shop", event_key=KEY)


@provokes("event_key: is missing")
def no_event_key():
    inngest.Inngest(app_id="shop", signing_key=KEY).send(inngest.Event(name="a"))


@provokes("INNGEST_DEV")
def no_mode(monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", "maybe")
    inngest.Inngest(app_id="shop")


@provokes("serve_origin")
def a_path():
    cloud(serve_origin="https://example.com/api/inngest")


@provokes("functions: ")
def plain_function():
    inngest.serve(inngest.Inngest(app_id="shop", is_production=False), [print])  # type: ignore


@provokes("two functions")
def two_functions():
    inngest.serve(
        inngest.Inngest(app_id="shop", is_production=False), [declared(), declared(lambda ctx: 1)]
    )


@provokes("the function is async def")
def coroutine():
    async def handler(ctx):
        pass

    declared(handler)


@provokes("inngest_wsgi.…")
def old_framework():
    with _adapters.importing(("Werkzeug", (99, 0))):
        pass


@provokes("the function takes two")
def two_arguments():
    declared(lambda ctx, step: None)


@provokes("cron of a TriggerCron")
def daily():
    inngest.TriggerCron(cron="@daily")


@provokes("is not a time string")
def minutes():
    inngest.Timeouts(finish="5 minutes")


@provokes("output_type needs")
def no_serializer():
    return called(lambda ctx: ctx.step.run("a", int, output_type=int))


@provokes("… has fewer than")
def short_key():
    inngest.Inngest(app_id="shop", signing_key="signkey-test-cafe0125")


# -- at a sync ------------------------------------------------------------


@provokes("Sync of app … failed: The Inngest API at")
def nobody():
    synced("http://127.0.0.1:1")


@provokes("Sync of app … failed: HTTP status")
def redirect():
    with serving(Scripted((302, "", {"Location": "https://example.com/"}))) as origin:
        synced(origin)


@provokes("0 of … events")
def nobody_for_events():
    client = inngest.Inngest(
        app_id="shop", event_api_base_url="http://127.0.0.1:1", is_production=False
    )
    client.send(inngest.Event(name="a"))


@provokes("What answers at")
def another_program():
    with serving(Scripted((200, "hello"))) as origin:
        return synced(origin)


@provokes("Sync of app … failed: … What may be wrong")
def refused_functions():
    twice = [inngest.TriggerEvent(event="a"), inngest.TriggerEvent(event="a")]
    refusal = {"error": "At least one function is invalid"}
    with serving(Scripted((400, refusal))) as origin:
        synced(origin, declared(trigger=twice))


@provokes("does not accept the signing key")
def another_key():
    with serving(Scripted((401, {"error": "Unauthorized"}))) as origin:
        return synced(origin, signing_key=KEY)


@provokes("The request is not signed")
def unsigned_sync():
    return cloud().request("PUT", signed=False).get_data(True)


@provokes("The request does not tell")
def no_host():
    app = Endpoint(lambda ctx: None)
    return app.http.put("/api/inngest", headers={"Host": "a b"}).get_data(True)


@provokes("The request is from a dev server")
def dev_server():
    app = cloud(serve_origin="https://example.com")
    kind = {"X-Inngest-Server-Kind": "dev"}
    short = app.request("PUT", signed=False, headers=kind).get_data(True)
    assert "The request is from another kind of server." in short
    return app.request("GET", headers=kind).get_data(True)


# -- at a call ------------------------------------------------------------


@provokes("The request has no")
def unsigned():
    return cloud().request(signed=False).get_data(True)


def signed_at(key, at):
    signature = {"X-Inngest-Signature": sign(b"{}", key, time.time() + at)}
    return cloud().request(body=b"{}", headers=signature).get_data(True)


@provokes("The signature does not match")
def wrong_key():
    return signed_at("signkey-test-" + "ab" * 32, 0)


@provokes("The signature is more than 5 minutes old")
def old():
    return signed_at(KEY, -400)


@provokes("The signature is more than 5 minutes in the future")
def early():
    return signed_at(KEY, 400)


@provokes("Function '…' is not served here")
def unknown():
    body = json.dumps(call_body()).encode()
    return Endpoint(lambda ctx: None).request(query="fnId=shop-old", body=body).get_data(True)


@provokes("Either the client has gone")
def read_before():
    class Read:
        """Cannot be rewound, as the body of a request that a server has read off its socket."""

        def read(self, size=-1):
            return b""

    environ = {"wsgi.input": Read(), "CONTENT_LENGTH": "2"}
    return Endpoint(lambda ctx: None).request(environ_overrides=environ).get_data(True)


@provokes("A call of function")
def redirected():
    app = Endpoint(lambda ctx: None)
    return app.request("GET", query="fnId=shop-f&stepId=step").get_data(True)


@provokes("The request has an Origin")
def from_a_page():
    site = {"Origin": "https://example.com"}
    return Endpoint(lambda ctx: None).request(body=b"{}", headers=site).get_data(True)


def streamed(handler, **serve):
    body = json.dumps(call_body()).encode()
    app = Endpoint(handler, streaming="force", keepalive_interval=250, **serve)
    return app, app.request(body=body, buffered=False)


@provokes("Run … of function")
def lost():
    go = threading.Event()
    _, answer = streamed(lambda ctx: go.wait(60))
    next(iter(answer.response))
    answer.close()
    go.set()


@provokes("is answered in one piece")
def too_many():
    first, go = [], threading.Event()

    def handler(ctx):
        if not first:
            first.append(1)
            go.wait(60)

    app, answer = streamed(handler, max_streams=1)
    spaces = iter(answer.response)
    while not first:
        next(spaces)
    app.call()
    go.set()
    answer.get_data()


@provokes("Checkpointing is off")
def no_checkpoints():
    with serving(Scripted((403, "no"))) as origin:
        app = Endpoint(
            lambda ctx: [ctx.step.run(f"s{number}", int) for number in range(2)],
            client={"api_base_url": origin},
        )
        for _ in range(2):
            app.call(run_id="01M8ABZM3SGHR39XTRWAPQEAG9", fn_id="f1", qi_id="q1")


# -- in a function --------------------------------------------------------


@provokes("Step '…' of function")
def failing_step():
    called(lambda ctx: ctx.step.run("a", lambda: 1 / 0))


@provokes("Function … failed")
def failing_function():
    called(lambda ctx: 1 / 0)


@provokes("it was given")
def a_result():
    return called(lambda ctx: ctx.step.run("a", int()))


@provokes("only an Event")
def a_name():
    inngest.Inngest(app_id="shop", is_production=False).send("order/placed")  # type: ignore


@provokes("it is inside step")
def nested():
    return called(lambda ctx: ctx.step.run("a", lambda: ctx.step.run("b", int)))


@provokes("it is called in another thread")
def in_a_thread():
    def handler(ctx):
        thread = threading.Thread(target=step, args=(ctx,))
        thread.start()
        thread.join()

    def step(ctx):
        try:
            ctx.step.run("a", int)
        except inngest.StepConfigError:
            pass

    return called(handler)


@provokes("the call that ctx.step belongs to has ended")
def kept():
    kept = []
    called(kept.append)
    kept[0].step.run("a", int)


@provokes("Function … went on")
def swallowing():
    def handler(ctx):
        try:
            ctx.step.run("a", int)
        except BaseException:
            pass
        ctx.step.run("b", int)

    called(handler)


@provokes("step … was to run")
def renamed():
    return called(lambda ctx: ctx.step.run("new", int), step=step_hash("old"))


@provokes("its use 2 is counted")
def numbered():
    def handler(ctx):
        for step_id in ("charge:1", "charge", "charge"):
            ctx.step.run(step_id, int)

    memo = {"type": "data", "data": 0}
    return called(handler, {step_hash("charge:1"): memo, step_hash("charge"): memo})


@provokes("The output of step")
def no_json():
    return called(lambda ctx: ctx.step.run("a", lambda: {"made": object()}))


@provokes("bytes as JSON")
def large():
    return called(lambda ctx: ctx.step.run("a", lambda: "x" * (5 << 20)))


@provokes("is not JSON: two of its keys")
def two_keys():
    return called(lambda ctx: {1: "a", "1": "b"})


@provokes("The function of the step is async def")
def coroutine_step():
    async def work():
        pass

    return called(lambda ctx: ctx.step.run("a", work))


@provokes("event '…' has")
def large_event():
    client = inngest.Inngest(app_id="shop", is_production=False)
    client.send(inngest.Event(name="a", data={"x": "x" * (4 << 20)}))


@provokes("middleware …")
def failing_hook():
    class Broken(inngest.Middleware):
        def before_execution(self):
            raise ValueError("no")

    return called(lambda ctx: None, serve={"client": {"middleware": [Broken]}})


@provokes("call_context raised")
def failing_context():
    def broken(environ):
        raise ValueError("no")

    return called(lambda ctx: None, serve={"call_context": [broken]})


# -- on the page ----------------------------------------------------------


@provokes("The mode is dev")
def in_the_cloud():
    return problems(base_url="https://api.inngest.com")


@provokes("This page is open at")
def proxied():
    return problems(here="https://shop.test/api/inngest")


@provokes("is told to call")
def in_a_container():
    return problems(base_url="http://inngest:8288")


@provokes("In dev mode no request")
def public():
    address = "https://shop.example.com/api/inngest"
    return problems(came=address, here=address)


@provokes("This process answers one")
def one_thread():
    return problems(concurrent=False)


# -- all of them ----------------------------------------------------------


def pattern(message):
    return ".*".join(re.escape(part) for part in message.split("…"))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_can_be_provoked(message, caplog, monkeypatch, request):
    caplog.set_level(logging.DEBUG, logger="inngest_wsgi")
    function = PROVOKED[message]
    arguments = [monkeypatch] if function.__code__.co_argcount else []
    try:
        told = function(*arguments) or ""
    except Exception as error:
        told = str(error)
    if told.startswith("{"):
        told += json.dumps(json.loads(told), ensure_ascii=False).replace('\\"', '"')
    told = " ".join([told, *(record.getMessage() for record in caplog.records)])
    assert re.search(pattern(message), " ".join(told.split()), re.S), told


def test_no_message_is_short():
    """A heading that is hardly more than a placeholder would match anything."""
    for message in MESSAGES:
        assert len(message.replace("…", "")) > 15, message
