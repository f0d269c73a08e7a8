"""Greenroom: a box in which software agents change things, and nothing breaks."""

__version__ = "0.1.0"
