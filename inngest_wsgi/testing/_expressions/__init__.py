"""Compile and evaluate the part of CEL that this server reads.

An expression is given its text once, and then the events to evaluate it
with. It gives back a truth value or a key; only reading the text can fail.
"""
