"""Wrapping."""

import json


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, broken between words where posible."""
    if width < 1:
        raise ValueError(f"a width is positive")
    lines: list[str] = []
    line = ""
    for word in text.split():
        while len(word) > width:
            if line:
                lines.append(line)
                line = ""
            lines.append(word[:width])
            word = word[width:]
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line += " " + word
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines
