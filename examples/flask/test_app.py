"""Tests of the shop in Flask; in this folder: python -m pytest"""

import re

import app
import pytest
from shop import orders
from werkzeug import Response
from werkzeug.test import Client

from inngest_wsgi.testing import TestServer


@pytest.fixture
def site(inngest_server: TestServer) -> Client:
    site = app.application.test_client()
    inngest_server.serve(site)
    return site


def send(site: Client, page: str, path: str, **fields: str) -> Response:
    """Send a form, with the token that its page has."""
    html = site.get(page).get_data(as_text=True)
    token = re.findall('name="csrf_token" value="(.*?)"', html)[0]
    return site.post(path, data={"csrf_token": token, **fields})


def order(site: Client, **fields: str) -> None:
    form = {"item": "a teapot", "pieces": "2", "price": "2599", "card": "good", **fields}
    answer = send(site, "/", "/orders", **form)
    assert answer.status_code == 303, answer.data


def test_an_order_is_charged_packed_and_sent(site: Client, inngest_server: TestServer) -> None:
    order(site)
    inngest_server.run_until_idle()
    run = inngest_server.run("fulfil-order")
    assert run.result() == "Order 1 (a teapot) is on its way"
    assert len(inngest_server.runs("pack-piece")) == 2
    assert "on its way" in site.get("/").get_data(as_text=True)


@pytest.mark.parametrize("decision, status", [("approve", "on its way"), ("reject", "rejected")])
def test_an_order_that_somebody_decides_on(
    site: Client, inngest_server: TestServer, decision: str, status: str
) -> None:
    order(site, price="250000")
    inngest_server.advance("1d")
    assert send(site, "/approvals", "/approvals/1", decision=decision).status_code == 303
    inngest_server.run_until_idle()
    assert [each.status for each in orders.orders()] == [status]
    assert send(site, "/", "/approvals/1", decision=decision).status_code == 409


def test_a_form_without_a_token_is_refused(site: Client) -> None:
    form = {"item": "a teapot", "pieces": "2", "price": "2599", "card": "good"}
    assert site.post("/orders", data=form).status_code == 400
    assert site.post("/approvals/1", data={"decision": "approve"}).status_code == 400
    assert orders.orders() == []


def test_an_order_that_is_no_order(site: Client) -> None:
    assert send(site, "/", "/orders", item="", pieces="1", price="1").status_code == 400
