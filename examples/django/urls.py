"""The addresses of the pages and of the Inngest endpoint."""

import inngest_wsgi.django
from claims import views
from claims.functions import FUNCTIONS, client
from django.urls import path

urlpatterns = [
    path("", views.home),
    path("claims", views.file_claim),
    path("approvals", views.approvals),
    path("approvals/<int:claim_id>", views.decide),
    # At api/inngest. The endpoint authenticates its own requests, and needs no CSRF token.
    inngest_wsgi.django.serve(client, FUNCTIONS),
]
