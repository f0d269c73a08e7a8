"""What a person can do about a change that others stand on: take all of them back, or undo it by a change."""

from __future__ import annotations

from typing import Any

from greenroom.domain.change import Change
from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline.house import House

NOT_LAST = "not-last"


def above(house: House, change: Change) -> tuple[list[ChangeId], int]:
    """The changes that stand on `change`, newest first, and how many imports of the person's own commits do."""
    standing = house.guard.standing(change.subject)
    at = max((number for number, each in enumerate(standing) if each.change == change.id), default=len(standing))
    later = standing[at + 1 :]
    return [each.change for each in reversed(later) if each.change is not None], sum(e.change is None for e in later)


def offers(house: House, change: Change) -> dict[str, Any]:
    """Both ways as commands, with what each would take back; the first is not there over the person's own commits."""
    ids, own = above(house, change)
    every = [*ids, change.id]
    all_after = {
        "how": "all-after",
        "line": f"greenroom revert {change.id} --all-after",
        "what": f"take back {', '.join(every)}, the last one first, each logged",
    }
    as_change = {
        "how": "as-change",
        "line": f"greenroom revert {change.id} --as-change",
        "what": f"propose the opposite of {change.id} as a change of its own, on what is live; it asks for approval",
    }
    return {"above": ids, "own_commits": own, "offers": [as_change] if own else [all_after, as_change]}


def remedy(house: House, change: Change) -> str:
    """The commands of both offers, for a verdict."""
    return " or ".join(f"`{offer['line']}` ({offer['what']})" for offer in offers(house, change)["offers"])
