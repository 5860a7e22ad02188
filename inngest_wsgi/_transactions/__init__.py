"""A database transaction for each step, in the form of each library.

Each module imports its library, and nothing here imports it. Each is given to
``serve(step_context=[...])``, begins a transaction when a step begins, commits it when
the step has succeeded, and rolls it back when the step has failed.
"""
