"""A person's word on findings: no, ask again later, or ask again at once; and what `improve` leaves out for it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from greenroom.domain.change import Change, advance
from greenroom.domain.diffs import parse, paths
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.findings import Decision, Said, without
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Move, State, Subject
from greenroom.pipeline.carrying import carry_on, live_unnoted, row_of, under_stop
from greenroom.pipeline.decisions import findings_of, names_of
from greenroom.pipeline.holds import DEFERRED, SUPERSEDED, queued
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.lineage import child_of, fingerprint
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.restack import withdraw_earlier
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES, read_proposal

REJECTED, REOPENED, CLOSED = "rejected", "reopened", "closed"
NO = (REJECTED, CLOSED)
"""How a change ended that a person said no to."""
LIVE = "it is live already; `greenroom revert` takes a live one back"
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What is left of a proposal, None when nothing is, and the decisions that took the rest of it away."""

    proposal: Proposal | None
    withheld: tuple[Decision, ...] = ()


def reject(house: House, change_id: str, *, why: str, actor: str) -> dict[str, Any]:
    """No, and not again: the change ends aborted, and its findings are left out until their code changes.

    The reason is kept in the box, its digest in the log. A change that was refused, superseded or taken back can be
    rejected too: it stays as it ended, and its findings do not come back. Raises Unusable `wrong-state` for one that
    is live or rejected.
    """
    change = house.changes.get(ChangeId(change_id))
    _require_undecided(house, change, "reject")
    if change.window is not None:
        house.guard.cancel_window(change.id, actor)
    if change.state is State.APPROVED and isinstance(house.guard.withdraw(change.id, actor), Refused):
        raise _wrong_state(change, "reject", LIVE)
    withdraw_earlier(house, change, actor)
    reason = house.store.put("text", why.encode("utf-8", "replace"))
    event = Event(
        key=f"{change.id}/reject",
        at=house.clock.now(),
        actor=actor,
        name="change.rejected",
        change=change.id,
        digests={"reason": reason},
    )
    house.guard.append(event)
    house.crash_point("reject.logged")
    remember(house, change, "rejected")
    return _answer(house, _end(house, change, REJECTED, "reject.saved"))


def defer(house: House, change_id: str, *, until: Instant, actor: str) -> dict[str, Any]:
    """Not before `until`: the change waits, and its findings are left out until then. Raises as `reject`, and
    `time-is-past`; an approved change is `wrong-state`: its approval has to be withdrawn first."""
    change = house.changes.get(ChangeId(change_id))
    _require_undecided(house, change, "defer")
    if change.state is State.APPROVED:
        raise _wrong_state(change, "defer", "it is approved", f"greenroom cancel {change.id}, then defer it")
    if until <= house.clock.now():
        raise Unusable("time-is-past", "the time to ask again is not to come", remedy="name a time to come")
    key = f"{change.id}/{change.version}/defer/{until}"
    event = Event(
        key=key, at=house.clock.now(), actor=actor, name="change.deferred", change=change.id, about=iso(until)
    )
    house.guard.append(event)
    remember(house, change, "deferred", until)
    if change.terminal:
        return _answer(house, change)
    remedy = f"greenroom reopen {change.id} asks at once; `greenroom improve` asks again then"
    hold = Held(rule=DEFERRED, where=f"until {iso(until)}", remedy=remedy, ask_again=until)
    return _answer(house, house.changes.save(dataclasses.replace(change, hold=hold)))


def reopen(house: House, change_id: str, *, actor: str, tell: Tell) -> dict[str, Any]:
    """Take a no or a later back. A change that waits goes on; one that ended is proposed again, as its child.

    Held `stopped` under a stop. Raises Unusable `wrong-state` where nobody said anything that could be taken back.
    """
    change = house.changes.get(ChangeId(change_id))
    decided = house.decisions.among(change.subject, findings_of(house.store, change))
    waits = change.hold is not None and change.hold.rule == DEFERRED
    if not decided and not waits and change.ended not in NO:
        ended = change.terminal and change.ended != SUPERSEDED
        remedy = f"greenroom retry {change.id} carries its proposal again" if ended else ""
        raise _wrong_state(change, "reopen", "nobody rejected or deferred it", remedy)
    stopped = under_stop(house, f"greenroom lift, then greenroom reopen {change.id}")
    if stopped is not None:
        return {**row_of(house, change), "verdict": verdict_plain(stopped)}
    key = f"{change.id}/{change.version}/reopen"
    house.guard.append(Event(key=key, at=house.clock.now(), actor=actor, name="change.reopened", change=change.id))
    house.decisions.forget(change.subject, decided)
    if waits:
        return _go_on(house, change, tell)
    if not change.terminal:
        return _answer(house, change)
    saved = house.changes.save(dataclasses.replace(change, ended=REOPENED)) if change.ended in NO else change
    child = child_of(house, saved, read_proposal(house.store, saved))
    if isinstance(child, Held):
        return {**row_of(house, saved), "verdict": verdict_plain(child)}
    return {**carry_on(house, child.id, tell), "parent": change.id}


