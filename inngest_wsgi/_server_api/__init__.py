"""Our requests to the Inngest server.

It is given a path and a body, events or a signal. It makes the request with
its headers, its key, its deadline and its retries, and gives back the
server's answer, or raises an error that shows no key.
"""
