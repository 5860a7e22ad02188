"""Read and write what passes between a server and an app.

Canonical JSON, signatures, ids, durations and dates, and what an answer
means. Everything here is given bytes, text or JSON values, and gives back
values or a failure; nothing changes the state of a server.
"""
