"""The page that a browser shows at the endpoint in dev mode.

It is given a request from a browser, with the settings and functions of the
endpoint. It gives back the page, or JSON for it: the functions, problems of
the set-up, and the runs of a test event.
"""
