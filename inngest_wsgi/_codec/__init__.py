"""Decode requests, and encode responses.

It is given the body of a request, or the outcome of a call. It gives back a
checked value, or an unsigned response, or raises an error that names the fault
and its place.
"""
