"""Gemini, of Google."""

from __future__ import annotations

from .base import BaseAdapter


class Adapter(BaseAdapter):
    """Models of Google; the address has the model and the key in it."""

    _base_url = "https://generativelanguage.googleapis.com/v1beta"
    _format = "gemini"

    def url_infer(self) -> str:
        """Where the request goes."""
        return "{}/models/{}:generateContent?key={}".format(self._url, self._model, self._auth_key)
