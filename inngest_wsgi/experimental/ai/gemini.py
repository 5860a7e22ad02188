"""Gemini, of Google."""

from __future__ import annotations

from .base import JsonAdapter


class Adapter(JsonAdapter):
    """Models of Google. The URL holds the model and the key."""

    _base_url = "https://generativelanguage.googleapis.com/v1beta"
    _format = "gemini"

    def url_infer(self) -> str:
        """Return the URL of the request."""
        return f"{self._url}/models/{self._model}:generateContent?key={self._auth_key}"
