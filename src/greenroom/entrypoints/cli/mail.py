"""A proposal as a mail that `git am` takes: subject, why, and the patch byte for byte."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime

from greenroom.entrypoints.cli.safe import safe, safe_block

AUTHOR = "Greenroom <greenroom@localhost>"
_MARK = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_READ_AS_MORE = re.compile(r"(?m)^(?=---|diff |Index: |>?From |\s*[A-Za-z-]+:)")
"""Lines of a body that `git mailinfo` would take for a header, a separator or the patch."""
_WIDTH = 200


def mail(*, subject: str, body: str, patch: bytes, at: int, author: str = AUTHOR) -> bytes:
    """The mail. `at` is UTC in nanoseconds since the epoch; `patch` is in git's format.

    A patch whose bytes a mail would change (carriage returns, no UTF-8) goes as base64; then the body does, too.
    """
    words = " ".join(safe(subject).split()) or "A change"
    header = words if words.isascii() else Header(words, "utf-8", maxlinelen=_WIDTH).encode()
    text = _READ_AS_MORE.sub(" ", safe_block(body).strip())
    content = f"{text}\n---\n\n".encode() + _whole_lines(patch) + b"-- \ngreenroom\n"
    coded = b"\r" in content or b"\0" in content or not _is_text(content)
    lines = [
        _MARK,
        f"From: {author}",
        f"Date: {format_datetime(datetime.fromtimestamp(at // 1_000_000_000, UTC))}",
        f"Subject: [PATCH] {header}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        f"Content-Transfer-Encoding: {'base64' if coded else '8bit'}",
    ]
    head = "".join(f"{line}\n" for line in lines).encode() + b"\n"
    return head + (base64.encodebytes(content) if coded else content)


def _whole_lines(patch: bytes) -> bytes:
    return patch if patch.endswith(b"\n") else patch + b"\n"


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
