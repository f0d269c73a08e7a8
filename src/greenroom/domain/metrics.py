"""What a box did, in numbers: counted from the entries of its log and from the papers of its changes. Pure.

Every number is of things recorded; nothing is sampled or estimated. A share of nothing has no ratio, so that a quiet
box does not look like a perfect or a broken one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenroom.domain import failures
from greenroom.domain.vocabulary import Stage, Tier

WATCH = "watch"
"""The actor of an automatic revert."""
UNREAD = "{} change(s) have papers that cannot be read; their runs and debates are not counted"
OTHER = "other"
"""In the place of a tool: what is over MAX_KINDS."""
MAX_KINDS = 64
"""How many kinds of errors outside changes are told apart."""
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`good` of `of`."""

    good: int
    of: int

    @property
    def ratio(self) -> float | None:
        """Between 0 and 1; None where there was nothing."""
        return round(self.good / self.of, 4) if self.of else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long something took, in seconds: nearest-rank percentiles (NIST handbook, 7.2.6.2)."""

    count: int
    median: float
    p95: float
    longest: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What persons answered to the findings of one rule."""

    rule: str
    proposed: int
    approved: int
    rejected: int
    reverted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The runs of one tool; an error is a run that ended by a wall, a signal or an exit other than 0, or left no
    result. A failing test is a result, not an error."""

    tool: str
    tier: Tier
    runs: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsOutside:
    """Runs outside the runs of changes that gave nothing: what they were for (see `failures.OUTSIDE`), the tool and
    its tier, None for a program that is no tool."""

    during: str
    tool: str
    tier: Tier | None
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One sandbox run: its tool and tier, and whether it ended with a result."""

    tool: str
    tier: Tier
    ended_well: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What the papers of changes tell: of each debate, whether its reviewers agreed in the first round; every run;
    and how many changes have papers that cannot be read."""

    agreed: tuple[bool, ...]
    runs: tuple[Run, ...]
    unread: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """All of it. `stages` counts how each stage answered: `passed`, or the rule that refused or held."""

    entries: int
    changes: int
    stages: Mapping[str, Mapping[str, int]]
    stage_times: Mapping[str, Times]
    plan_typeability: Share
    debate_agreement: Share
    verify_passes: Share
    promote_success: Share
    reverts_by_person: int
    reverts_by_watch: int
    revert_times: Times
    tools: tuple[ToolUse, ...]
    outside: tuple[ErrorsOutside, ...]
    acceptance: tuple[Answers, ...]
    log_bytes: int
    backup_bytes: int
    warnings: tuple[str, ...] = ()


def measure(
    entries: Sequence[Mapping[str, Any]],
    *,
    rules: Mapping[str, str],
    papers: Papers,
    log_bytes: int,
    backup_bytes: int,
) -> Metrics:
    """Count. `entries` are log entries in order; `rules` maps a change to the rule that found it; bytes are as
    found on disk."""
    stages = _stages(entries)
    promoted = _changes(entries, "live.promoting")
    stood = _changes(entries, "live.marked-good")
    reverted = [entry for entry in entries if entry["name"] == "live.reverted"]
    by_watch = sum(1 for entry in reverted if entry["actor"] == WATCH)
    return Metrics(
        entries=len(entries),
        changes=len(_changes(entries, f"{Stage.PLAN.value}.intent")),
        stages=stages,
        stage_times={
            stage.value: _between(entries, f"{stage.value}.intent", f"{stage.value}.result") for stage in Stage
        },
        plan_typeability=_passed(stages[Stage.PLAN.value]),
        debate_agreement=Share(good=sum(papers.agreed), of=len(papers.agreed)),
        verify_passes=_passed(stages[Stage.VERIFY.value]),
        promote_success=Share(good=len(promoted & stood), of=len(promoted)),
        reverts_by_person=len(reverted) - by_watch,
        reverts_by_watch=by_watch,
        revert_times=_between(entries, "live.reverting", "live.reverted"),
        tools=_tools(papers.runs),
        outside=_outside(entries),
        acceptance=_acceptance(entries, rules),
        log_bytes=log_bytes,
        backup_bytes=backup_bytes,
        warnings=(UNREAD.format(papers.unread),) if papers.unread else (),
    )


def times(durations: Iterable[int]) -> Times:
    """The times of `durations`, in nanoseconds; all 0 where there are none."""
    ordered = sorted(durations)
    if not ordered:
        return Times(count=0, median=0.0, p95=0.0, longest=0.0, total=0.0)

    def rank(percent: int) -> float:
        return _seconds(ordered[max(0, -(-percent * len(ordered) // 100) - 1)])

    return Times(
        count=len(ordered),
        median=rank(50),
        p95=rank(95),
        longest=_seconds(ordered[-1]),
        total=_seconds(sum(ordered)),
    )


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / _NS, 6)


def _stages(entries: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {stage.value: Counter() for stage in Stage}
    for entry in entries:
        stage, _, phase = str(entry["name"]).partition(".")
        if phase == "result" and stage in found:
            found[stage][str(entry["about"])] += 1
    return {stage: dict(sorted(counted.items())) for stage, counted in found.items()}


def _passed(results: Mapping[str, int]) -> Share:
    return Share(good=results.get("passed", 0), of=sum(results.values()))


def _changes(entries: Iterable[Mapping[str, Any]], name: str) -> set[str]:
    return {str(entry["change"]) for entry in entries if entry["name"] == name}


def _between(entries: Iterable[Mapping[str, Any]], begins: str, ends: str) -> Times:
    """From the first `begins` of a change to the `ends` that follows it; what never ended is not counted."""
    begun: dict[str, int] = {}
    took: list[int] = []
    for entry in entries:
        change = str(entry["change"])
        if entry["name"] == begins:
            begun.setdefault(change, int(entry["at"]))
        elif entry["name"] == ends and change in begun:
            took.append(max(0, int(entry["at"]) - begun.pop(change)))
    return times(took)


def _tools(runs: Iterable[Run]) -> tuple[ToolUse, ...]:
    counted: Counter[tuple[str, Tier]] = Counter()
    errors: Counter[tuple[str, Tier]] = Counter()
    for run in runs:
        counted[run.tool, run.tier] += 1
        errors[run.tool, run.tier] += not run.ended_well
    return tuple(
        ToolUse(tool=tool, tier=tier, runs=count, errors=errors[tool, tier])
        for (tool, tier), count in sorted(counted.items())
    )


def _outside(entries: Iterable[Mapping[str, Any]]) -> tuple[ErrorsOutside, ...]:
    """At most MAX_KINDS + 1 rows: the last counts what is rarest, so that no log makes labels without end."""
    found = filter(None, map(failures.read, entries))
    ranked = Counter((each.during, each.tool, each.tier) for each in found).most_common()
    rows = [
        ErrorsOutside(during=during, tool=tool, tier=tier, errors=count)
        for (during, tool, tier), count in sorted(ranked[:MAX_KINDS], key=lambda row: row[0][:2])
    ]
    rest = sum(count for _, count in ranked[MAX_KINDS:])
    return (*rows, *([ErrorsOutside(during=OTHER, tool=OTHER, tier=None, errors=rest)] if rest else ()))


def _acceptance(entries: Iterable[Mapping[str, Any]], rules: Mapping[str, str]) -> tuple[Answers, ...]:
    answers: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for entry in entries:
        change, name = entry["change"], str(entry["name"])
        rule = rules.get(str(change)) if change else None
        if rule is None:
            continue
        answers[rule]["proposed"].add(change)
        if name in ("consent.given", "change.rejected", "live.reverted"):
            answers[rule][name].add(change)
    return tuple(
        Answers(
            rule=rule,
            proposed=len(found["proposed"]),
            approved=len(found["consent.given"]),
            rejected=len(found["change.rejected"]),
            reverted=len(found["live.reverted"]),
        )
        for rule, found in sorted(answers.items())
    )
