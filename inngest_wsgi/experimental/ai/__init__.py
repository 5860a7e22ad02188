"""Adapters for ``ctx.step.ai.infer``, one module for each provider."""

from . import anthropic, deepseek, gemini, grok, openai
from .base import BaseAdapter

__all__ = ["BaseAdapter", "anthropic", "deepseek", "gemini", "grok", "openai"]
