"""The pages, and the events that they send."""

from typing import Any, Dict

from django.db import transaction
from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

import inngest_wsgi as inngest

from .functions import client
from .models import Claim, Mail

ClaimForm = modelform_factory(Claim, fields=["employee", "purpose", "amount", "account"])


class SeeOther(HttpResponseRedirect):
    status_code = 303


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    form = ClaimForm(
        initial={"employee": "Ann", "purpose": "a train ticket", "amount": 2599, "account": "good"}
    )
    return render(request, "home.html", listed(form))


@require_POST
def file_claim(request: HttpRequest) -> HttpResponse:
    form = ClaimForm(request.POST)
    if not form.is_valid():
        return render(request, "home.html", listed(form), status=400)
    claim = form.save()
    event = inngest.Event(
        name="claims/claim.filed",
        # because of its id, an event that is sent twice starts one run
        id=f"claim-{claim.pk}",
        data={"claim_id": claim.pk},
    )
    # not before: the first step reads the row
    transaction.on_commit(lambda: client.send(event))
    return SeeOther("/")


@require_safe
def approvals(request: HttpRequest) -> HttpResponse:
    claims = Claim.objects.filter(status="to be approved")
    return render(request, "approvals.html", {"claims": claims})


@require_POST
def decide(request: HttpRequest, claim_id: int) -> HttpResponse:
    # two people may decide at the same time: the second one waits here, and gets a 404
    waiting = Claim.objects.select_for_update().filter(status="to be approved")
    claim = get_object_or_404(waiting, pk=claim_id)
    claim.status = "decided"
    claim.save()
    # before the commit: what cannot be sent was not decided
    client.send(
        inngest.Event(
            name="claims/claim.decided",
            id=f"decision-{claim_id}",
            data={
                "claim_id": claim_id,
                "approved": request.POST.get("decision") == "approve",
            },
        )
    )
    return SeeOther("/approvals")


def listed(form: Any) -> Dict[str, Any]:
    return {
        "form": form,
        "claims": Claim.objects.order_by("-pk"),
        "mails": Mail.objects.order_by("-pk"),
    }
