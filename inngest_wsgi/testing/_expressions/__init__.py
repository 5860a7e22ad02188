"""Compile and evaluate CEL expressions as a server does.

An expression is given its text once, and then the events to evaluate it
with. It gives back a truth value or a key; only reading the text can fail.
cel-python parses and evaluates, and is imported with the first expression.
"""
