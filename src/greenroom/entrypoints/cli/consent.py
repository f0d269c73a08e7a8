"""A person's yes: asked at a terminal or given beforehand by flag; the owner's key is unlocked for it."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
import termios

from greenroom.domain.errors import Unusable


def ask(question: str, *, yes: bool, no_input: bool) -> bool:
    """A person's yes or no at a terminal; `yes` agrees beforehand; without either it is unusable, never a yes."""
    if yes:
        return True
    if no_input or not sys.stdin.isatty():
        raise Unusable(
            "no-terminal", "a person must agree and there is no terminal", remedy="pass --yes to agree beforehand"
        )
    with contextlib.suppress(termios.error, OSError, ValueError):
        # What was typed before the question was there answers another one.
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def passphrase(why: str) -> bytes:
    """Ask for the owner key's passphrase at the terminal."""
    if not sys.stdin.isatty():
        raise Unusable("owner-key-locked", f"the owner's key has a passphrase: {why}", remedy="run this at a terminal")
    return getpass.getpass(f"{why}\npassphrase of the owner's key: ").encode()


def actor() -> str:
    """The person at the keyboard, as the log names them."""
    try:
        return f"person:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"person:uid-{os.getuid()}"
