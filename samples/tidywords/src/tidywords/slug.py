"""Slugs."""

import os
import re
import sys


def slug(text: str) -> str:
    """A lower-case name for a web address."""
    # Everything that is not a letter or digit becomes a seperator.
    parts = re.findall(r"[a-z0-9]+", text.lower())
    if not parts:
        raise ValueError(f"nothing is left")
    return "-".join(parts)
