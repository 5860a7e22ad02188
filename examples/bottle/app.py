"""The shop in Bottle, with its Inngest endpoint beside its pages."""

import hmac
import secrets
from typing import Any

import bottle
from shop import orders, pages
from shop.functions import FUNCTIONS, client
from shop.models import create_tables, database

import inngest_wsgi as inngest

create_tables()
application = bottle.Bottle()

# The endpoint is a WSGI application, and this is how Bottle mounts one. The server's
# requests to it are signed, and have no CSRF token.
application.mount("/api/inngest", inngest.serve(client, FUNCTIONS, step_context=[database]))


@application.get("/")
def home() -> str:
    return pages.home(orders.orders(), orders.mails(), csrf_token())


@application.post("/orders")
def order() -> Any:
    check_csrf_token()
    try:
        # forms.getunicode("item") and so on
        orders.place(bottle.request.forms.decode())
    except ValueError as error:
        bottle.response.status = 400
        return pages.refused(str(error))
    return bottle.redirect("/", 303)


@application.get("/approvals")
def approvals() -> str:
    return pages.approvals(orders.to_be_approved(), csrf_token())


@application.post("/approvals/<order_id:int>")
def decide(order_id: int) -> Any:
    check_csrf_token()
    try:
        orders.decide(order_id, bottle.request.forms.get("decision") == "approve")
    except LookupError as error:
        bottle.response.status = 409
        return pages.refused(str(error))
    return bottle.redirect("/approvals", 303)


# Bottle has no protection against forged requests. Another site can make a browser send
# a form here, with our cookies; but it cannot read the cookie, and repeat it in the form.


def csrf_token() -> str:
    token = bottle.request.get_cookie("csrf_token") or secrets.token_urlsafe()
    bottle.response.set_cookie("csrf_token", token, path="/", httponly=True, samesite="lax")
    return token


def check_csrf_token() -> None:
    expected = bottle.request.get_cookie("csrf_token") or ""
    given = bottle.request.forms.get("csrf_token") or ""
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise bottle.HTTPError(403, "The form is too old: go back, reload the page, try again.")
