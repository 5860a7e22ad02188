"""Decide whether and when an event starts or ends a run: one module a rule.

The rules are given a function's settings and an event. They give back a
reason why there is no run, a delay, or nothing, and ask the run machinery to
start or cancel runs.
"""
