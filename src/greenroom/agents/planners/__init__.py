"""Planners: words into plan documents."""
