"""Standing consent: the owner's opt-ins, and the window in which what one lets through can still be cancelled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenroom.domain.digest import Digest
from greenroom.domain.proof import Evidence
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Subject

APPLY_WINDOW = "apply-window"
"""The rule of a change that waits in its window: consent was given, and it is no hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptIn:
    """The owner's standing yes to level 1 changes of `rule`.

    `id` is the digest of the signed order. `repository` is the directory it is for, empty for every one; `until` is
    when it ends, None for never.
    """

    id: Digest
    rule: str
    repository: str
    until: Instant | None
    added: Instant
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A change that `opt_in` lets through waits from `opened` to `ends`; `base` and `green` are what it would swap."""

    change: ChangeId
    subject: Subject
    base: Digest
    green: Digest
    opt_in: Digest
    opened: Instant
    ends: Instant


def covering(opt_ins: Iterable[OptIn], subject: Subject, rule: str, now: Instant) -> OptIn | None:
    """The opt-in that lets a level 1 change of `rule` to `subject` through at `now`; of several the one added first.

    No rule, no opt-in: what the keeper could not make again by a rule is nobody's finding.
    """
    fit = (each for each in opt_ins if rule and each.rule == rule and counts(each, now) and _is_for(each, subject))
    return min(fit, key=lambda each: (each.added, each.id), default=None)


def counts(opt_in: OptIn, now: Instant) -> bool:
    """True until it expires."""
    return opt_in.until is None or now < opt_in.until


def made_again_by(evidence: Iterable[Evidence]) -> str:
    """The rule by which the keeper made Green again from base, as its signed classification says; empty without one."""
    return next((item.facts.get("reproduced-by", "") for item in evidence if item.check == "classify"), "")


def _is_for(opt_in: OptIn, subject: Subject) -> bool:
    """True for the directory itself and for each branch of it; a branch with `#` in its name could be another's."""
    if not opt_in.repository or subject.address == opt_in.repository:
        return True
    place, mark, branch = subject.address.partition(f"{opt_in.repository}#")
    return not place and bool(mark) and "#" not in branch
