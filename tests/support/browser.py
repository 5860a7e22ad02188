"""A browser without pictures: keeps cookies, follows no redirects, fills in forms."""

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **options):
        return None


class Page:
    """An answer.

    :ivar status: a number
    :ivar headers: by name, in any case
    :ivar text: the body
    """

    def __init__(self, answer):
        with answer:
            self.status = answer.status
            self.headers = answer.headers
            self.text = answer.read().decode("utf-8", "replace")

    def hidden(self):
        """Return the hidden fields of the page's forms."""
        fields = re.findall("<input [^>]*>", self.text)
        found = [dict(re.findall("([a-z]+)=[\"']?([^\"'> ]*)", field)) for field in fields]
        return {f["name"]: f["value"] for f in found if f.get("type") == "hidden"}


class Browser:
    """Makes requests to an origin."""

    def __init__(self, origin):
        self.origin = origin
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies, _Stay)

    def ask(self, path, form=None, method=None, **headers):
        """Return the page of a path.

        :param form: the fields to post
        :param headers: with underscores for hyphens
        """
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.origin + path, data, method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            return Page(self._opener.open(request, timeout=60))
        except urllib.error.HTTPError as error:
            return Page(error)
