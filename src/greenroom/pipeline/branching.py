"""Changes that were delivered as branches: what a branch is made of, and what became of it.

A verified change is enough for a branch: nothing becomes live by it, and whoever merges it is the person themselves.
Their merge comes back as their own commit, taken in by a logged adoption.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from greenroom.domain.change import Change, advance
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.verdict import Held, Instant, Passed, Verdict
from greenroom.domain.vocabulary import ChangeId, Move, State, Subject, address_of
from greenroom.pipeline.branches import OPEN, Branch
from greenroom.pipeline.carrying import live_unnoted, row_of, under_stop
from greenroom.pipeline.deciding import CLOSED, remember
from greenroom.pipeline.holds import BASE_MOVED, DEFERRED
from greenroom.pipeline.house import House
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.stages.plan import read_proposal

FATES = ("merged", "squashed", CLOSED)
"""What becomes of a branch, and the word that the change then ends with."""


def branch_offer(house: House, change_id: str) -> dict[str, Any]:
    """What the branch of a change is made of, and the card that describes it; held where it cannot be made.

    Held `stopped` under a stop. Raises Unusable `wrong-state` for a change that is not verified or is live,
    `no-branch-of-a-release`.
    """
    change = house.changes.get(ChangeId(change_id))
    delivery = house.deliveries.get(change.subject)
    if delivery is None or not delivery.branch:
        remedy = f"greenroom diff {change.id} --patch"
        raise Unusable("no-branch-of-a-release", "an unpacked release has no branches", where=change.id, remedy=remedy)
    hold = change.hold
    if hold is not None and hold.rule in (BASE_MOVED, DEFERRED):
        return {**row_of(house, change), "verdict": verdict_plain(_told(hold, change))}
    _require_offerable(house, change)
    held = under_stop(house, f"greenroom lift, then greenroom pr {change.id}")
    if held is not None:
        return {**row_of(house, change), "verdict": verdict_plain(held)}
    if delivery.pending:
        where = f"{delivery.branch} still lacks what is live, {delivery.wanted[:12]}"
        held = Held(rule=delivery.pending, where=where, remedy="greenroom status says why")
        return {**row_of(house, change), "verdict": verdict_plain(held)}
    known = house.branches.get(change.id)
    return {
        **row_of(house, change),
        "verdict": verdict_plain(Passed()),
        "repository": delivery.repository,
        "target": delivery.branch,
        "onto": known.onto if known else delivery.delivered,
        "at": str(known.at if known else house.clock.now()),
        "message": f"{_line(read_proposal(house.store, change).summary)}\n\nGreenroom-Change: {change.id}\n",
    }


def branched(house: House, change_id: str, *, branch: str, onto: str, made: str, at: Instant) -> dict[str, Any]:
    """Record, and log, that a change was delivered as a branch; held `stopped` where nothing may follow, no push.

    A branch that was made before the stop came is there: it is recorded all the same.
    """
    change = house.changes.get(ChangeId(change_id))
    _log(house, change, "branched", f"{branch} {made[:12]}", made)
    house.branches.put(
        Branch(change=change.id, subject=str(change.subject), branch=branch, onto=onto, made=made, at=at)
    )
    held = under_stop(house, f"the branch is made; greenroom lift, then greenroom pr {change.id} --push")
    return {**row_of(house, change), "verdict": verdict_plain(held or Passed())}


def branches_of(house: House, path: str, branch: str) -> list[dict[str, Any]]:
    """The open branches of the changes of a repository's branch, for whoever can look at them."""
    address = address_of(path, branch)
    return [
        {**dataclasses.asdict(one), "at": str(one.at)}
        for subject in house.changes.subjects()
        if subject.address == address
        for one in house.branches.open_of(subject)
    ]


def settle_branches(house: House, subject: Subject, noticed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Move the changes whose branch was merged, squashed or closed, as a person's door `noticed`; what moved.

    A merge ends its change: the person's own commit, which was adopted before, has what it brings. A closed branch is
    a no: its findings do not come back until `reopen`.
    """
    moved = []
    for one in house.branches.open_of(subject):
        word = noticed.get(one.change, OPEN)
        if word not in FATES:
            continue
        change = house.changes.get(ChangeId(one.change))
        over = change.terminal or change.state in (State.PROMOTED, State.KEPT) or live_unnoted(house, change)
        _log(house, change, word, one.branch, one.made)
        if word == CLOSED and not over:
            remember(house, change, "rejected")
        if not over:
            _end(house, change, word)
        house.branches.put(dataclasses.replace(one, fate=word))
        moved.append({"change": one.change, "branch": one.branch, "fate": word})
    return moved


def on_its_way(house: House, change: Change) -> bool:
    """True for a change whose branch waits for the person: it is not proposed again on another base."""
    branch = house.branches.get(change.id)
    return branch is not None and branch.fate == OPEN


def _end(house: House, change: Change, word: str) -> None:
    if change.state is State.APPROVED:
        house.guard.withdraw(change.id, "executor")
    state = advance(change.state, Move.ABORT)
    house.changes.save(dataclasses.replace(change, state=state, hold=None, ended=word))


def _require_offerable(house: House, change: Change) -> None:
    if change.state in (State.VERIFIED, State.APPROVED) and change.card and not live_unnoted(house, change):
        return
    raise Unusable(
        "wrong-state",
        f"cannot make a branch of {change.id}: it is {change.state.value}",
        where="a verified change that is not live is delivered as a branch",
        remedy=f"greenroom show {change.id}",
    )


def _told(hold: Held, change: Change) -> Verdict:
    return dataclasses.replace(hold, remedy=f"greenroom retry {change.id}") if hold.rule == BASE_MOVED else hold


def _line(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()[:200] or "change"


def _log(house: House, change: Change, word: str, about: str, made: str) -> None:
    key = f"{change.id}/branch/{word}/{made}"
    event = Event(key=key, at=house.clock.now(), actor="executor", name=f"change.{word}", change=change.id, about=about)
    house.guard.append(event)
