"""A person at a terminal is told what a command waits for, when it takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

SLOW_S = 2.0


@contextlib.contextmanager
def told_when_slow(words: str, seconds: float = SLOW_S) -> Iterator[None]:
    """Say `words` on stderr once what is inside took `seconds`, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    timer = threading.Timer(seconds, print, (words,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
