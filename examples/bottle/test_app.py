"""Tests of the shop in Bottle; in this folder: python -m pytest"""

import re
from typing import List, Tuple

import app
import pytest
from shop import orders
from werkzeug import Response
from werkzeug.test import Client

from inngest_wsgi.testing import TestServer


@pytest.fixture
def site(inngest_server: TestServer) -> Client:
    inngest_server.serve(app.application)
    return Client(app.application)


def send(site: Client, page: str, path: str, **fields: str) -> Response:
    """Send a form, with the token that its page has."""
    html = site.get(page).get_data(as_text=True)
    token = re.findall('name="csrf_token" value="(.*?)"', html)[0]
    return site.post(path, data={"csrf_token": token, **fields})


def order(site: Client, **fields: str) -> None:
    form = {"item": "a teapot", "pieces": "2", "price": "2599", "card": "good", **fields}
    answer = send(site, "/", "/orders", **form)
    assert answer.status_code == 303, answer.data


def texts() -> List[Tuple[str, str]]:
    return [(mail.recipient, mail.text) for mail in reversed(orders.mails())]


def test_an_order_is_charged_packed_and_sent(site: Client, inngest_server: TestServer) -> None:
    order(site)
    run = inngest_server.run("fulfil-order")
    inngest_server.run_until_idle()  # over the retry of the charge, and the courier
    assert run.result() == "Order 1 (a teapot) is on its way"
    assert run.step("charge").attempts == 2  # the gateway is busy at first
    assert [pack.output for pack in inngest_server.runs("pack-piece")] == [
        "piece 1 of order 1 is packed",
        "piece 2 of order 1 is packed",
    ]
    assert texts() == [("customer", "Order 1 (a teapot) is on its way")]
    assert "on its way" in site.get("/").get_data(as_text=True)


@pytest.mark.parametrize(
    "decision, status, text",
    [
        ("approve", "on its way", "Order 1 (a piano) is on its way"),
        ("reject", "rejected", "We are sorry: order 1 was not approved"),
    ],
)
def test_an_order_that_somebody_decides_on(
    site: Client, inngest_server: TestServer, decision: str, status: str, text: str
) -> None:
    order(site, item="a piano", price="250000")
    inngest_server.advance("1d")
    assert inngest_server.run("fulfil-order").status == "Running"
    assert send(site, "/approvals", "/approvals/1", decision=decision).status_code == 303
    assert "None." in site.get("/approvals").get_data(as_text=True)
    inngest_server.run_until_idle()
    assert inngest_server.run("fulfil-order").result() == text
    assert [each.status for each in orders.orders()] == [status]


@pytest.mark.inngest(start="2030-01-07")  # a Monday
def test_an_order_that_nobody_decides_on(site: Client, inngest_server: TestServer) -> None:
    order(site, price="250000")
    inngest_server.advance("4d")
    assert texts() == [
        # at eight o'clock, of three days
        ("office", "Order 1 is still to be approved"),
        ("office", "Order 1 is still to be approved"),
        ("office", "Order 1 is still to be approved"),
        ("customer", "We are sorry: order 1 was not approved"),
    ]


def test_a_reminder_for_each_order(site: Client, inngest_server: TestServer) -> None:
    for price in ("250000", "250000", "2599"):
        order(site, price=price)
    inngest_server.advance("1m")
    inngest_server.fire_cron("remind")
    assert inngest_server.run("remind").output == 2
    assert sorted(run.output for run in inngest_server.runs("remind-of-order")) == [
        "Order 1 is still to be approved",
        "Order 2 is still to be approved",
    ]


def test_the_office_is_told_of_an_order_that_failed(
    site: Client, inngest_server: TestServer
) -> None:
    order(site, card="declined")
    inngest_server.run_until_idle()
    assert inngest_server.run("fulfil-order").status == "Failed"
    assert texts() == [("office", "Order 1 failed: the card was declined")]


def test_a_form_without_a_token_is_refused(site: Client, inngest_server: TestServer) -> None:
    form = {"item": "a teapot", "pieces": "2", "price": "2599", "card": "good"}
    assert site.post("/orders", data=form).status_code == 403
    assert site.post("/approvals/1", data={"decision": "approve"}).status_code == 403
    assert orders.orders() == []


@pytest.mark.parametrize(
    "field, value", [("item", " "), ("price", "0"), ("price", "²"), ("pieces", "1e3")]
)
def test_an_order_that_is_no_order(site: Client, field: str, value: str) -> None:
    form = {"item": "a teapot", "pieces": "2", "price": "2599", "card": "good", field: value}
    assert send(site, "/", "/orders", **form).status_code == 400
    assert orders.orders() == []


def test_an_order_is_decided_on_once(site: Client, inngest_server: TestServer) -> None:
    order(site, price="250000")
    inngest_server.advance("1h")
    for status in (303, 409):
        assert send(site, "/", "/approvals/1", decision="approve").status_code == status
    # two people at the same moment: the event's id lets the first one count
    inngest_server.send("shop/order.decided", {"order_id": 1, "approved": False}, id="decision-1")
    inngest_server.run_until_idle()
    assert inngest_server.run("fulfil-order").result() == "Order 1 (a teapot) is on its way"


def test_an_order_that_nobody_stored(site: Client, inngest_server: TestServer) -> None:
    run = inngest_server.send("shop/order.placed", {"order_id": 404}).run("fulfil-order")
    assert run.status == "Failed", run
    assert run.step("load-order").attempts == 1  # tried once, because of NonRetriableError


def test_an_order_whose_event_is_sent_twice(site: Client, inngest_server: TestServer) -> None:
    order(site)
    inngest_server.send("shop/order.placed", {"order_id": 1}, id="order-1")
    assert len(inngest_server.runs("fulfil-order")) == 1
