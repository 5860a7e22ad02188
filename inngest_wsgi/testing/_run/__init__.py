"""Run functions: keep a queue of what is due, call the apps, retry, and end.

The executor is given functions and events by the flow control, and the
app's answers by its worker threads. It gives back runs and their history.
"""
