"""A shop in Pyramid, with its Inngest endpoint beside its pages."""

import html

import shop
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.response import Response
from pyramid.wsgi import wsgiapp2

PAGE = """<!doctype html>
<html lang="en"><title>Shop</title>
<h1>Orders</h1>
<ul>{}</ul>
<form method="post" action="/orders">
  <label>Item <input name="item" required></label>
  <label>Price in cents <input name="price" type="number" min="1" required></label>
  <button>Order</button>
</form>
</html>"""
ROW = "<li>{}: {}, {}, charged {}, confirmed {}"


def home(request):
    rows = [
        ROW.format(number, html.escape(item), price / 100, charges, confirmations)
        for number, item, price, charges, confirmations in shop.list_orders()
    ]
    return Response(PAGE.format("\n".join(rows)))


def order(request):
    item, price = request.POST.get("item"), request.POST.get("price")
    if not item or not (price or "").isdecimal():
        raise HTTPBadRequest("An order has an item, and a price in cents.")
    order_id, event_id = shop.place_order(item, int(price))
    request.response.status_int = 201
    return {"order_id": order_id, "event_id": event_id}


def make_application():
    shop.create_tables()
    with Configurator() as config:
        config.add_route("home", "/")
        config.add_view(home, route_name="home")
        config.add_route("orders", "/orders", request_method="POST")
        config.add_view(order, route_name="orders", renderer="json")
        # The endpoint is a WSGI application, and this is how Pyramid mounts one.
        config.add_route("inngest", "/api/inngest")
        config.add_view(wsgiapp2(shop.endpoint), route_name="inngest")
        return config.make_wsgi_app()


application = make_application()
