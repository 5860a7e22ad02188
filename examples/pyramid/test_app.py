"""Tests of the shop in Pyramid; in this folder: python -m pytest"""

from typing import Any

import app
import pytest
from shop import orders
from webtest import TestApp

from inngest_wsgi.testing import TestServer


@pytest.fixture
def site(inngest_server: TestServer) -> TestApp:
    site = TestApp(app.application)
    inngest_server.serve(site)
    return site


def order(site: TestApp, **fields: str) -> Any:
    form = site.get("/").form
    for name, value in fields.items():
        form[name] = value
    return form.submit(status=303)


def test_an_order_is_charged_packed_and_sent(site: TestApp, inngest_server: TestServer) -> None:
    order(site)
    inngest_server.run_until_idle()
    run = inngest_server.run("fulfil-order")
    assert run.result() == "Order 1 (a teapot) is on its way"
    assert len(inngest_server.runs("pack-piece")) == 2
    assert "on its way" in site.get("/")


@pytest.mark.parametrize("decision, status", [("approve", "on its way"), ("reject", "rejected")])
def test_an_order_that_somebody_decides_on(
    site: TestApp, inngest_server: TestServer, decision: str, status: str
) -> None:
    order(site, price="250000")
    inngest_server.advance("1d")
    form = site.get("/approvals").form
    form.submit("decision", value=decision, status=303)
    inngest_server.run_until_idle()
    assert [each.status for each in orders.orders()] == [status]
    # the button once more
    form.submit("decision", value=decision, status=409)


def test_a_form_without_a_token_is_refused(site: TestApp) -> None:
    form = {"item": "a teapot", "pieces": "2", "price": "2599", "card": "good"}
    site.post("/orders", form, status=400)
    site.post("/approvals/1", {"decision": "approve"}, status=400)
    assert orders.orders() == []


def test_an_order_that_is_no_order(site: TestApp) -> None:
    form = site.get("/").form
    form["item"] = ""
    form.submit(status=400)
