"""Adapters for ``ctx.step.ai.infer``, one module for each provider."""
