"""The values that a server keeps: functions, events and runs.

Registrations and events are given as they were sent, and are checked here.
What comes back is a frozen function, an event, or the state of a run, or an
exception with the answer that a real server gives.
"""
