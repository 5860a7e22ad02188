"""Keys, signatures and addresses.

It is given what a setting or a stranger says. It gives back a key, an
address or a verified signature, or raises an error that says which check
failed and shows no secret.
"""
