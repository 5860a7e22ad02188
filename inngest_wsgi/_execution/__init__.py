"""One call of a function becomes an outcome.

It is given the call as the server describes it, with the memos of the steps
that have ended, and runs the function up to its next step. It gives back
what the call ended in: steps to report, a value, or an error.
"""
