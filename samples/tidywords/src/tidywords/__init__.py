"""Small helpers for words."""

from tidywords.slug import slug
from tidywords.wrap import wrap

__all__ = ["slug", "wrap"]
