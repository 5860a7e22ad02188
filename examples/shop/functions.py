"""The durable functions of the shop, and their steps.

``fulfil_order`` is the one to begin with. An order of more than 100.00 waits until
somebody approves it on a page. The card is charged, each piece is packed by a run of its
own, and the customer gets a mail. The office gets one if that fails for good, and every
morning one for each order that still waits.
"""

import functools
from typing import Any, Dict, List, Optional

import sqlalchemy as sa

import inngest_wsgi as inngest

from .models import Charge, Mail, Order, Parcel, database

#: In cents; an order that costs more has to be approved.
LIMIT = 10_000

client = inngest.Inngest(app_id="shop")


# -- an order ----------------------------------------------------------------


def tell_of_failure(ctx: inngest.Context) -> str:
    """Tell the office that an order could not be fulfilled. Called when a run has failed
    for good; its event has the run's own event and error."""
    order_id = ctx.event.data["event"]["data"]["order_id"]
    text = f"Order {order_id} failed: {ctx.event.data['error']['message']}"
    return ctx.step.run("tell-the-office", send_mail, order_id, "office", text, "failed")


@client.create_function(
    fn_id="fulfil-order",
    name="Fulfil an order",
    trigger=inngest.TriggerEvent(event="shop/order.placed"),
    on_failure=tell_of_failure,
    retries=3,
)
def fulfil_order(ctx: inngest.Context) -> str:
    order = ctx.step.run("load-order", load_order, ctx.event.data["order_id"])
    if order["price"] > LIMIT and not is_approved(ctx, order):
        text = f"We are sorry: order {order['id']} was not approved"
        return ctx.step.run("reject", send_mail, order["id"], "customer", text, "rejected")
    ctx.step.run("charge", lambda: charge(order, ctx.attempt))
    # fan-out: a run for each piece, all at once, and this run waits for them
    ctx.group.parallel(
        tuple(
            functools.partial(
                ctx.step.invoke,
                f"pack-{piece}",
                function=pack_piece,
                data={"order_id": order["id"], "piece": piece},
            )
            for piece in range(1, order["pieces"] + 1)
        )
    )
    ctx.step.sleep("wait-for-the-courier", "1s")
    text = f"Order {order['id']} ({order['item']}) is on its way"
    return ctx.step.run("confirm", send_mail, order["id"], "customer", text, "on its way")


def is_approved(ctx: inngest.Context, order: Dict[str, Any]) -> bool:
    """Wait until somebody has decided on an order, three days at most.

    The server waits for the event before the order is on the page of those to be
    approved: so nobody can be faster than the wait.
    """
    decision, _ = ctx.group.parallel(
        (
            lambda: ctx.step.wait_for_event(
                "decision",
                event="shop/order.decided",
                if_exp="event.data.order_id == async.data.order_id",
                timeout="3d",
            ),
            lambda: ctx.step.run("ask-for-approval", set_status, order["id"], "to be approved"),
        )
    )
    return decision is not None and bool(decision.data["approved"])


@client.create_function(
    fn_id="pack-piece",
    name="Pack one piece",
    # nothing but the invoke above starts it
    trigger=inngest.TriggerEvent(event="shop/piece.wanted"),
    # there are two people who pack
    concurrency=[inngest.Concurrency(limit=2)],
)
def pack_piece(ctx: inngest.Context) -> str:
    return ctx.step.run("pack", pack, ctx.event.data["order_id"], ctx.event.data["piece"])


# -- every morning -------------------------------------------------------------


@client.create_function(
    fn_id="remind",
    name="Remind of orders to be approved",
    trigger=inngest.TriggerCron(cron="TZ=Europe/Berlin 0 8 * * 1-5"),
)
def remind(ctx: inngest.Context) -> int:
    orders = ctx.step.run("find-orders", orders_to_be_approved)
    # fan-out: an event for each order, and nobody waits for the runs that they start
    if orders:
        ctx.step.send_event(
            "send-events",
            [inngest.Event("shop/order.forgotten", {"order_id": each}) for each in orders],
        )
    return len(orders)


@client.create_function(
    fn_id="remind-of-order",
    name="Remind of one order",
    trigger=inngest.TriggerEvent(event="shop/order.forgotten"),
)
def remind_of_order(ctx: inngest.Context) -> str:
    order_id = ctx.event.data["order_id"]
    text = f"Order {order_id} is still to be approved"
    return ctx.step.run("remind", send_mail, order_id, "office", text)


FUNCTIONS = [fulfil_order, pack_piece, remind, remind_of_order]


# -- the steps -----------------------------------------------------------------


class GatewayBusy(Exception):
    """The payment gateway accepts no call at the moment."""


def load_order(order_id: int) -> Dict[str, Any]:
    order = database.session.get(Order, order_id)
    if order is None:
        # to try it again is of no use
        raise inngest.NonRetriableError(f"there is no order {order_id}")
    return {
        "id": order.id,
        "item": order.item,
        "pieces": order.pieces,
        "price": order.price,
        "card": order.card,
    }


def charge(order: Dict[str, Any], attempt: int) -> None:
    """Charge the card.

    The gateway of this shop is busy at the first attempt, so that there is a retry to be
    seen. What the step has written by then is rolled back. A real gateway would be given
    the order's number as its idempotency key.
    """
    database.session.add(Charge(order_id=order["id"], amount=order["price"]))
    set_status(order["id"], "charged")
    if attempt == 0:
        raise GatewayBusy("the payment gateway is busy")
    if order["card"] != "good":
        raise inngest.NonRetriableError("the card was declined")


def pack(order_id: int, piece: int) -> str:
    database.session.add(Parcel(order_id=order_id, piece=piece))
    return f"piece {piece} of order {order_id} is packed"


def send_mail(order_id: int, recipient: str, text: str, status: Optional[str] = None) -> str:
    """Store a mail, and with it the order's new status."""
    database.session.add(Mail(order_id=order_id, recipient=recipient, text=text))
    if status is not None:
        set_status(order_id, status)
    return text


def set_status(order_id: int, status: str) -> None:
    database.session.get_one(Order, order_id).status = status


def orders_to_be_approved() -> List[int]:
    """Return the numbers of the orders that wait for somebody's decision."""
    wanted = sa.select(Order.id).where(Order.status == "to be approved").order_by(Order.id)
    return list(database.session.scalars(wanted))
