"""Grok, of xAI."""

from __future__ import annotations

from .base import JsonAdapter


class Adapter(JsonAdapter):
    """Models of xAI."""

    _base_url = "https://api.x.ai/v1"
    _format = "openai-chat"
    _path = "/chat/completions"
