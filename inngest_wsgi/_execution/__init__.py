"""Runs one call of a function, and returns its outcome.

This package is given the call as the server describes it, with the memos of
the steps that have ended, and runs the function up to its next step. It
returns what the call ended in: steps to report, a value, or an error.
``engine.py`` opens with the theory of operation.
"""
