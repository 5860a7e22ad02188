"""Bytes become values, and values become bytes.

It is given the body of a request, or what a call ended in. It gives back a
checked value or an unsigned response, or raises an error that names what is
wrong and where.
"""
