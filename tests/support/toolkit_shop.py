"""A shop whose functions the tests of the toolkit run."""

import inngest_wsgi as inngest


class Shop:
    """An app of its own, so that nothing is left of an earlier test.

    :param options: of the client; by default as in production, so that a test
        shows that none of it matters
    """

    def __init__(self, **options):
        production = {
            "app_id": "shop",
            "is_production": True,
            "signing_key": "signkey-prod-" + "ab" * 32,
            "event_key": "an-event-key-of-production",
        }
        self.client = inngest.Inngest(**{**production, **options})
        self.functions = []
        self.charged = []
        self._declare()

    def function(self, fn_id, event="shop/order.placed", **options):
        """Declare a function; a decorator."""
        declare = self.client.create_function(
            fn_id=fn_id, trigger=inngest.TriggerEvent(event=event), **options
        )

        def add(handler):
            self.functions.append(declare(handler))
            return self.functions[-1]

        return add

    def _declare(self):
        @self.function("fulfil-order", cancel=[inngest.Cancel(event="shop/order.expired")])
        def fulfil_order(ctx):
            ctx.step.run("charge", self.charge, ctx.event.data["id"])
            paid = ctx.step.wait_for_event("paid", event="shop/order.paid", timeout="7d")
            return "unpaid" if paid is None else paid.data["by"]

        @self.function("expire-order")
        def expire_order(ctx):
            ctx.step.sleep("be-patient", "2d")
            ctx.step.send_event("expire", inngest.Event("shop/order.expired", ctx.event.data))

    def charge(self, order):
        self.charged.append(order)
        return {"receipt": order}

    def paid(self):
        return inngest.Event("shop/order.paid", {"by": "card"})

    def serve(self, **options):
        return inngest.serve(self.client, self.functions, **options)

    @property
    def application(self):
        """The endpoint, at ``/api/inngest`` of a WSGI application."""
        from werkzeug.middleware.dispatcher import DispatcherMiddleware
        from werkzeug.wrappers import Response

        return DispatcherMiddleware(Response("a page"), {"/api/inngest": self.serve()})


def app_of(handler, **options):
    """Return the application of one function, ``shop-f``, that ``go`` starts."""
    shop = Shop()
    shop.functions.clear()
    shop.function("f", "go", **options)(handler)
    return shop.application
