"""The shop in Flask, with its Inngest endpoint beside its pages."""

import os

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect, generate_csrf
from shop import orders, pages
from shop.functions import FUNCTIONS, client
from shop.models import create_tables, database

import inngest_wsgi.flask

create_tables()
application = Flask(__name__)
# The CSRF tokens are signed with it: the same in all workers, and known to nobody else.
application.secret_key = os.environ["SECRET_KEY"]
CSRFProtect(application)

# At /api/inngest. The endpoint authenticates its own requests, and needs no CSRF token.
inngest_wsgi.flask.serve(application, client, FUNCTIONS, step_context=[database])


@application.get("/")
def home() -> str:
    return pages.home(orders.orders(), orders.mails(), generate_csrf())


@application.post("/orders")
def order() -> ResponseReturnValue:
    try:
        orders.place(request.form)
    except ValueError as error:
        return pages.refused(str(error)), 400
    return redirect("/", 303)


@application.get("/approvals")
def approvals() -> str:
    return pages.approvals(orders.to_be_approved(), generate_csrf())


@application.post("/approvals/<int:order_id>")
def decide(order_id: int) -> ResponseReturnValue:
    try:
        orders.decide(order_id, request.form.get("decision") == "approve")
    except LookupError as error:
        return pages.refused(str(error)), 409
    return redirect("/approvals", 303)
