"""Planners: words into readings, which `domain.requests` judges."""
