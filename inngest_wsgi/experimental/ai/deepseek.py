"""DeepSeek."""

from __future__ import annotations

from .base import JsonAdapter


class Adapter(JsonAdapter):
    """Models of DeepSeek."""

    _base_url = "https://api.deepseek.com/v1"
    _format = "openai-chat"
    _path = "/chat/completions"
