"""The tables.

None has a constraint that would hide a step that runs twice: it would leave two rows.
"""

from django.db import models


class Claim(models.Model):
    employee = models.CharField(max_length=100)
    purpose = models.CharField(max_length=200)
    #: In cents.
    amount = models.PositiveIntegerField()
    account = models.CharField(
        max_length=10, choices=[("good", "a good one"), ("closed", "one that is closed")]
    )
    status = models.CharField(max_length=30, default="filed", editable=False)

    @property
    def amount_shown(self) -> str:
        return f"{self.amount / 100:.2f}"


class Payment(models.Model):
    claim = models.ForeignKey(Claim, on_delete=models.CASCADE)
    amount = models.PositiveIntegerField()


class Mail(models.Model):
    """What a company would send by mail."""

    claim = models.ForeignKey(Claim, on_delete=models.CASCADE, null=True)
    recipient = models.CharField(max_length=100)
    text = models.TextField()
