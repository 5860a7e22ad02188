"""The durable functions, and their steps.

``settle_claim`` is the one to begin with. A claim of more than 100.00 waits until
somebody approves it on a page. The bank pays, and the employee gets a mail. Accounting
gets one if that fails for good. Each Monday every employee gets a statement.
"""

from typing import Any, Dict, List, Optional

from django.db.models import Count, Sum

import inngest_wsgi as inngest

from .models import Claim, Mail, Payment

#: In cents; a claim of more has to be approved.
LIMIT = 10_000

client = inngest.Inngest(app_id="claims")


# -- a claim -------------------------------------------------------------------


def tell_of_failure(ctx: inngest.Context) -> str:
    """Tell accounting that a claim could not be settled. Called when a run has failed for
    good; its event has the run's own event and error."""
    claim_id = ctx.event.data["event"]["data"]["claim_id"]
    text = f"Claim {claim_id} failed: {ctx.event.data['error']['message']}"
    return ctx.step.run("tell-accounting", send_mail, claim_id, "accounting", text, "failed")


@client.create_function(
    fn_id="settle-claim",
    name="Settle a claim",
    trigger=inngest.TriggerEvent(event="claims/claim.filed"),
    on_failure=tell_of_failure,
    retries=3,
)
def settle_claim(ctx: inngest.Context) -> str:
    claim = ctx.step.run("load-claim", load_claim, ctx.event.data["claim_id"])
    if claim["amount"] > LIMIT and not is_approved(ctx, claim):
        text = f"We are sorry: claim {claim['id']} was not approved"
        return ctx.step.run("reject", send_mail, claim["id"], claim["employee"], text, "rejected")
    ctx.step.run("pay", lambda: pay(claim, ctx.attempt))
    ctx.step.sleep("wait-for-the-bank", "1s")
    text = f"Claim {claim['id']} ({claim['purpose']}) is paid"
    return ctx.step.run("confirm", send_mail, claim["id"], claim["employee"], text, "paid")


def is_approved(ctx: inngest.Context, claim: Dict[str, Any]) -> bool:
    """Wait until somebody has decided on a claim, three days at most.

    The server waits for the event before the claim is on the page of those to be
    approved: so nobody can be faster than the wait.
    """
    decision, _ = ctx.group.parallel(
        (
            lambda: ctx.step.wait_for_event(
                "decision",
                event="claims/claim.decided",
                if_exp="event.data.claim_id == async.data.claim_id",
                timeout="3d",
            ),
            lambda: ctx.step.run("ask-for-approval", ask_for_approval, claim["id"]),
        )
    )
    return decision is not None and bool(decision.data["approved"])


# -- every Monday ----------------------------------------------------------------


@client.create_function(
    fn_id="weekly",
    name="Weekly statements",
    trigger=inngest.TriggerCron(cron="TZ=Europe/Berlin 0 8 * * 1"),
)
def weekly(ctx: inngest.Context) -> int:
    employees = ctx.step.run("find-employees", employees_with_claims)
    # fan-out: an event for each employee, and a run of its own for each event
    if employees:
        ctx.step.send_event(
            "send-events",
            [inngest.Event("claims/statement.due", {"employee": each}) for each in employees],
        )
    return len(employees)


@client.create_function(
    fn_id="send-statement",
    name="Send a statement",
    trigger=inngest.TriggerEvent(event="claims/statement.due"),
    # the mail server takes no more at once
    concurrency=[inngest.Concurrency(limit=2)],
)
def send_statement(ctx: inngest.Context) -> str:
    employee = ctx.event.data["employee"]
    text = ctx.step.run("write-statement", write_statement, employee)
    return ctx.step.run("send", send_mail, None, employee, text)


FUNCTIONS = [settle_claim, weekly, send_statement]


# -- the steps -------------------------------------------------------------------


class BankBusy(Exception):
    """The bank accepts no payment at the moment."""


def load_claim(claim_id: int) -> Dict[str, Any]:
    claim = Claim.objects.filter(pk=claim_id).first()
    if claim is None:
        # to try it again is of no use
        raise inngest.NonRetriableError(f"there is no claim {claim_id}")
    return {
        "id": claim.pk,
        "employee": claim.employee,
        "purpose": claim.purpose,
        "amount": claim.amount,
        "account": claim.account,
    }


def ask_for_approval(claim_id: int) -> None:
    Claim.objects.filter(pk=claim_id).update(status="to be approved")


def pay(claim: Dict[str, Any], attempt: int) -> None:
    """Let the bank pay.

    The bank is busy at the first attempt, so that there is a retry to be seen. What the
    step has written by then is rolled back. A real bank would be given the claim's number
    as its idempotency key.
    """
    Payment.objects.create(claim_id=claim["id"], amount=claim["amount"])
    Claim.objects.filter(pk=claim["id"]).update(status="sent to the bank")
    if attempt == 0:
        raise BankBusy("the bank is busy")
    if claim["account"] != "good":
        raise inngest.NonRetriableError("the account is closed")


def send_mail(
    claim_id: Optional[int], recipient: str, text: str, status: Optional[str] = None
) -> str:
    """Store a mail, and with it the claim's new status."""
    Mail.objects.create(claim_id=claim_id, recipient=recipient, text=text)
    if claim_id is not None and status is not None:
        Claim.objects.filter(pk=claim_id).update(status=status)
    return text


def employees_with_claims() -> List[str]:
    names = Claim.objects.order_by("employee").values_list("employee", flat=True)
    return list(names.distinct())


def write_statement(employee: str) -> str:
    found = Claim.objects.filter(employee=employee).aggregate(
        count=Count("pk"), total=Sum("amount")
    )
    return f"You have {found['count']} claims, of {found['total'] / 100:.2f} together"
