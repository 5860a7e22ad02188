"""The endpoint of a shop, and the browser in which its dev page is tested."""

import contextlib
import shutil

from playwright.sync_api import sync_playwright

import inngest_wsgi as inngest

#: Debian's; it makes no requests of its own with these.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def shop(server, app_id="shop", dead=False, **serve):
    """Return the endpoint of the shop, configured for a server at this origin."""
    client = inngest.Inngest(app_id=app_id, app_version="2026.4", is_production=False)

    @client.create_function(
        fn_id="place-order",
        name="Place an order",
        trigger=inngest.TriggerEvent(
            event="shop/order.placed", expression="event.data.total_cents > 0"
        ),
        retries=3,
        concurrency=[inngest.Concurrency(limit=5, key="event.data.customer")],
        cancel=[
            inngest.Cancel(
                event="shop/order.cancelled",
                if_exp="event.data.order_id == async.data.order_id",
                timeout="1d",
            )
        ],
        on_failure=lambda ctx: None,
    )
    def place_order(ctx):
        order = ctx.step.run("load-order", lambda: dict(ctx.event.data))
        ctx.step.sleep("let-them-settle", 50)
        return ctx.step.run("charge", lambda: {"charged": order["total_cents"], "order": order})

    @client.create_function(
        fn_id="send-receipt",
        name="Send a receipt",
        trigger=[
            inngest.TriggerEvent(event="shop/order.paid"),
            inngest.TriggerEvent(event="shop/receipt.requested"),
        ],
        rate_limit=inngest.RateLimit(limit=10, period="1m", key="event.data.customer"),
        idempotency="event.data.order_id",
    )
    def send_receipt(ctx):
        return "sent"

    @client.create_function(
        fn_id="count-stock",
        name="Count the stock",
        trigger=inngest.TriggerCron(cron="TZ=Europe/Berlin 30 4 * * 1-5"),
        timeouts=inngest.Timeouts(finish="2h"),
        singleton=inngest.Singleton(mode="skip"),
    )
    def count_stock(ctx):
        return None

    @client.create_function(
        fn_id="refund", name="Refund", trigger=inngest.TriggerEvent(event="shop/refund"), retries=0
    )
    def refund(ctx):
        raise inngest.NonRetriableError("the <b>bank</b> said no")

    functions = [place_order, send_receipt, count_stock, refund]
    return inngest.serve(client, functions, base_url=server, **serve)


@contextlib.contextmanager
def browser():
    path = shutil.which("chromium")
    assert path, "chromium is not here; on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


def settled(page):
    """Wait until the page shows the state of the server; return the page."""
    page.wait_for_selector("#server.good, #server.bad, #server:not([class]) >> text=at")
