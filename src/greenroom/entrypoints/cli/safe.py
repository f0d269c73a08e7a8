"""Text from outside, made safe for a screen: what cannot be seen, or reorders what is seen, is spelled out."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe(text: str, *, keep: str = "") -> str:
    """`text` with control, bidirectional, zero-width and unassigned characters as \\u{HEX}; `keep` are spared."""
    return "".join(
        c if c in keep or unicodedata.category(c) not in _INVISIBLE else f"\\u{{{ord(c):04x}}}" for c in text
    )


def safe_block(text: str) -> str:
    """Like `safe`, for text of several lines."""
    return safe(text, keep="\n\t")
