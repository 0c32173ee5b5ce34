"""Judging a model: by window, and by event as the operator meets it."""