def sift(house: House, subject: Subject, proposal: Proposal) -> Sifted:
    """`proposal` without the findings that a person said no or later to, while that holds."""
    named = names_of(house.store, proposal)
    now = house.clock.now()
    found = house.decisions.among(subject, named)
    gone = {name: one for name, one in found.items() if one.holds(now)}
    if not gone:
        return Sifted(proposal=proposal)
    withheld = tuple(gone[name] for name in named if name in gone)
    if len(gone) == len(named):
        return Sifted(proposal=None, withheld=withheld)
    return Sifted(proposal=_rest(house, proposal, gone), withheld=withheld)


def wake(house: House, subject: Subject, tell: Tell) -> None:
    """Ask again about the changes of `subject` that were deferred until now."""
    now = house.clock.now()
    for change in house.changes.list(subject=subject, open_only=True, held=DEFERRED):
        hold = change.hold
        if hold is not None and hold.ask_again is not None and hold.ask_again <= now:
            _go_on(house, change, tell)


def remember(house: House, change: Change, said: Said, until: Instant | None = None) -> None:
    """Keep a person's word on every finding of `change`."""
    named = findings_of(house.store, change)
    made = [Decision(finding=name, change=change.id, said=said, until=until) for name in named]
    house.decisions.put(change.subject, made)


def note_withheld(answer: dict[str, Any], proposer: str, proposal: Proposal, sifted: Sifted) -> None:
    """Count what was left out of a proposal in the answer of `improve`: by itself, and in the proposer's table.

    In the table the findings move from proposed to dropped; where the tool counted fewer, as many as it counted.
    """
    if not sifted.withheld:
        return
    reasons = withheld_as(sifted.withheld)
    listed = answer.setdefault("withheld", [])
    listed += [
        {"proposer": proposer, "rule": proposal.rule, "reason": why, "findings": n} for why, n in reasons.items()
    ]
    for counts in (scan["counts"] for scan in answer["scans"] if scan["proposer"] == proposer):
        for why, number in reasons.items():
            moved = min(number, counts["proposed"])
            counts["proposed"] -= moved
            counts["dropped"] = {**counts["dropped"], why: counts["dropped"].get(why, 0) + moved}


def withheld_as(decisions: Collection[Decision]) -> dict[str, int]:
    """How many findings were left out, by reason, in the words of the scan's table."""
    counts: dict[str, int] = {}
    for one in decisions:
        reason = "rejected before" if one.until is None else f"deferred until {iso(one.until)[:10]}"
        counts[reason] = counts.get(reason, 0) + 1
    return counts


def iso(at: Instant) -> str:
    """An instant as ISO 8601, in UTC, to the second."""
    return datetime.datetime.fromtimestamp(at // _SECOND, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _go_on(house: House, change: Change, tell: Tell) -> dict[str, Any]:
    """Carry a deferred change on; one that nothing was tried of yet waits in the queue again."""
    if change.plan is None:
        return _answer(house, house.changes.save(dataclasses.replace(change, hold=queued())))
    house.changes.save(dataclasses.replace(change, hold=None))
    return carry_on(house, change.id, tell)


def _rest(house: House, proposal: Proposal, gone: Collection[str]) -> Proposal:
    patch = without(proposal.rule, house.store.get(proposal.patch, MAX_PATCH_BYTES), gone)
    return dataclasses.replace(
        proposal,
        summary=f"{proposal.summary}, without {len(gone)} decided before",
        patch=house.store.put("blob", patch),
        files=paths(parse(patch)),
        fingerprint=fingerprint(proposal.rule, patch),
        reproduce="",
    )


def _end(house: House, change: Change, word: str, point: str) -> Change:
    if change.terminal:
        return change
    state = advance(change.state, Move.ABORT)
    saved = house.changes.save(dataclasses.replace(change, state=state, hold=None, window=None, ended=word))
    house.crash_point(point)
    return saved


def _require_undecided(house: House, change: Change, verb: str) -> None:
    if change.state in (State.PROMOTED, State.KEPT) or live_unnoted(house, change):
        raise _wrong_state(change, verb, LIVE)
    if change.ended in NO:
        raise _wrong_state(change, verb, f"it is {change.ended} already", f"greenroom reopen {change.id}")


def _answer(house: House, change: Change) -> dict[str, Any]:
    return {**row_of(house, change), "verdict": verdict_plain(Passed())}


def _wrong_state(change: Change, verb: str, why: str, remedy: str = "") -> Unusable:
    return Unusable(
        "wrong-state",
        f"cannot {verb} {change.id}: it is {change.state.value}",
        where=why,
        remedy=remedy or f"greenroom show {change.id}",
    )
