"""The WSGI application that ``servers.py`` runs under gunicorn: one endpoint for each case, at
``/<memos>/api/inngest``."""

import os

import contestants


class ByCase:
    """Leads a request to the endpoint of its case.

    :param endpoints: by the first segment of the path
    """

    def __init__(self, endpoints):
        self._endpoints = endpoints

    def __call__(self, environ, start_response):
        _, case, rest = environ["PATH_INFO"].split("/", 2)
        environ["PATH_INFO"] = "/" + rest
        return self._endpoints[case](environ, start_response)


def make():
    """Make the application; gunicorn calls this."""
    kind, counts = os.environ["BENCHMARK_KIND"], os.environ["BENCHMARK_MEMOS"]
    return ByCase({count: contestants.make(kind, int(count)) for count in counts.split(",")})
