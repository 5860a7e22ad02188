"""The dev page in a real browser, with a real server of each kind.

Tests wait for conditions, never for a fixed time.
"""

import contextlib
import itertools
import json
import socket
import typing as t

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_shop import shop
from playwright.sync_api import expect
from stub_server import Scripted, serving
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

import inngest_wsgi as inngest
from inngest_wsgi._dev_page import page as page_module
from inngest_wsgi._server_api import events as _events
from inngest_wsgi.testing import LocalServer

expect.set_options(timeout=90000)

NOWHERE = "http://127.0.0.1:9"
VIEWS: t.Dict[str, t.Any] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
    "in between, dark": {"viewport": {"width": 700, "height": 900}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def server():
    with LocalServer() as found:
        yield found


@pytest.fixture(scope="module")
def origin(server):
    with serving(shop(server.url)) as found:
        yield found


@pytest.fixture
def unshared():
    """A local server that no other test uses."""
    with LocalServer() as found:
        yield found


@pytest.fixture(scope="module")
def broken():
    """The origin of a shop with a long name and no server."""
    name = "shop-" + "with-a-name-that-does-not-end-" * 4
    with serving(shop(NOWHERE, name, serve_origin="http://app:8000", sync_retries=0)) as found:
        yield found


def settled(page):
    expect(page.locator("#server")).to_contain_text(" at ")
    return page


def no_violations(page):
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def write(page, text):
    page.fill("#event", text if isinstance(text, str) else json.dumps(text))


# -- what there is -------------------------------------------------------


def test_the_page_shows_the_app_and_its_functions(open_page, server, origin):
    page = settled(open_page(origin))
    assert page.title() == "shop – Inngest app"
    expect(page.locator("h1")).to_have_text("shop")
    expect(page.locator("#mode")).to_have_text("Inngest app, dev mode")
    expect(page.locator("#sdk")).to_contain_text("inngest-wsgi 0")
    expect(page.locator("#server")).to_contain_text(f"The server at {server.url}")
    expect(page.locator("#server")).to_contain_text("the set-up looks right")
    facts = page.locator("#facts").inner_text()
    assert origin + "/api/inngest" in facts and server.url in facts
    assert "not set, and not needed in dev mode" in facts
    expect(page.locator("#functions-title")).to_have_text("4 functions")
    functions = page.locator("#functions").inner_text()
    for words in (
        "When shop/order.placed is sent, if event.data.total_cents > 0",
        "3: each step is tried up to 4 times",
        "At most 5 steps at once for each event.data.customer",
        "The function shop-place-order-failure runs, without retries",
        "Monday to Friday at 04:30 (Europe/Berlin)",
    ):
        assert words in functions


def test_the_app_is_synced(open_page, server, origin):
    page = settled(open_page(origin))
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Synced at")
    expect(page.locator("#facts")).to_contain_text("succeeded at")
    assert page.evaluate("document.activeElement.id") == "sync"


def test_an_event_is_sent_and_its_run_is_followed(open_page, server, origin):
    server.sync(origin + "/api/inngest")
    page = settled(open_page(origin))
    expect(page.locator("#event-hint")).to_have_text(
        "Starts Place an order, where the condition holds."
    )
    page.click("#send-button")
    expect(page.locator(".run .status")).to_have_text("Completed")
    expect(page.locator(".run h3")).to_have_text("Place an order")
    expect(page.locator(".run pre")).to_contain_text('"charged": 1')
    expect(page.locator("#sent")).to_contain_text("Place an order: completed.")
    expect(page.locator("#again")).to_be_hidden()
    no_violations(page)


def test_a_run_that_fails_says_why_and_is_text_not_markup(open_page, server, origin):
    server.sync(origin + "/api/inngest")
    page = settled(open_page(origin))
    page.get_by_role("button", name="Try it: Refund").click()
    assert page.evaluate("document.activeElement.id") == "event"
    page.keyboard.press("Control+Enter")
    expect(page.locator(".run .status")).to_have_text("Failed")
    expect(page.locator(".run pre")).to_contain_text("the <b>bank</b> said no")
    no_violations(page)


def test_functions_with_several_events_and_with_none(open_page, origin):
    page = settled(open_page(origin))
    expect(page.locator("#trigger-field")).to_be_hidden()
    page.select_option("#function", label="Send a receipt")
    assert page.locator("#trigger option").all_inner_texts() == [
        "shop/order.paid",
        "shop/receipt.requested",
    ]
    page.select_option("#trigger", label="shop/receipt.requested")
    assert json.loads(page.input_value("#event")) == {
        "name": "shop/receipt.requested",
        "data": {"customer": "example", "order_id": "example"},
    }
    page.select_option("#function", label="Count the stock")
    expect(page.locator("#no-event")).to_contain_text("Monday to Friday at 04:30 (Europe/Berlin)")
    expect(page.locator("#editor")).to_be_hidden()
    no_violations(page)


def test_the_text_in_the_editor_is_kept(open_page, origin):
    page = settled(open_page(origin))
    write(page, {"name": "mine"})
    page.click("#look")
    expect(page.locator("#look")).to_have_text("Check again")
    assert json.loads(page.input_value("#event")) == {"name": "mine"}
    expect(page.locator("#event-hint")).to_have_text("Starts no function of this app.")
    page.select_option("#function", label="Refund")
    assert json.loads(page.input_value("#event"))["name"] == "shop/refund"


def test_names_are_shown_as_text_not_markup(open_page, serve):
    evil = "<img src=x onerror=alert(1)>\u202eevil"
    client = inngest.Inngest(app_id="x<script>alert(2)</script>", is_production=False)
    trigger = inngest.TriggerEvent(event=evil, expression="event.data.x == '</script>'")
    function = client.create_function(fn_id=evil, name=evil, trigger=trigger)(print)
    page = settled(open_page(serve(inngest.serve(client, [function], base_url=NOWHERE))))
    expect(page.locator("#functions h3")).to_have_text(evil)
    expect(page.locator("h1")).to_have_text("x<script>alert(2)</script>")
    assert json.loads(page.input_value("#event")) == {"name": evil, "data": {"x": "</script>"}}
    assert page.locator("img").count() == 0


# -- what goes wrong -----------------------------------------------------


FAULTS = [
    ("", "Line 1, column 1: a value is missing here."),
    ('{\n  "name": "a",\n  "data": {"x": 1,}\n}', "Line 3, column 19: there must be no comma"),
    ('{"name": "a" "data": {}}', "Line 1, column 14: a comma or } is missing here."),
    ("{name: 1}", "Line 1, column 2: a name in double quotation marks is missing"),
    ("{'name': 1}", "Line 1, column 2: a name in double quotation marks is missing"),
    ('{"name" 1}', "Line 1, column 9: a colon is missing here."),
    ("{\"name\": 'a'}", "Line 1, column 10: text must be in double quotation marks."),
    ('{"name": "a}', "Line 1, column 13: a quotation mark is missing"),
    ('{"name": "a\\x"}', "Line 1, column 12: a backslash may stand before"),
    ('{"name": "a\nb"}', "Line 1, column 12: a quotation mark is missing"),
    ('{"name": nope}', "Line 1, column 10: this is not a JSON value."),
    ('{"name": 01}', "Line 1, column 10: this is not a JSON value."),
    ('{"data": [1, 2', "Line 1, column 15: a comma or ] is missing here."),
    ('{"name": "a"} x', "Line 1, column 15: the JSON has ended before this."),
    ('{"data": [1], "name": [{}\n' + "[" * 200000, "Line 2, column 1: a comma or ] is missing"),
    ('{"name":\n' + "[" * 200000, "Line 2, column 1000: it is nested too deeply"),
    ('{"name": "%s' % ("\\n" * 500000), "Line 1, column 1000011: a quotation mark is missing"),
    ("[" * 1000, "Line 1, column 1001: a value is missing here."),
    ('"a"', "An event is a JSON object"),
    ("[]", "An event is a JSON object"),
    ("{}", 'needs a "name"'),
    ('{"name": 1}', 'needs a "name"'),
    ('{"name": "a", "data": []}', '"data" must be a JSON object'),
    ('{"name": "inngest/function.failed"}', "the server's own"),
]


def test_an_invalid_event_is_reported_beside_the_editor(open_page, broken):
    page = settled(open_page(broken))
    sent = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request))
    event, fault = page.locator("#event"), page.locator("#event-fault")
    for text, words in FAULTS:
        write(page, text)
        page.click("#send-button")
        expect(fault).to_contain_text(words)
        expect(event).to_have_attribute("aria-invalid", "true")
        expect(event).to_be_focused()
        expect(event).to_have_accessible_description(fault.inner_text())
        write(page, '{"name": "b", "data": {"ok": [1, -2.5e+3, "\\u00e9", null, true, {}]}}')
        expect(fault).to_be_hidden()
        expect(event).to_have_attribute("aria-invalid", "false")
    assert sent == []


