"""Checks of what a user declares: handlers, cron expressions, CEL expressions.

They are given what the user wrote, before anything is sent. They raise
:exc:`ValueError` with the fault and what to write instead, or list what a
server may refuse in a registration.
"""
