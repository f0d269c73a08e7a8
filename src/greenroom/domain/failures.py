"""A run outside the runs of changes that gave nothing: how the log tells of it. Pure.

The runs of a change leave their receipts with it. A scan, the reading of a repository's settings, an import and the
preparation of dependencies belong to no change: what fails there is an entry of the log, or would be known to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Tier

FAILED = "tool.failed"
"""The name of the entry. Its actor is what the run was for, its `about` tool, tier and rule."""
OUTSIDE: Mapping[str, str] = {"codegen": "scan", "settings": "settings", "import": "import", "prepare": "prepare"}
"""What a run is for that belongs to no change, by its check."""
FETCH = "fetch"
"""In the place of a tool: the broker that gets dependencies. It runs outside the walls, and has no tier."""
_NO_TIER = "-"
_TOLD = re.compile(r"([a-z0-9_]{1,64}) (T[0-3]|-) ([a-z0-9-]{1,60})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One such run: what it was for (`during`, a value of OUTSIDE), its tool and tier, the rule by which it failed."""

    during: str
    tool: str
    tier: Tier | None
    rule: str


def told(failure: Failure, run: str, at: Instant, receipt: Digest | None) -> Event:
    """The entry for the log; `run` tells one run from another, `receipt` is the keeper's record where there is one."""
    tier = _NO_TIER if failure.tier is None else f"T{int(failure.tier)}"
    return Event(
        key=f"{FAILED}/{run}",
        at=at,
        actor=failure.during,
        name=FAILED,
        about=f"{failure.tool} {tier} {failure.rule}",
        digests={"receipt": receipt} if receipt is not None else {},
    )


def read(entry: Mapping[str, Any]) -> Failure | None:
    """The failure that an entry of the log tells of; None where it tells of none, or not in this form."""
    if entry["name"] != FAILED or entry["actor"] not in OUTSIDE.values():
        return None
    found = _TOLD.fullmatch(str(entry["about"]))
    if found is None:
        return None
    tier = None if found[2] == _NO_TIER else Tier(int(found[2][1:]))
    return Failure(during=str(entry["actor"]), tool=found[1], tier=tier, rule=found[3])
