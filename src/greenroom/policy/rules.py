"""The rules of the gate as a person meets them: in which order they speak, and what would make each pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from greenroom.domain.verdict import Held, Instant, Refused

_DAY = 24 * 60 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: refused for good, or `held` until something outside the change is different."""

    id: str
    remedy: str
    held: bool = False
    next_day: bool = False


_AGAIN = "propose the change again, with `greenroom improve`"
_CAP = "wait for the next day (UTC), or raise the cap with `greenroom constitution edit`"

ORDER = (
    Rule(id="stopped", remedy="the owner lifts the stop with `greenroom lift`", held=True),
    Rule(id="plan-missing", remedy=_AGAIN),
    Rule(id="plan-mismatch", remedy=_AGAIN),
    Rule(id="unknown-subject", remedy="import the subject first, with `greenroom improve`"),
    Rule(id="base-moved", remedy=_AGAIN),
    Rule(id="plan-empty", remedy="a plan has at least one step"),
    Rule(id="plan-too-long", remedy="split the plan, or raise plan.max_steps with `greenroom constitution edit`"),
    Rule(id="plan-order", remedy="give each step its own id, and name only earlier steps in `after`"),
    Rule(id="plan-too-parallel", remedy="put steps after each other, or raise plan.max_parallel"),
    Rule(id="unknown-tool", remedy="use a tool whose manifest is in the signed policy"),
    Rule(id="argument", remedy="give the argument as the tool's manifest allows it"),
    Rule(id="trust-raised", remedy="label each argument with the lowest trust of the words it came from"),
    Rule(id="tripcode-needed", remedy="a tool of this tier needs a signed tripcode; there is none"),
    Rule(id="network-denied", remedy="no tool of a plan reaches the network"),
    Rule(id="never", remedy="the constitution forbids this, whoever agrees"),
    Rule(id="layer-missing", remedy="see `greenroom doctor` for the layer and how to enable it"),
    Rule(id="not-sealed", remedy=_AGAIN),
    Rule(id="not-rehearsed", remedy=_AGAIN),
    Rule(id="snapshot-missing", remedy="build the change again: the keeper keeps Green before such a step"),
    Rule(id="nothing-changed", remedy="Green is the same as Blue: there is nothing to promote"),
    Rule(id="evidence-of-another-green", remedy=_AGAIN),
    Rule(id="evidence-missing", remedy=_AGAIN),
    Rule(id="evidence-failed", remedy="see what failed with `greenroom show ID --runs`"),
    Rule(id="evidence-unusable", remedy=_AGAIN),
    Rule(
        id="path-not-allowed",
        remedy="leave the path out, or add it to allowed_paths with `greenroom constitution edit`",
    ),
    Rule(
        id="greenroom-itself",
        remedy="take Greenroom in as its git repository: words from an untrusted place may not touch it",
    ),
    Rule(id="protected-path", remedy="leave the path out: words from an untrusted place may not touch it"),
    Rule(id="policy-mismatch", remedy="`greenroom improve` asks again, with the policy in force", held=True),
    Rule(
        id="violation-seen",
        remedy="see the run with `greenroom show ID --runs`, then propose the change again",
        held=True,
    ),
    Rule(id="evidence-inconclusive", remedy="see the run with `greenroom show ID --runs`", held=True),
    Rule(id="probe-short", remedy="what is live has to answer its probes for long enough", held=True),
    Rule(id="health", remedy="see `greenroom doctor`", held=True),
    Rule(id="disk-low", remedy="free some disk space", held=True),
    Rule(id="day-cap-changes", remedy=_CAP, held=True, next_day=True),
    Rule(id="day-cap-lines", remedy=_CAP, held=True, next_day=True),
    Rule(id="day-cap-risk", remedy=_CAP, held=True, next_day=True),
    Rule(id="day-cap-spend", remedy=_CAP, held=True, next_day=True),
)
"""First come the rules that end a change, but for the stop, which dominates; then those that only make it wait."""

DEFAULT_DENY = Rule(id="not-permitted", remedy="nothing in the policy permits this")


def verdict(broken: Collection[str], details: Mapping[str, Refused | Held], where: str, now: Instant) -> Refused | Held:
    """The verdict of the first rule among `broken`; `details` knows more of some, `where` is the place of the rest."""
    rule = next((rule for rule in ORDER if rule.id in broken), DEFAULT_DENY)
    detail = details.get(rule.id)
    if detail is None:
        detail = Refused(rule=rule.id, where=where, remedy=rule.remedy)
    if not rule.held:
        return detail
    return Held(
        rule=detail.rule,
        where=detail.where,
        remedy=detail.remedy or rule.remedy,
        ask_again=Instant(now - now % _DAY + _DAY) if rule.next_day else None,
    )


def remedy_of(rule: str) -> str:
    """What would make the rule pass."""
    return next(known.remedy for known in ORDER if known.id == rule)
