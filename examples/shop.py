"""The shop: its database, and the function that fulfils an order.

Nothing here knows of a web framework; ``bottle/`` and ``pyramid/`` beside this
file are two sites of the same shop.

No table has a constraint that would hide a step that runs twice: it would leave
two rows.
"""

import contextlib
import os
import sqlite3

import inngest_wsgi as inngest

DATABASE = os.environ.get("SHOP_DATABASE", "shop.sqlite3")

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, item TEXT NOT NULL, price INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS charges (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, amount INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS confirmations (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, charge_id INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_calls (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL
);
"""

client = inngest.Inngest(app_id="shop")


@contextlib.contextmanager
def database():
    """Yield a connection; commit at the end unless an exception is raised."""
    connection = sqlite3.connect(DATABASE, timeout=10)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def create_tables():
    with database() as connection:
        connection.executescript(SCHEMA)


# -- for the pages ---------------------------------------------------------


def place_order(item, price):
    """Store an order, and start the function that fulfils it.

    :param price: in cents
    :returns: the ids of the order and of the event
    """
    with database() as connection:
        added = connection.execute("INSERT INTO orders (item, price) VALUES (?, ?)", (item, price))
        order_id = added.lastrowid
    # because of the event's id, an event that is sent twice starts one run
    (event_id,) = client.send(
        inngest.Event(
            name="shop/order.placed",
            id=f"order-{order_id}",
            data={"order_id": order_id},
        )
    )
    return order_id, event_id


def list_orders():
    """Return all orders, each with the numbers of its charges and confirmations."""
    with database() as connection:
        return connection.execute(
            "SELECT id, item, price,"
            " (SELECT count(*) FROM charges WHERE order_id = orders.id),"
            " (SELECT count(*) FROM confirmations WHERE order_id = orders.id)"
            " FROM orders ORDER BY id"
        ).fetchall()


# -- the steps -------------------------------------------------------------


class GatewayBusy(Exception):
    """The payment gateway accepts no call at the moment."""


def load_order(order_id):
    with database() as connection:
        row = connection.execute(
            "SELECT id, item, price FROM orders WHERE id = ?", (order_id,)
        ).fetchone()
    if row is None:
        raise inngest.NonRetriableError(f"there is no order {order_id}")
    return {"id": row[0], "item": row[1], "price": row[2]}


def charge(order):
    """Charge the card.

    The gateway of this shop is busy at the first call for each order, so that
    the demo shows a retry.
    """
    with database() as connection:
        connection.execute("INSERT INTO gateway_calls (order_id) VALUES (?)", (order["id"],))
        (calls,) = connection.execute(
            "SELECT count(*) FROM gateway_calls WHERE order_id = ?", (order["id"],)
        ).fetchone()
    if calls == 1:
        raise GatewayBusy("the payment gateway is busy")
    with database() as connection:
        charged = connection.execute(
            "INSERT INTO charges (order_id, amount) VALUES (?, ?)", (order["id"], order["price"])
        )
        return {"charge_id": charged.lastrowid, "amount": order["price"]}


def confirm(order, charged):
    with database() as connection:
        connection.execute(
            "INSERT INTO confirmations (order_id, charge_id) VALUES (?, ?)",
            (order["id"], charged["charge_id"]),
        )
    return "order {id} ({item}) is on its way".format(**order)


@client.create_function(
    fn_id="fulfil-order",
    name="Fulfil an order",
    trigger=inngest.TriggerEvent(event="shop/order.placed"),
    retries=3,
)
def fulfil_order(ctx: inngest.Context):
    order = ctx.step.run("load-order", load_order, ctx.event.data["order_id"])
    charged = ctx.step.run("charge", charge, order)
    ctx.step.sleep("wait-for-packing", "3s")
    return ctx.step.run("confirm", confirm, order, charged)


endpoint = inngest.serve(client=client, functions=[fulfil_order])
