"""Tests of the shop in Bottle; in this folder: python -m pytest"""

import app
import shop
from werkzeug.test import Client


def order_a_teapot():
    page = Client(app.application).post("/orders", data={"item": "a teapot", "price": "2599"})
    assert page.status_code == 201


def test_an_order_is_charged_and_confirmed_once(inngest_server):
    inngest_server.serve(app.application)
    order_a_teapot()
    run = inngest_server.run("fulfil-order")
    inngest_server.run_until_idle()  # over the retry of the charge, and the packing
    assert run.result() == "order 1 (a teapot) is on its way"
    assert run.step("charge").attempts == 2  # the gateway is busy at first
    assert shop.list_orders() == [(1, "a teapot", 2599, 1, 1)]


def test_an_order_that_is_cancelled_while_it_is_packed(inngest_server):
    inngest_server.serve(app.application)
    inngest_server.stub("charge", {"charge_id": 7, "amount": 2599})
    order_a_teapot()
    run = inngest_server.run("fulfil-order")
    inngest_server.advance("2s")
    inngest_server.cancel(run)
    inngest_server.advance("1h")
    assert run.status == "Cancelled", run
    assert shop.list_orders() == [(1, "a teapot", 2599, 0, 0)]


def test_a_charge_that_fails_for_good(inngest_server):
    inngest_server.serve(app.application)
    inngest_server.stub("charge", error=shop.GatewayBusy("closed today"))
    order_a_teapot()
    inngest_server.run_until_idle()
    run = inngest_server.run("fulfil-order")
    assert run.status == "Failed", run
    assert run.error.message == "closed today"
    assert run.step("charge").attempts == 4
    assert shop.list_orders() == [(1, "a teapot", 2599, 0, 0)]
