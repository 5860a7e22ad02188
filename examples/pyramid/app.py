"""The shop in Pyramid, with its Inngest endpoint beside its pages."""

from typing import Any

from pyramid.config import Configurator
from pyramid.csrf import CookieCSRFStoragePolicy, get_csrf_token
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from shop import orders, pages
from shop.functions import FUNCTIONS, client
from shop.models import create_tables, database


def home(request: Request) -> Response:
    return Response(pages.home(orders.orders(), orders.mails(), get_csrf_token(request)))


def order(request: Request) -> Response:
    try:
        orders.place(request.POST)
    except ValueError as error:
        return Response(pages.refused(str(error)), 400)
    return HTTPSeeOther("/")


def approvals(request: Request) -> Response:
    return Response(pages.approvals(orders.to_be_approved(), get_csrf_token(request)))


def decide(request: Request) -> Response:
    try:
        approved = request.POST.get("decision") == "approve"
        orders.decide(int(request.matchdict["order_id"]), approved)
    except LookupError as error:
        return Response(pages.refused(str(error)), 409)
    return HTTPSeeOther("/approvals")


def make_application() -> Any:
    create_tables()
    with Configurator() as config:
        config.set_csrf_storage_policy(CookieCSRFStoragePolicy(httponly=True))
        config.set_default_csrf_options(require_csrf=True)
        config.add_route("home", "/")
        config.add_view(home, route_name="home")
        config.add_route("orders", "/orders", request_method="POST")
        config.add_view(order, route_name="orders")
        config.add_route("approvals", "/approvals")
        config.add_view(approvals, route_name="approvals")
        config.add_route("decision", r"/approvals/{order_id:\d+}", request_method="POST")
        config.add_view(decide, route_name="decision")
        # At /api/inngest. The endpoint authenticates its own requests, and needs no CSRF
        # token.
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(client, FUNCTIONS, step_context=[database])
        return config.make_wsgi_app()


application = make_application()
