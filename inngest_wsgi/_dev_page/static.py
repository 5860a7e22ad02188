"""The page's one file, as a response."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import re

from .. import _protocol as p
from .._messages import Headers, Response

#: The headers of all responses to the page, errors too.
PAGE_HEADERS: Headers = [
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Vary", "Accept"),
    ("X-Content-Type-Options", "nosniff"),
]


def page_response() -> Response:
    """Make the response with the page. Its Content-Security-Policy allows the
    page's own script and style, by their hashes, and nothing else."""
    body = (pathlib.Path(__file__).parent / "page.html").read_bytes()
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src {}".format(_hashes(body, b"script")),
            "style-src {}".format(_hashes(body, b"style")),
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = [
        (p.HEADER_CONTENT_TYPE, "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
    ]
    return Response(200, headers, body)


def _hashes(body: bytes, element: bytes) -> str:
    blocks = re.findall(b"<%b>(.*?)</%b>" % (element, element), body, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(block).digest()).decode() for block in blocks]
    return " ".join(f"'sha256-{digest}'" for digest in digests)
