"""The tree of errors, and the one table of exit codes.

A refusal is a value (`domain.verdict.Refused`), never an exception. What is raised is either input
that cannot be used or a bug of ours::

    GreenroomError
    +- Unusable          the input cannot be used; the person can mend it
    |  +- Unreachable    a process, file or socket of the box does not answer
    |  +- TooLarge       a bounded parser was given more than its bound
    |  +- NoSandbox      this machine cannot give the walls
    +- Bug               our own mistake; never the person's
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the `greenroom` command; documented in docs/exit-codes.md, stable."""

    OK = 0
    BUG = 1
    USAGE = 2
    REFUSED = 3
    HELD = 4
    NOT_FOUND = 5
    UNREACHABLE = 6
    STOPPED = 7
    TAMPERED = 8
    SANDBOX = 9
    PROPOSALS = 10
    INTERRUPTED = 130


class GreenroomError(Exception):
    """Base of all errors. `reference` is a stable kebab-case name, `where` the place, `remedy` what would help."""

    exit_code = Exit.BUG

    def __init__(self, reference: str, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.reference = reference
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.reference}: {self.message}{place}"


class Unusable(GreenroomError):
    """The input cannot be used; `remedy` says what would make it usable."""

    exit_code = Exit.USAGE


class NotFound(Unusable):
    """What was named does not exist."""

    exit_code = Exit.NOT_FOUND


class Unreachable(Unusable):
    """A process, socket or file of the box does not answer."""

    exit_code = Exit.UNREACHABLE


class TooLarge(Unusable):
    """A bounded parser was given more than its bound."""


class NoSandbox(Unusable):
    """This machine cannot give the walls that code runs between; `where` names the setting that says no."""

    exit_code = Exit.SANDBOX


class Tampered(Unusable):
    """A signature, digest or log proof does not hold."""

    exit_code = Exit.TAMPERED


class Bug(GreenroomError):
    """Our own mistake: a rule of the house was broken by its own code."""

    exit_code = Exit.BUG
