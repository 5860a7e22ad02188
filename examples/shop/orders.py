"""What the pages do: place orders, list them, and decide on those to be approved."""

from typing import List, Mapping

import sqlalchemy as sa

import inngest_wsgi as inngest

from .functions import client
from .models import Mail, Order, transaction


def place(form: Mapping[str, str]) -> None:
    """Store an order, and start the function that fulfils it.

    :param form: the fields that were sent, as texts
    :raises ValueError: says what is wrong with a field
    """
    order = order_of(form)
    with transaction() as session:
        session.add(order)
    # After the commit: the first step reads the row. Because of the event's id, an event
    # that is sent twice starts one run.
    client.send(
        inngest.Event(
            name="shop/order.placed", id=f"order-{order.id}", data={"order_id": order.id}
        )
    )


def order_of(form: Mapping[str, str]) -> Order:
    item = (form.get("item") or "").strip()
    if not item:
        raise ValueError("An order has an item.")
    return Order(
        item=item,
        pieces=number(form, "pieces", 1, 9),
        price=number(form, "price", 1, 1_000_000),
        card="good" if form.get("card") == "good" else "declined",
    )


def number(form: Mapping[str, str], field: str, least: int, most: int) -> int:
    text = form.get(field) or ""
    # isdecimal() is true of other digits than 0 to 9 too
    if text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most:
        return int(text[:9])
    raise ValueError(f"The field {field} is a whole number from {least} to {most}.")


def decide(order_id: int, approved: bool) -> None:
    """Resume the run that waits for the decision on an order.

    :raises LookupError: the order is not to be approved
    """
    with transaction() as session:
        order = session.get(Order, order_id)
        if order is None or order.status != "to be approved":
            raise LookupError(f"Order {order_id} is not to be approved.")
    # If the page is sent twice, or two people decide, the id lets the first event count.
    client.send(
        inngest.Event(
            name="shop/order.decided",
            id=f"decision-{order_id}",
            data={"order_id": order_id, "approved": approved},
        )
    )
    with transaction() as session:
        session.execute(
            sa.update(Order)
            .where(Order.id == order_id, Order.status == "to be approved")
            .values(status="decided")
        )


def orders() -> List[Order]:
    """Return all orders, the newest first."""
    with transaction() as session:
        return list(session.scalars(sa.select(Order).order_by(Order.id.desc())))


def to_be_approved() -> List[Order]:
    return [order for order in orders() if order.status == "to be approved"]


def mails() -> List[Mail]:
    """Return all mails, the newest first."""
    with transaction() as session:
        return list(session.scalars(sa.select(Mail).order_by(Mail.id.desc())))
