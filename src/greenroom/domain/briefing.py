"""A briefing: what a box did in a span of time, and what waits for a person. Pure.

It is counted from entries of the log, rows of the board and the guard's ledger; nothing is sampled or estimated.

As JSON it is `STATE.json`, whose members docs/briefing.md lists. A member that a later release adds changes no other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenroom.domain.metrics import UNREAD, Papers
from greenroom.domain.verdict import Instant

SCHEMA = 1
MOST = 500
"""How many of each kind are listed; `counts` has all of them."""
QUEUED, DEFERRED, STOPPED, APPLY_WINDOW = "queued", "deferred", "stopped", "apply-window"
_BY_RULE = {
    "needs-approval": "greenroom approve {}",
    "promote-on-request": "greenroom promote {}",
    "base-moved": "greenroom approve {}",
    "outdated": "greenroom approve {}",
}
_COMMAND = re.compile(r"`(greenroom [^`]+)`")
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A change and what became of it. `found` is the rule that found it; `rule`, `where` and `remedy` are of what
    refused or holds it, empty where nothing does. `by` is who did it, as the log names them."""

    change: str
    subject: str
    summary: str
    found: str
    at: Instant | None = None
    by: str = ""
    rule: str = ""
    where: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """Something that was asked for beside changes: a confirmed request, or a run of tests; `what` says which or how it
    ended."""

    at: Instant
    by: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What it took: seconds in stages; sandbox runs, and those without a result; lines and risk of what went live;
    money of the UTC days that the span touches, in millionths."""

    stage_s: float
    runs: int
    run_errors: int
    lines: int
    risk: int
    money_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What needs a person: what it is about, why, and the command to type."""

    about: str
    why: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """All of it. `begins` to `ends` is the span; `held`, `queued`, `stopped` and `needs` are as of `made`."""

    schema: int
    begins: Instant
    ends: Instant
    made: Instant
    stopped: bool
    counts: Mapping[str, int]
    stages: Mapping[str, Mapping[str, int]]
    requests: tuple[Did, ...]
    tests: tuple[Did, ...]
    promoted: tuple[Item, ...]
    reverted: tuple[Item, ...]
    refused: tuple[Item, ...]
    held: tuple[Item, ...]
    queued: int
    spent: Spent
    needs: tuple[Need, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A delivery that waits for the person's branch, with the rule that keeps it."""

    repository: str
    branch: str
    rule: str


def brief(
    entries: Sequence[Mapping[str, Any]],
    *,
    begins: Instant,
    ends: Instant,
    now: Instant,
    rows: Sequence[Mapping[str, Any]],
    weights: Mapping[str, tuple[int, int]],
    money_micro: int,
    papers: Papers,
    pending: Iterable[Pending],
    stopped: bool,
) -> Briefing:
    """The briefing. `entries` are all entries of the log, in order; `rows` the board's rows of what is open now and of
    what the log names in the span; `weights` the lines and the risk of each warrant; `papers` of the changes carried.
    """
    within = [entry for entry in entries if begins <= int(entry["at"]) < ends]
    by_id = {str(row["id"]): row for row in rows}
    promoted = [_item(entry, by_id) for entry in within if entry["name"] == "live.promoted"]
    reverted = [_item(entry, by_id) for entry in within if entry["name"] == "live.reverted"]
    refused = list(_refused(within, by_id))
    waiting = [row for row in rows if row["held"] or row.get("window")]
    held = [_waits(row) for row in waiting if not row["held"] or row["held"]["rule"] != QUEUED]
    queued = len(waiting) - len(held)
    stages = _stages(within)
    carried = {str(entry["change"]) for entry in within if entry["name"] == "plan.intent"}
    counts = {"changes": len(carried), "promoted": len(promoted), "reverted": len(reverted), "refused": len(refused)}
    return Briefing(
        schema=SCHEMA,
        begins=begins,
        ends=ends,
        made=now,
        stopped=stopped,
        counts={**counts, "held": len(held), "adopted": sum(entry["name"] == "live.adopted" for entry in within)},
        stages=stages,
        requests=tuple(_did(within, "request.confirmed"))[-MOST:],
        tests=tuple(_did(within, "tests.ran"))[-MOST:],
        promoted=tuple(promoted[-MOST:]),
        reverted=tuple(reverted[-MOST:]),
        refused=tuple(refused[-MOST:]),
        held=tuple(held[-MOST:]),
        queued=queued,
        spent=_spent(within, weights, money_micro, papers),
        needs=tuple(_needs(waiting, pending, stopped=stopped, now=now))[:MOST],
        warnings=(UNREAD.format(papers.unread),) if papers.unread else (),
    )


def touched(entries: Iterable[Mapping[str, Any]], begins: int, ends: int) -> set[str]:
    """The changes that the log names in the span."""
    return {str(entry["change"]) for entry in entries if entry["change"] and begins <= int(entry["at"]) < ends}


def _item(entry: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> Item:
    return _of(str(entry["change"]), by_id, at=Instant(int(entry["at"])), by=str(entry["actor"]))


def _of(change: str, by_id: Mapping[str, Mapping[str, Any]], **more: Any) -> Item:
    """A change as the board knows it; by its id alone where the board does not."""
    row = by_id.get(change, {"subject": "", "summary": "", "rule": ""})
    return Item(change=change, subject=str(row["subject"]), summary=str(row["summary"]), found=str(row["rule"]), **more)


def _refused(within: Iterable[Mapping[str, Any]], by_id: Mapping[str, Mapping[str, Any]]) -> Iterable[Item]:
    """The changes that a stage of the span ended, in the order in which they ended."""
    ended: dict[str, Mapping[str, Any]] = {}
    for entry in within:
        if str(entry["name"]).endswith(".result") and entry["about"] != "passed":
            ended[str(entry["change"])] = entry
    for change, entry in ended.items():
        why = by_id.get(change, {}).get("refused")
        if why and why["rule"] == entry["about"]:
            at, said = Instant(int(entry["at"])), {name: str(why[name]) for name in ("rule", "where", "remedy")}
            yield _of(change, by_id, at=at, by=str(entry["name"]).partition(".")[0], **said)


def _waits(row: Mapping[str, Any]) -> Item:
    remedy = f"`greenroom cancel {row['id']}` keeps it from being applied"
    why = row["held"] or {"rule": APPLY_WINDOW, "where": "it is applied when its window is over", "remedy": remedy}
    said = {name: str(why[name]) for name in ("rule", "where", "remedy")}
    return _of(str(row["id"]), {str(row["id"]): row}, **said)


def _did(within: Iterable[Mapping[str, Any]], name: str) -> Iterable[Did]:
    for entry in within:
        if entry["name"] == name:
            yield Did(at=Instant(int(entry["at"])), by=str(entry["actor"]), what=str(entry["about"]))


def _stages(within: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How each stage answered, by stage and rule."""
    found: dict[str, Counter[str]] = {}
    for entry in within:
        stage, _, phase = str(entry["name"]).partition(".")
        if phase == "result":
            found.setdefault(stage, Counter())[str(entry["about"])] += 1
    return {stage: dict(sorted(counted.items())) for stage, counted in sorted(found.items())}


def _spent(
    within: Sequence[Mapping[str, Any]], weights: Mapping[str, tuple[int, int]], money_micro: int, papers: Papers
) -> Spent:
    live = [weights.get(str(entry["digests"].get("warrant")), (0, 0)) for entry in within if _promotes(entry)]
    return Spent(
        stage_s=_stage_seconds(within),
        runs=len(papers.runs),
        run_errors=sum(not run.ended_well for run in papers.runs),
        lines=sum(lines for lines, _ in live),
        risk=sum(risk for _, risk in live),
        money_micro=money_micro,
    )


def _promotes(entry: Mapping[str, Any]) -> bool:
    return bool(entry["name"] == "live.promoted")


def _stage_seconds(within: Iterable[Mapping[str, Any]]) -> float:
    """From each stage's intent to its result; what did not end in the span is not counted."""
    begun: dict[tuple[str, str], int] = {}
    total = 0
    for entry in within:
        stage, _, phase = str(entry["name"]).partition(".")
        key = (str(entry["change"]), stage)
        if phase == "intent":
            begun[key] = int(entry["at"])
        elif phase == "result" and key in begun:
            total += max(0, int(entry["at"]) - begun.pop(key))
    return round(total / _NS, 3)


def _needs(
    waiting: Iterable[Mapping[str, Any]], pending: Iterable[Pending], *, stopped: bool, now: Instant
) -> Iterable[Need]:
    if stopped:
        yield Need(about="the box", why="a stop is set: nothing runs", command="greenroom lift")
    for each in pending:
        where = f"{each.repository} ({each.branch})"
        yield Need(about=where, why=f"{each.rule}: live in the box, not in your branch", command="greenroom status")
    for row in waiting:
        hold = row["held"]
        if hold is None or hold["rule"] in (QUEUED, STOPPED) or _later(hold, now):
            continue
        yield Need(
            about=f"{row['id']}: {row['summary']}", why=str(hold["rule"]), command=_command(str(row["id"]), hold)
        )


def _later(hold: Mapping[str, Any], now: Instant) -> bool:
    """True for what a person wants to be asked about at a time that is still to come."""
    again = hold.get("ask_again")
    return hold["rule"] == DEFERRED and again is not None and int(again) > now


def _command(change: str, hold: Mapping[str, Any]) -> str:
    """The command that answers a hold: its rule's, else the first that its remedy names in full."""
    if hold["rule"] in _BY_RULE:
        return _BY_RULE[hold["rule"]].format(change)
    named = [found for found in _COMMAND.findall(str(hold["remedy"])) if not re.search(r"\b(?:ID|REPO|FILE)\b", found)]
    return str(named[0]) if named else f"greenroom show {change}"
