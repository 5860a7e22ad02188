"""The example with which the docs begin."""

import toolkit_shop


def test_order_is_cancelled_after_three_days(inngest_server):
    shop = toolkit_shop.Shop()
    inngest_server.serve(shop.application)
    inngest_server.stub("charge", fail=2)
    run = inngest_server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
    inngest_server.advance("3d")
    assert run.status == "Cancelled", run
    assert run.step("charge").attempts == 3
    assert [e.name for e in inngest_server.events()] == ["shop/order.placed", "shop/order.expired"]
    assert shop.charged == [1]