@pytest.mark.parametrize(
    "text, words",
    [
        # an error at the end, after the largest event that is allowed
        ("[" + "1," * (_events.MAX_EVENT_BYTES // 2 - 1), "a value is missing"),
        ('"' + "a" * (_events.MAX_EVENT_BYTES - 1), "a quotation mark is missing"),
        ("[" * _events.MAX_EVENT_BYTES, "nested too deeply"),
        ("1," * _events.MAX_EVENT_BYTES, "longer than 3 MiB"),
        ("1" * (_events.MAX_EVENT_BYTES + 1), "longer than 3 MiB"),
    ],
)
def test_a_large_event_does_not_block_the_page(open_page, broken, text, words):
    page = settled(open_page(broken))
    elapsed_ms, fault = page.evaluate(JUDGED, text)
    assert words in fault
    # what takes longer with the square of the length would take hours
    assert elapsed_ms < 60000


# without the time that the browser needs to show the text
JUDGED = """(text) => {
    const editor = document.getElementById("event");
    Object.defineProperty(editor, "value", {value: text});
    const began = performance.now();
    document.getElementById("send").requestSubmit();
    return [performance.now() - began, document.getElementById("event-fault").textContent];
}"""


def test_an_invalid_event_is_reported_while_typing(open_page, broken):
    page = settled(open_page(broken))
    page.locator("#event").press_sequentially("{")
    expect(page.locator("#event-fault")).to_be_visible()
    expect(page.locator("#event-hint")).to_be_empty()


def test_without_a_server_the_page_says_how_to_start_one(open_page, broken):
    page = settled(open_page(broken))
    expect(page.locator("#server")).to_contain_text("No server can be reached at " + NOWHERE)
    expect(page.locator("#problems")).to_contain_text("npx inngest-cli@latest dev -u http://app")
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Not synced. The Inngest API at " + NOWHERE)
    expect(page.locator("#problems")).to_contain_text("The last sync failed")
    page.click("#send-button")
    expect(page.locator("#sent")).to_contain_text("Not sent. 0 of 1 events were accepted")


def test_a_refusal_is_shown_in_the_servers_words(open_page, serve):
    refusing = Scripted((400, {"error": "<i>App</i> is not welcome"}))
    page = settled(open_page(serve(shop(serve(refusing)))))
    page.click("#sync")
    expect(page.locator("#synced")).to_have_text("Not synced. <i>App</i> is not welcome")
    page.click("#send-button")
    expect(page.locator("#sent")).to_contain_text("<i>App</i> is not welcome")


@pytest.fixture
def silent():
    """The origin of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_does_not_answer_is_reported(open_page, serve, silent, monkeypatch):
    monkeypatch.setattr(page_module, "_SEND_DEADLINE_S", 0.3)
    page = settled(open_page(serve(shop(silent, sync_timeout=300))))
    expect(page.locator("#server")).to_contain_text("No server can be reached at " + silent)
    for button, said in (("#send-button", "#sent"), ("#sync", "#synced")):
        page.click(button)
        expect(page.locator(said)).to_contain_text("no answer in time")
        expect(page.locator(button)).not_to_have_attribute("aria-disabled", "true")
    expect(page.locator("#sent")).to_contain_text("Not sent.")
    expect(page.locator("#synced")).to_contain_text("Not synced.")


def test_no_run_is_awaited_for_an_event_that_middleware_drops(open_page, serve):
    class Drop(inngest.Middleware):
        def before_send_events(self, events):
            events.clear()

    client = inngest.Inngest(app_id="x", is_production=False, middleware=[Drop])
    trigger = inngest.TriggerEvent(event="a")
    function = client.create_function(fn_id="f", trigger=trigger)(print)
    page = settled(open_page(serve(inngest.serve(client, [function], base_url=NOWHERE))))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.click("#send-button")
    expect(page.locator("#sent")).to_have_text("The client's middleware sent no event.")
    page.click("#look")
    expect(page.locator("#look")).to_have_text("Check again")
    assert len(asked) > 1 and "landing=runs" not in "".join(asked)


def test_query_parameters_are_kept(open_page, serve, unshared):
    """An application may be reachable only with its query parameters."""
    application, seen = shop(unshared.url), []

    def by_tenant(environ, start_response):
        query = Request(environ).args
        seen.append(query.to_dict(flat=False))
        found = application if query.get("tenant") == "a b&c" else Response("none", 404)
        return found(environ, start_response)

    tenant = {"tenant": ["a b&c"], "x": ["1", "2"]}
    # the page's own parameters are not taken from the address
    query = "?tenant=a%20b%26c&x=1&x=2&here=nowhere"
    page = settled(open_page(serve(by_tenant), query=query))
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Synced at")
    assert all({name: one[name] for name in tenant} == tenant for one in seen)
    assert {tuple(one.get("landing", ())) for one in seen} >= {("state",), ("server",), ("sync",)}


class Changing:
    """A WSGI application that can be replaced while it is being served."""

    def __init__(self, *applications):
        self.applications = itertools.cycle(applications)

    def __call__(self, environ, start_response):
        return next(self.applications)(environ, start_response)


def test_several_processes_with_different_secrets(open_page, serve, unshared):
    each = Changing(*[shop(unshared.url) for _ in range(3)])
    page = settled(open_page(serve(each), expected=["403"]))
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Synced at")
    page.click("#send-button")
    expect(page.locator("#sent")).to_contain_text("Sent, with the id")


def test_the_page_works_after_a_restart(open_page, serve, unshared):
    application = Changing(shop(unshared.url))
    page = settled(open_page(serve(application), expected=["403"]))
    application.applications = itertools.cycle([shop(unshared.url)])
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Synced at")


def test_a_page_with_expired_tokens(open_page, serve, unshared):
    application = shop(unshared.url)
    page = settled(open_page(serve(application), expected=["403"]))
    application._router._landing._tokens._age_s = -1
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Not synced. The page is too old.")
    expect(page.locator("#sync")).to_have_text("Sync app")


def test_the_application_has_stopped(open_page, server):
    with serving(shop(server.url)) as origin:
        page = settled(open_page(origin, expected=["ERR_CONNECTION", "ERR_EMPTY_RESPONSE"]))
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Not synced. This app does not answer")
    page.click("#look")
    expect(page.locator("#server")).to_contain_text("This app does not answer")


def test_an_answer_that_is_not_from_the_app(open_page, serve):
    def application(environ, start_response):
        if environ["QUERY_STRING"]:
            return Response("<h1>Sign in</h1>", 502)(environ, start_response)
        return shop(NOWHERE)(environ, start_response)

    page = open_page(serve(application), expected=["502"])
    expect(page.locator("#wait")).to_contain_text("The answer is not from this app")
    expect(page.locator("#main")).to_be_hidden()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    no_violations(page)


def test_the_page_stops_waiting_for_a_run_that_does_not_start(open_page, serve):
    quiet = Quiet()
    server = serve(quiet)
    page = open_page(serve(shop(server)))
    page.clock.install()
    page.reload()
    settled(page)
    page.click("#send-button")
    expect(page.locator("#sent")).to_contain_text("Waiting for a run.")
    again = page.locator("#again-button")
    for _ in range(40):
        if again.is_visible():
            break
        page.clock.run_for(3000)
    expect(page.locator("#sent")).to_contain_text("No run was started. Is the app synced")
    quiet.runs = [dict(ENDED, status="Completed", output=1)]
    again.click()
    expect(page.locator(".run .status")).to_have_text("Completed")
    link = page.locator(".run a")
    expect(link).to_have_attribute("href", server + "/run?runID=01RUN")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    no_violations(page)


def test_a_run_keeps_its_function_name_across_processes(open_page, serve):
    """Also if another process than the one that serves the page got the run's calls."""
    quiet = Quiet()
    quiet.runs = [{"run_id": "01RUN", "status": "Running"}]
    application = shop(serve(quiet))
    known = application._router._landing._runs._known
    page = settled(open_page(serve(application)))
    page.click("#send-button")
    expect(page.locator("#sent")).to_contain_text("A run: running.")
    known["01RUN"] = "shop-place-order"
    expect(page.locator("#sent")).to_contain_text("Place an order: running.")
    known.clear()
    quiet.runs = [dict(ENDED, status="Completed")]
    expect(page.locator("#sent")).to_contain_text(": completed.")
    expect(page.locator("#sent")).to_contain_text("Place an order: completed.")
    expect(page.locator(".run h3")).to_have_text("Place an order")


@pytest.mark.parametrize("end", ["Failed", "Cancelled", "Completed"])
@pytest.mark.parametrize("step", ["Completed", "Failed"])
def test_a_run_is_watched_until_it_ends(open_page, serve, step, end):
    """A server lists a run with the status of its last step, as recorded from
    a dev server, and for a moment after its end too."""
    quiet = Quiet()
    quiet.runs = [{"run_id": "01RUN", "status": step, "ended_at": None}]
    quiet.run = {"run_id": "01RUN", "status": "Running", "ended_at": None}
    page = open_page(serve(shop(serve(quiet))))
    page.clock.install()
    page.reload()
    settled(page)
    page.click("#send-button")
    status = page.locator(".run .status")
    expect(status).to_have_text("Running")
    # long after the time for which a page waits for a run to start
    page.clock.run_for(600000)
    expect(status).to_have_text("Running")
    asked = quiet.asked
    page.clock.run_for(20000)
    while quiet.asked == asked:
        page.clock.run_for(5000)
    expect(page.locator("#again")).to_be_hidden()
    quiet.run = dict(ENDED, status=end, output={"name": "E", "message": "the end"})
    for _ in range(40):
        if status.text_content() != "Running":
            break
        page.clock.run_for(5000)
    expect(status).to_have_text(end)
    expect(page.locator("#sent")).to_contain_text(f"A run: {end.lower()}.")
    expect(page.locator(".run pre")).to_have_count(0 if end == "Cancelled" else 1)
    expect(page.locator("#sent.bad-text")).to_have_count(1 if end == "Failed" else 0)
    no_violations(page)


def test_a_run_that_fails_after_steps_and_retries_is_shown_as_failed(open_page, serve):
    client = inngest.Inngest(app_id="shop", is_production=False)

    @client.create_function(
        fn_id="fails", trigger=inngest.TriggerEvent(event="shop/fails"), retries=1
    )
    def fails(ctx):
        ctx.step.run("works", lambda: 1)
        ctx.step.sleep("a-moment", 300)

        def charge():
            raise ValueError("the bank said no")

        ctx.step.run("charge", charge)

    with LocalServer(retry_interval=0.3) as server:
        page = settled(open_page(serve(inngest.serve(client, [fails], base_url=server.url))))
        page.click("#sync")
        expect(page.locator("#synced")).to_contain_text("Synced at")
        page.click("#send-button")
        expect(page.locator(".run .status")).to_have_text("Failed")
        expect(page.locator("#sent")).to_contain_text("fails: failed.")
        expect(page.locator(".run pre")).to_contain_text("the bank said no")


#: A run as a server gives it at its end.
ENDED = {"run_id": "01RUN", "ended_at": "2026-11-25T16:25:11.174Z"}


class Quiet:
    """A server that accepts every request, has pages of runs, and starts no run.

    :ivar asked: how often it was asked for the run
    """

    def __init__(self):
        self.runs = []
        self.run = None
        self.asked = 0

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/run":
            response = Response("<!doctype html>", content_type="text/html")
        elif path.endswith("/runs"):
            response = Response(json.dumps({"data": self.runs}))
        elif path.startswith("/v1/runs/") and self.run is not None:
            self.asked += 1
            response = Response(json.dumps({"data": self.run}))
        else:
            response = Response(json.dumps({"ids": ["01EVENT"], "status": 200}))
        response.headers["X-Inngest-Server-Kind"] = "dev"
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return response(environ, start_response)


# -- for everybody -------------------------------------------------------


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_the_page_is_accessible(open_page, server, origin, broken, view):
    page = settled(open_page(origin, **VIEWS[view]))
    fits(page)
    page.click("#sync")
    expect(page.locator("#synced")).to_contain_text("Synced at")
    page.click("#send-button")
    expect(page.locator(".run .status")).to_have_text("Completed")
    fits(page)
    no_violations(page)

    page = settled(open_page(broken, **VIEWS[view]))
    page.click("#sync")
    expect(page.locator("#problems")).to_contain_text("The last sync failed")
    write(page, '{"name": "%s", "data": [' % ("x" * 300))
    page.click("#send-button")
    expect(page.locator("#event-fault")).to_be_visible()
    fits(page)
    no_violations(page)


def fits(page):
    """Assert that nothing is wider than the window."""
    assert (
        page.evaluate("""() => {
        const width = document.documentElement.clientWidth;
        return [...document.querySelectorAll("body *")].filter((element) =>
            element.getBoundingClientRect().right > width + 0.5
            || element.scrollWidth > element.clientWidth + 1
               && !["TEXTAREA", "SELECT"].includes(element.tagName)
               && getComputedStyle(element).display !== "inline"
        ).map((element) => element.outerHTML.slice(0, 100));
    }""")
        == []
    )


def test_the_page_can_be_used_with_the_keyboard_only(open_page, server, origin):
    server.sync(origin + "/api/inngest")
    page = settled(open_page(origin))

    def to(name):
        """Press Tab until this element has the focus, at most a few times."""
        for _ in range(8):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "document.activeElement.id || document.activeElement.ariaLabel"
            )
            if focused == name:
                outline = "getComputedStyle(document.activeElement).outlineStyle"
                assert page.evaluate(outline) == "solid"
                return
        raise AssertionError(f"{name} is not reached, but {focused}")

    to("look")
    page.keyboard.press("Enter")
    expect(page.locator("#look")).to_have_text("Check again")
    assert page.evaluate("document.activeElement.id") == "look"
    for name in ("Place an order", "Send a receipt", "Count the stock", "Refund"):
        to("Try it: " + name)
    to("function")
    page.keyboard.press("Home")
    to("event")
    page.keyboard.press("Control+a")
    page.keyboard.type('{"name": "shop/order.paid"')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#event-fault")).to_contain_text("a comma or } is missing")
    page.keyboard.type("}")
    to("send-button")
    page.keyboard.press("Space")
    expect(page.locator(".run .status")).to_have_text("Completed")
    expect(page.locator(".run h3")).to_have_text("Send a receipt")
    assert page.evaluate("document.activeElement.id") == "send-button"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "PRE"
    to("sync")
    page.keyboard.press("Enter")
    expect(page.locator("#synced")).to_contain_text("Synced at")


def test_changes_are_announced_to_screen_readers(open_page, origin):
    """The live regions must exist before their text changes."""
    page = open_page(origin)
    for name in ("server", "sent", "synced", "wait"):
        assert page.locator("#" + name).get_attribute("role") == "status"


def test_without_javascript_the_page_says_what_to_do(open_page, origin):
    page = open_page(origin, java_script_enabled=False)
    assert "curl -H 'Accept: application/json'" in page.locator("noscript").inner_text()


def test_another_origin_can_neither_read_the_page_nor_act(chromium):
    """Even a page of another site in the same browser that has a valid token."""
    other = Response("<p>evil</p>", mimetype="text/html")
    with LocalServer() as server, contextlib.ExitStack() as stack:
        application = shop(server.url)
        origin, evil = (stack.enter_context(serving(app)) for app in (application, other))
        server.sync(origin + "/api/inngest")
        token = Client(application).get("/?landing=state").get_json()["token"]
        context = chromium.new_context()
        page = context.new_page()
        page.goto(evil.replace("127.0.0.1", "localhost"))
        answers = page.evaluate(ATTACKS, [origin + "/api/inngest?landing=", token])
        assert answers == ["refused"] * 6
        context.close()
        assert server.runs() == []
        # the same request from the endpoint's own page is carried out
        sent = Client(application).post(
            "/?landing=send",
            json={"tokens": [token], "event": {"name": "shop/refund"}},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert server.wait_for_run(sent.get_json()["ids"][0]).status == "Failed"


ATTACKS = """async ([url, token]) => {
    const body = JSON.stringify({tokens: [token], event: {name: "shop/refund"}});
    const headers = {"Content-Type": "application/json"};
    const found = [];
    for (const [what, options] of [
        ["send", {method: "POST", body}],
        ["send", {method: "POST", body, mode: "no-cors"}],
        ["send", {method: "POST", body, headers}],
        ["send", {method: "POST", body, headers, mode: "no-cors"}],
        ["state", {}],
        ["state", {mode: "no-cors"}],
    ]) {
        try { found.push((await fetch(url + what, options)).type); }
        catch (error) { found.push("refused"); }
    }
    return found;
}"""
