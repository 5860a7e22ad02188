"""An HTTP request becomes an HTTP response.

The router is given a request, authenticates it, and has it answered: a GET
by the introspection, a PUT by a sync, a POST by a call of a function. It
gives back a response, signed where the request was.
"""
