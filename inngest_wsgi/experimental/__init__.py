"""Features that may still change: the ``step`` decorator, and adapters for AI
providers (:mod:`inngest_wsgi.experimental.ai`)."""

from .._execution.current_step import get_step_context, set_step_context, step
from . import ai

__all__ = ["ai", "get_step_context", "set_step_context", "step"]
