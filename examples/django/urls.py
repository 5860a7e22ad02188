"""The addresses of the pages and of the Inngest endpoint."""

from claims import views
from claims.functions import FUNCTIONS, client
from django.urls import path

from inngest_wsgi.django import serve, step_transaction

urlpatterns = [
    path("", views.home),
    path("claims", views.file_claim),
    path("approvals", views.approvals),
    path("approvals/<int:claim_id>", views.decide),
    # At api/inngest. The endpoint authenticates its own requests, and needs no CSRF token.
    # Each step has a transaction: what it writes is kept if it succeeds, and only then.
    serve(client, FUNCTIONS, step_context=[step_transaction()]),
]
