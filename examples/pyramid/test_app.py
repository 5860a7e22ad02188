"""Tests of the shop in Pyramid; in this folder: python -m pytest"""

import app
import pytest
from webtest import TestApp


@pytest.fixture
def site(inngest_server):
    site = TestApp(app.application)
    inngest_server.serve(site)
    return site


def test_an_order_is_charged_and_confirmed_once(site, inngest_server):
    answer = site.post("/orders", {"item": "a teapot", "price": "2599"}, status=201)
    inngest_server.run_until_idle()
    run = inngest_server.run("fulfil-order")
    assert run.result() == "order 1 (a teapot) is on its way"
    assert run.event.data == {"order_id": answer.json["order_id"]}
    assert "charged 1, confirmed 1" in site.get("/")


def test_an_order_that_is_cancelled_while_it_is_packed(site, inngest_server):
    inngest_server.stub("charge", {"charge_id": 7, "amount": 2599})
    site.post("/orders", {"item": "a teapot", "price": "2599"})
    run = inngest_server.run("fulfil-order")
    inngest_server.advance("2s")
    inngest_server.cancel(run)
    inngest_server.advance("1h")
    assert run.status == "Cancelled", run
    assert "confirmed 0" in site.get("/")


def test_an_order_that_nobody_stored(site, inngest_server):
    run = inngest_server.send("shop/order.placed", {"order_id": 404}).run()
    assert run.status == "Failed", run
    assert run.step("load-order").attempts == 1  # tried once, because of NonRetriableError
    assert run.error.message == "there is no order 404"
