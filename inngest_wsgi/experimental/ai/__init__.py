"""Adapters for ``ctx.step.ai.infer``, one module a provider."""
