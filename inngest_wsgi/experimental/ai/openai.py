"""OpenAI."""

from __future__ import annotations

from .base import JsonAdapter


class Adapter(JsonAdapter):
    """Models of OpenAI, or of any API of that form."""

    _base_url = "https://api.openai.com/v1"
    _format = "openai-chat"
    _path = "/chat/completions"
