"""An application without a framework."""

import urllib.parse

import jobs


class Kept:
    """Nothing but its objects is kept of an application."""

    value = jobs.KEPT


endpoints = jobs.mounts(lambda: Kept.value)


def form(environ):
    if environ["REQUEST_METHOD"] == "GET":
        return "200 OK", "<form method=post><input name=text></form>"
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return "200 OK", "saved: " + urllib.parse.parse_qs(body.decode())["text"][0]


PAGES = {
    "/page": lambda environ: ("200 OK", "a page"),
    "/form": form,
    "/error": lambda environ: ("500 Internal Server Error", "something broke"),
    "/folder": lambda environ: ("301 Moved Permanently", ""),
    "/folder/": lambda environ: ("200 OK", "in the folder"),
}


def application(environ, start_response):
    path = environ.get("PATH_INFO", "")
    endpoint = endpoints.get(path.rstrip("/"))
    if endpoint is not None:
        return endpoint(environ, start_response)
    page = PAGES.get(path, lambda environ: ("404 Not Found", "nothing here"))
    status, text = page(environ)
    headers = [("Content-Type", "text/html"), ("Content-Length", str(len(text)))]
    if status.startswith("301"):
        headers.append(("Location", "/folder/"))
    start_response(status, headers)
    return [text.encode()]
