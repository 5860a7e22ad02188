"""Anthropic."""

from __future__ import annotations

from .base import JsonAdapter


class Adapter(JsonAdapter):
    """Models of Anthropic."""

    _base_url = "https://api.anthropic.com/v1"
    _format = "anthropic"
    _path = "/messages"
    _usual_headers = {"anthropic-version": "2023-06-01"}
