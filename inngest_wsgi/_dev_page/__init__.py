"""The page that a browser sees at the endpoint in dev mode.

It is given a request of the browser, and the settings and functions of the
endpoint. It gives back the page, or JSON for it: what is served, what is
wrong with the set-up, and what came of a test event.
"""
