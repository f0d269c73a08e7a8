"""Terms: what a change's commit says about itself, and the day caps that it keeps below the constitution's.

They are part of the plan, so whoever signs a card has seen them, and the guard reads them from what was signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from greenroom.domain.constitution import DayCaps

MAX_LINE = 200
MAX_TRAILERS = 8
MAX_VARIABLES = 32
OURS = "greenroom-"
"""Trailers with this beginning are the guard's own."""
_AUTHOR = re.compile(r"[^<>\s][^<>]* <[^<>\s]+>")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_RESERVED = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "CI", "COLUMNS", "SHELL", "IFS", "ENV", "BASH_ENV"})
_RESERVED_BEGINNINGS = ("LD_", "LC_", "PYTHON", "PYTEST", "GREENROOM", "GIT_", "SOURCE_DATE_EPOCH")
_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,63}): \S.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`author` is `Name <address>`, empty for Greenroom itself; `trailers` are lines `Token: value`.

    `environment` names the variables that the tests are given, besides the fixed ones.

    `changes`, `lines` and `risk` bound one subject's UTC day; None leaves the constitution's cap as it is.
    """

    author: str = ""
    trailers: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    changes: int | None = None
    lines: int | None = None
    risk: int | None = None

    @property
    def signs(self) -> bool:
        """True when the commit would carry somebody's words: then a person has to agree to it."""
        return bool(self.author or self.trailers)


def author_fault(author: str) -> str:
    """Why `author` is no author of a commit; empty when it is one."""
    if not author.isprintable():
        return "an author has no control, line-end or invisible characters"
    if len(author) > MAX_LINE or _AUTHOR.fullmatch(author) is None:
        return f"an author is `Name <address>` of at most {MAX_LINE} characters"
    return ""


def trailer_fault(trailer: str) -> str:
    """Why `trailer` is no trailer of a commit; empty when it is one."""
    if not trailer.isprintable():
        return "a trailer has no control, line-end or invisible characters"
    if len(trailer) > MAX_LINE or _TRAILER.fullmatch(trailer) is None:
        return f"a trailer is `Token: value` of at most {MAX_LINE} characters"
    return f"the trailers {OURS}... are the guard's own" if trailer.lower().startswith(OURS) else ""


def variable_fault(name: str) -> str:
    """Why tests are not given a variable of this name; empty when they may be."""
    if _VARIABLE.fullmatch(name) is None:
        return "a variable's name has letters, digits and underscores, at most 64"
    reserved = name in _RESERVED or name.startswith(_RESERVED_BEGINNINGS)
    return f"{name} is what the sandbox itself sets or runs on" if reserved else ""


def terms_fault(terms: Terms) -> str:
    """The first thing that is wrong with `terms`; empty when nothing is."""
    if len(terms.trailers) > MAX_TRAILERS:
        return f"a commit has at most {MAX_TRAILERS} trailers"
    if any(cap is not None and cap < 0 for cap in (terms.changes, terms.lines, terms.risk)):
        return "a cap is not negative"
    if len(terms.environment) > MAX_VARIABLES:
        return f"tests are given at most {MAX_VARIABLES} variables"
    faults = [author_fault(terms.author)] if terms.author else []
    faults += [*map(trailer_fault, terms.trailers), *map(variable_fault, terms.environment)]
    return next(filter(None, faults), "")


def lowered(caps: DayCaps, terms: Terms | None) -> DayCaps:
    """The constitution's caps, each lowered to what the terms say where that is less."""
    if terms is None:
        return caps
    return DayCaps(
        changes=_lower(caps.changes, terms.changes),
        lines=_lower(caps.lines, terms.lines),
        risk=_lower(caps.risk, terms.risk),
        spend_micro=caps.spend_micro,
    )


def _lower(cap: int, wished: int | None) -> int:
    return cap if wished is None else min(cap, wished)
