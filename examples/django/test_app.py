"""Tests of the claims; in this folder: python manage.py test"""

from typing import List, Tuple

import app
from claims.models import Claim, Mail, Payment
from django.test import Client, TestCase

from inngest_wsgi.testing import InngestTestMixin


class Claims(InngestTestMixin, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.inngest_server.serve(app.application)

    def file_claim(self, status: int = 303, **fields: str) -> None:
        form = {"employee": "Ann", "purpose": "a taxi", "amount": "2599", "account": "good"}
        # the transaction of a TestCase is never committed
        with self.captureOnCommitCallbacks(execute=True):
            answer = self.client.post("/claims", {**form, **fields})
        self.assertEqual(answer.status_code, status, answer.content)
        self.inngest_server.advance("1m")  # over the retry

    def texts(self) -> List[Tuple[str, str]]:
        return list(Mail.objects.order_by("pk").values_list("recipient", "text"))

    def test_a_claim_is_paid(self) -> None:
        self.file_claim()
        run = self.inngest_server.run("settle-claim")
        claim = Claim.objects.get()
        self.assertEqual(run.result(), f"Claim {claim.pk} (a taxi) is paid")
        self.assertEqual(run.step("pay").attempts, 2)  # the bank is busy at first
        self.assertEqual(Payment.objects.get().amount, 2599)
        self.assertContains(self.client.get("/"), f"Claim {claim.pk} (a taxi) is paid")

    def test_a_claim_that_somebody_approves(self) -> None:
        self.decided("approve", "paid", "Claim {} (a taxi) is paid")

    def test_a_claim_that_somebody_rejects(self) -> None:
        self.decided("reject", "rejected", "We are sorry: claim {} was not approved")

    def decided(self, decision: str, status: str, text: str) -> None:
        self.file_claim(amount="250000")
        claim = Claim.objects.get()
        self.assertContains(self.client.get("/approvals"), f"/approvals/{claim.pk}")
        self.inngest_server.advance("1d")
        self.assertEqual(self.inngest_server.run("settle-claim").status, "Running")
        for expected in (303, 404):  # the second time it is decided
            answer = self.client.post(f"/approvals/{claim.pk}", {"decision": decision})
            self.assertEqual(answer.status_code, expected)
        self.inngest_server.advance("1h")
        self.assertEqual(self.inngest_server.run("settle-claim").result(), text.format(claim.pk))
        claim.refresh_from_db()
        self.assertEqual(claim.status, status)

    def test_a_claim_that_nobody_decides_on(self) -> None:
        self.file_claim(amount="250000")
        self.inngest_server.advance("3d")
        self.assertEqual(Claim.objects.get().status, "rejected")

    def test_accounting_is_told_of_a_claim_that_failed(self) -> None:
        self.file_claim(account="closed")
        self.assertEqual(self.inngest_server.run("settle-claim").status, "Failed")
        text = f"Claim {Claim.objects.get().pk} failed: the account is closed"
        self.assertEqual(self.texts(), [("accounting", text)])

    def test_each_employee_gets_a_statement(self) -> None:
        for employee in ("Ann", "Bob", "Ann"):
            Claim.objects.create(employee=employee, purpose="a taxi", amount=1000, account="good")
        self.inngest_server.fire_cron("weekly")
        self.assertEqual(
            sorted(self.texts()),
            [
                ("Ann", "You have 2 claims, of 20.00 together"),
                ("Bob", "You have 1 claims, of 10.00 together"),
            ],
        )

    def test_a_claim_that_is_no_claim(self) -> None:
        self.file_claim(status=400, amount="-1")
        self.assertEqual(Claim.objects.count(), 0)

    def test_a_form_without_a_token_is_refused(self) -> None:
        client = Client(enforce_csrf_checks=True)
        form = {"employee": "Ann", "purpose": "a taxi", "amount": "2599", "account": "good"}
        self.assertEqual(client.post("/claims", form).status_code, 403)
        self.assertEqual(client.post("/approvals/1", {"decision": "approve"}).status_code, 403)
