"""Our own requests to the Inngest server.

It is given what to ask or to send. It signs the request with the bearer,
retries it, falls back to the other key, and gives back the server's answer,
or raises an error with the server's own words.
"""
