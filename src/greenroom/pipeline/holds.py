"""What a change is held for, by rule, and the command that answers each hold."""

from __future__ import annotations

import dataclasses

from greenroom.domain.change import Change
from greenroom.domain.conditions import LIMITS
from greenroom.domain.standing import APPLY_WINDOW
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Stage, State

NEEDS_APPROVAL = "needs-approval"
PROMOTE_LATER = "promote-on-request"
REVERTING = "reverting"
"""The hold of a change whose revert began: a crash leaves it to `resume`."""
BASE_MOVED = "base-moved"
CONFLICT = "restack-conflict"
"""The hold of a change whose patch has no place on what is live."""
OUTSIDE = "outside-paths"
"""The hold or the end of a change that the settings of its base leave out: by path, or by proposer."""
NOT_ALLOWED = "test-command-not-allowed"
MOVED = frozenset({BASE_MOVED, CONFLICT, OUTSIDE})
"""Holds that end with a restack, or when the base is live again."""
OUTDATED = "outdated"
"""The hold of a change whose papers the guard would refuse since Greenroom, or what the owner signed, is another."""
CHILD_ONLY = MOVED | {OUTDATED}
"""Holds of what can go on only as a child, tried anew."""
STOPPED = "stopped"
TOOL_CRASH = "tool-crash"
"""The end of a change whose step broke down."""
QUEUED = "queued"
"""The hold of a proposal that no run has carried yet."""
GONE = "finding-gone"
"""The end of a queued proposal whose finding is there no longer."""
SUPERSEDED = "superseded"
"""The end of a change in whose place a child goes on."""
DEFERRED = "deferred"
"""The hold of a change that a person wants to be asked about later, at its `ask_again`."""
WITHDRAWN = "approval-withdrawn"
ANSWERED = frozenset(
    {
        APPLY_WINDOW,
        NEEDS_APPROVAL,
        "consent-expired",
        PROMOTE_LATER,
        REVERTING,
        BASE_MOVED,
        CONFLICT,
        OUTSIDE,
        OUTDATED,
        STOPPED,
        "live-differs",
        DEFERRED,
        WITHDRAWN,
    }
)
"""Holds whose remedy is a command of its own; every other is tried again by `greenroom resume ID`."""
RETRIED = frozenset({"inconclusive", *LIMITS.values(), "disk-low", "policy-mismatch", "bug", "rate-limit", NOT_ALLOWED})
"""Holds that nobody has to answer: `improve` tries such a change again, too."""


def again(change: ChangeId) -> str:
    """The command that tries the stage again at which a change is held."""
    return f"greenroom resume {change}"


def base_moved(change: Change, where: str) -> Held:
    """The hold of a change whose base is live no more: it can go on as a child, when somebody asks for it."""
    remedy = f"`greenroom approve {change.id}` moves it onto what is live, verifies it again and asks"
    if change.state is State.APPROVED and not change.consents:
        remedy = f"`greenroom resume` moves it onto what is live and verifies it again, when its turn comes; {remedy}"
    return Held(rule=BASE_MOVED, where=where, remedy=remedy)


def outdated_by(change: ChangeId, where: str) -> Held:
    """The hold of a change that can go on only as a child, by the tools and rules of today."""
    return Held(rule=OUTDATED, where=where, remedy=_by_todays_rules("approve", change))


def _after_crash(change: ChangeId) -> str:
    return f"`greenroom show {change} --runs` prints what the tool said; `greenroom retry {change}` tries it again"


def _by_todays_rules(verb: str, change: ChangeId) -> str:
    return f"`greenroom {verb} {change}` verifies it again, as a child, by the tools and rules of today"


def told(verdict: Verdict, change: Change, stage: Stage) -> Verdict:
    """`verdict` with a remedy that names the command to type, where the rule that spoke cannot know it."""
    if isinstance(verdict, Passed):
        return verdict
    verdict = dataclasses.replace(verdict, remedy=verdict.remedy.replace(" ID`", f" {change.id}`"))
    if change.state is State.PROMOTED:
        return verdict
    if verdict.rule == BASE_MOVED:
        return base_moved(change, verdict.where)
    if isinstance(verdict, Refused):
        if verdict.rule == "unknown-tool" and stage is not Stage.PLAN:
            return dataclasses.replace(verdict, remedy=_by_todays_rules("retry", change.id))
        if verdict.rule == TOOL_CRASH:
            return dataclasses.replace(verdict, remedy=_after_crash(change.id))
        return verdict
    if verdict.rule in ANSWERED:
        return verdict
    cause = f"{verdict.remedy.rstrip('.')}; then " if verdict.remedy else ""
    return dataclasses.replace(verdict, remedy=f"{cause}`{again(change.id)}` tries it again")


def queued() -> Held:
    """The hold of a proposal that waits to be carried."""
    remedy = "`greenroom improve REPO` carries the cheapest first; `greenroom resume ID` carries this one"
    return Held(rule=QUEUED, where="proposed, nothing of it is verified yet", remedy=remedy)


def uncarried(change: Change) -> bool:
    """True for a proposal of which nothing but the proposal exists: it can still be brought up to another base."""
    waits = change.hold is not None and change.hold.rule in (QUEUED, BASE_MOVED)
    return change.state is State.PROPOSED and change.plan is None and waits


def waits_for_condition(hold: Held) -> bool:
    """True when `greenroom resume ID` is what goes on with a change so held."""
    return hold.rule not in ANSWERED or hold.rule == STOPPED
