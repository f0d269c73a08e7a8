"""What a change is held for, by rule, and the command that answers each hold."""

from __future__ import annotations

import dataclasses

from greenroom.domain.change import Change
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Stage, State

NEEDS_APPROVAL = "needs-approval"
PROMOTE_LATER = "promote-on-request"
REVERTING = "reverting"
"""The hold of a change whose revert began: a crash leaves it to `resume`."""
BASE_MOVED = "base-moved"
STOPPED = "stopped"
DEFERRED = "deferred"
"""The hold of a change that a person wants to be asked about later, at its `ask_again`."""
WITHDRAWN = "approval-withdrawn"
ANSWERED = frozenset(
    {
        NEEDS_APPROVAL,
        "consent-expired",
        PROMOTE_LATER,
        REVERTING,
        BASE_MOVED,
        STOPPED,
        "live-differs",
        DEFERRED,
        WITHDRAWN,
    }
)
"""Holds whose remedy is a command of its own; every other is tried again by `greenroom resume ID`."""
RETRIED = frozenset({"inconclusive", "disk-low", "policy-mismatch", "bug", "rate-limit"})
"""Holds that nobody has to answer: `improve` tries such a change again, too."""
_REPLAN = "the signed tools changed since it was planned: `greenroom improve` proposes it again with those of today"


def again(change: ChangeId) -> str:
    """The command that tries the stage again at which a change is held."""
    return f"greenroom resume {change}"


def told(verdict: Verdict, change: Change, stage: Stage) -> Verdict:
    """`verdict` with a remedy that names the command to type, where the rule that spoke cannot know it."""
    if isinstance(verdict, Passed) or change.state is State.PROMOTED:
        return verdict
    if isinstance(verdict, Refused):
        outdated = verdict.rule == "unknown-tool" and stage is not Stage.PLAN
        return dataclasses.replace(verdict, remedy=_REPLAN) if outdated else verdict
    if verdict.rule in ANSWERED:
        return verdict
    cause = f"{verdict.remedy.rstrip('.')}; then " if verdict.remedy else ""
    return dataclasses.replace(verdict, remedy=f"{cause}`{again(change.id)}` tries it again")


def waits_for_condition(hold: Held) -> bool:
    """True when `greenroom resume ID` is what goes on with a change so held."""
    return hold.rule not in ANSWERED or hold.rule == STOPPED
