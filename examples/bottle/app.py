"""A shop in Bottle, with its Inngest endpoint beside its pages."""

import bottle
import shop

shop.create_tables()
application = bottle.Bottle()

# The endpoint is a WSGI application, and this is how Bottle mounts one.
application.mount("/api/inngest", shop.endpoint)

PAGE = """<!doctype html>
<html lang="en"><title>Shop</title>
<h1>Orders</h1>
<ul>
% for number, item, price, charges, confirmations in orders:
  <li>{{number}}: {{item}}, {{price / 100}}, charged {{charges}}, confirmed {{confirmations}}
% end
</ul>
<form method="post" action="/orders">
  <label>Item <input name="item" required></label>
  <label>Price in cents <input name="price" type="number" min="1" required></label>
  <button>Order</button>
</form>
</html>"""


@application.get("/")
def home():
    return bottle.template(PAGE, orders=shop.list_orders())


@application.post("/orders")
def order():
    item, price = bottle.request.forms.getunicode("item"), bottle.request.forms.get("price")
    if not item or not (price or "").isdecimal():
        raise bottle.HTTPError(400, "An order has an item, and a price in cents.")
    order_id, event_id = shop.place_order(item, int(price))
    bottle.response.status = 201
    return {"order_id": order_id, "event_id": event_id}
