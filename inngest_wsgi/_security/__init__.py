"""Keys, signatures and addresses.

It is given the value of a setting, or a part of a request. It gives back a
key, an address or the key that verified a signature, or raises an error that
names the check that failed and shows no secret.
"""
