"""The base classes of adapters."""

from __future__ import annotations

import typing as t

from ...ai import Adapter as BaseAdapter

__all__ = ["BaseAdapter", "JsonAdapter"]


class JsonAdapter:
    """A provider of models whose API is a POST of JSON.

    :param auth_key: the provider's API key. It goes to the Inngest server,
        which makes the request
    :param base_url: the address of the API, if not the usual one
    :param headers: further headers, in place of the usual ones
    :param model: the model for requests that name none
    """

    _base_url: str
    _format: str
    _path: str
    _usual_headers: t.Mapping[str, str] = {}

    def __init__(
        self,
        *,
        auth_key: str,
        model: str,
        base_url: t.Optional[str] = None,
        headers: t.Optional[t.Mapping[str, str]] = None,
    ) -> None:
        self._auth_key = auth_key
        self._model = model
        self._url = (base_url or self._base_url).rstrip("/")
        self._headers = dict(headers or self._usual_headers)

    def auth_key(self) -> str:
        """Return the provider's API key."""
        return self._auth_key

    def format(self) -> str:
        """Return the form of request and response."""
        return self._format

    def headers(self) -> t.Dict[str, str]:
        """Return further headers of the request."""
        return self._headers

    def on_call(self, body: t.Dict[str, t.Any]) -> None:
        """Add the model to the body of a request that names none."""
        if not body.get("model"):
            body["model"] = self._model

    def url_infer(self) -> str:
        """Return the URL of the request."""
        return self._url + self._path
