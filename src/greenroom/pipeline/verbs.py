"""The verbs: what every door may ask of the executor. Doors call these and nothing below.

Answers are plain JSON values, so that each door shows the same thing. A refusal or hold is part of the
answer (`verdict`), never an exception.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.change import Change, advance
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.events import Event
from greenroom.domain.ports import Attestor, Changes, Clock, Guard, Keeper, Proposer, Store
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, Move, Origin, Stage, State, Subject, Trust, address_of
from greenroom.pipeline.board import row
from greenroom.pipeline.changes import Board, Deliveries, Delivery, Line
from greenroom.pipeline.flow import Watcher
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.stages.plan import MAX_PROPOSAL_BYTES, read_proposal

Tell = Callable[[Mapping[str, Any]], None]
"""Receives progress: one JSON object an event."""

MODES = tuple(Mode)
PROMOTE_LATER = "promote-on-request"
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


class Runs(Protocol):
    """The part of the durable runs that verbs need."""

    def carry(self, change: ChangeId, watcher: Watcher | None = None) -> Change:
        """Start a run and wait for its end."""
        ...

    def unfinished(self) -> Iterable[ChangeId]:
        """Changes whose run was cut."""
        ...

    def close(self) -> None:
        """Let go of the runs' database."""
        ...


def _no_point(point: str) -> None:
    del point


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """All that the verbs work with; put together by bootstrap. `crash_point` is told each place between two saves."""

    changes: Changes
    board: Board
    deliveries: Deliveries
    store: Store
    guard: Guard
    keeper: Keeper
    attestor: Attestor
    clock: Clock
    runs: Runs
    proposers: Callable[[], Mapping[str, Callable[[Digest], Proposer]]]
    prepare: Callable[[Digest], tuple[Digest, tuple[str, ...]] | Held]
    crash_point: Callable[[str], None] = _no_point


def improve(
    house: House,
    directory: int,
    *,
    path: str,
    branch: str,
    only: Sequence[str],
    mode: Mode | None,
    tell: Tell,
) -> dict[str, Any]:
    """Import the repository behind the descriptor `directory`, find what is worth changing, carry each finding.

    `path` and `branch` name the subject; the keeper checks the descriptor itself. Every change ends refused, or
    held for a person.
    """
    subject = Subject(kind=Kind.WORKSPACE, address=address_of(path, branch))
    tell({"event": "import", "subject": str(subject)})
    brought = bring(house, subject, directory, path=path, branch=branch)
    if not isinstance(brought, Import):
        return {"subject": str(subject), "verdict": verdict_plain(brought), "changes": []}
    tell({"event": "imported", "tree": brought.tree, "commit": brought.commit})
    prepared = house.prepare(brought.tree)
    if isinstance(prepared, Held):
        return {"subject": str(subject), "live": brought.tree, "verdict": verdict_plain(prepared), "changes": []}
    golden, notes = prepared
    tell({"event": "prepared", "golden": golden, "notes": list(notes)})
    status = house.guard.status()
    lowered = status.mode if mode is None else min(mode, status.mode, key=MODES.index)
    answer: dict[str, Any] = {"subject": str(subject), "live": brought.tree, "changes": [], "known": [], "failed": []}
    for name, make in _chosen(house, only).items():
        _propose(house, name, make(golden), subject, brought, golden, lowered, answer, tell)
    return {**answer, "verdict": verdict_plain(_cut_short(house) or Passed()), "notes": list(notes)}


def bring(house: House, subject: Subject, directory: int, *, path: str, branch: str) -> Import | Refused | Held:
    """Import and adopt; open changes of another base are held as `base-moved`."""
    held = _undelivered(house, subject)
    if held is not None:
        return held
    envelope = house.keeper.bring(subject, directory, branch or None)
    if isinstance(envelope, Refused):
        return envelope
    body = house.attestor.open(house.store.get(envelope), Predicate.IMPORT, "keeper").body
    brought = documents.decode(Import, body)
    house.crash_point("import.brought")
    adopted = house.guard.adopt(envelope)
    house.crash_point("import.adopted")
    if isinstance(adopted, Refused):
        return adopted
    at = house.guard.position(subject)
    house.deliveries.put(
        Delivery(
            subject=str(subject),
            change="",
            repository=path,
            branch=brought.branch,
            delivered=brought.commit,
            wanted=brought.commit or at,
            pending="",
        )
    )
    house.crash_point("import.noted")
    _hold_moved(house, subject, brought)
    return brought


def show(house: House, change_id: str) -> dict[str, Any]:
    """All that is known of one change: its row, its card, the debate and who may do what next."""
    change = house.changes.get(ChangeId(change_id))
    proposal = read_proposal(house.store, change)
    return {
        **_row(house, change),
        "change": documents.to_plain(change),
        "proposal": documents.to_plain(proposal),
        "card": documents.to_plain(_card(house, change)) if change.card else None,
        "debate": documents.load_json(house.store.get(change.debate)) if change.debate else None,
    }


def diff(house: House, change_id: str) -> dict[str, Any]:
    """The digest of a change's patch in the store; patches are too large for a frame."""
    proposal = read_proposal(house.store, house.changes.get(ChangeId(change_id)))
    return {"change": change_id, "patch": proposal.patch}


def offer(house: House, change_id: str) -> dict[str, Any]:
    """What a person is asked to agree to: the papers to sign over, and the card they stand for."""
    change = house.changes.get(ChangeId(change_id))
    if change.state is not State.VERIFIED or change.hold is None or change.card is None:
        raise _wrong_state(change, "approve", "only a verified change that waits for approval can be approved")
    delivery = house.deliveries.get(change.subject)
    return {
        "change": change.id,
        "plan": change.plan,
        "green": change.green,
        "card": change.card,
        "delivery": dataclasses.asdict(delivery) if delivery else None,
        "show": show(house, change_id),
    }


def approve(house: House, change_id: str, envelope: bytes, *, promote: bool, tell: Tell) -> dict[str, Any]:
    """Hand the signed consent to the guard and carry the change on; to approved only unless `promote`."""
    change = house.changes.get(ChangeId(change_id))
    if change.state is not State.VERIFIED:
        raise _wrong_state(change, "approve", "only a verified change can be approved")
    consent = house.guard.consent(envelope)
    house.crash_point("consent.taken")
    if isinstance(consent, Refused):
        return {**_row(house, change), "verdict": verdict_plain(consent)}
    agreed = dataclasses.replace(change, consents=(*change.consents, consent), hold=None)
    if promote:
        house.changes.save(agreed)
        house.crash_point("consent.saved")
        return _carry_on(house, change.id, tell)
    later = Held(rule=PROMOTE_LATER, where="approved", remedy=f"greenroom promote {change.id}")
    saved = house.changes.save(dataclasses.replace(agreed, state=advance(agreed.state, Move.PASS), hold=later))
    house.crash_point("consent.saved-for-later")
    _log(house, saved, "approve.result", "passed")
    return {**_row(house, saved), "verdict": verdict_plain(Passed())}


def promote(house: House, change_id: str, *, tell: Tell) -> dict[str, Any]:
    """Carry an approved change through promote and watch; otherwise name the missing step."""
    change = house.changes.get(ChangeId(change_id))
    if change.state is not State.APPROVED:
        raise _wrong_state(change, "promote", _missing_step(change))
    house.changes.save(dataclasses.replace(change, hold=None))
    house.crash_point("release.saved")
    return _carry_on(house, change.id, tell)


def reject(house: House, change_id: str, *, why: str, actor: str) -> dict[str, Any]:
    """No: the change ends aborted. The reason is kept in the box, its digest in the log."""
    change = house.changes.get(ChangeId(change_id))
    if change.terminal or change.state in (State.PROMOTED, State.KEPT):
        raise _wrong_state(change, "reject", "it is over or live already; `greenroom revert` takes a live one back")
    state = advance(change.state, Move.ABORT)
    saved = house.changes.save(dataclasses.replace(change, state=state, hold=None, ended="rejected"))
    house.crash_point("reject.saved")
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
    return {**_row(house, saved), "verdict": verdict_plain(Passed())}


def revert(house: House, change_id: str, *, actor: str) -> dict[str, Any]:
    """Take a promoted or kept change back: a new commit with the earlier tree. Works under a stop."""
    change = house.changes.get(ChangeId(change_id))
    if change.state is State.REVERTED:
        return {**_row(house, change), "verdict": verdict_plain(Passed()), "delivery": _delivery(house, change.subject)}
    if change.state not in (State.PROMOTED, State.KEPT):
        raise _wrong_state(change, "revert", "it is not live")
    verdict = house.guard.revert(change.subject, change.id, actor)
    house.crash_point("revert.taken-back")
    if not isinstance(verdict, Passed):
        return {**_row(house, change), "verdict": verdict_plain(verdict)}
    commit = house.guard.position(change.subject)
    state = advance(change.state, Move.REVERT)
    saved = house.changes.save(dataclasses.replace(change, state=state, hold=None, ended="reverted", commit=commit))
    house.crash_point("revert.saved")
    _want(house, saved)
    house.crash_point("revert.wanted")
    row = {**_row(house, saved), "verdict": verdict_plain(Passed())}
    return {**row, "delivery": _delivery(house, change.subject)}


def resume(house: House, *, tell: Tell) -> dict[str, Any]:
    """Go on after a crash or a lift: carry every change whose run was cut or that a stop held."""
    for change in house.changes.list(open_only=True):
        if change.hold is not None and change.hold.rule == "stopped":
            house.changes.save(dataclasses.replace(change, hold=None))
    carried = [_carry_on(house, change_id, tell) for change_id in house.runs.unfinished()]
    return {"resumed": carried, "deliveries": pending(house)}


def delivered(house: House, subject: str, *, commit: str, pending: str) -> dict[str, Any]:
    """Record what became of a delivery: `pending` is the rule that keeps it waiting, empty when it arrived."""
    found = next((c.subject for c in house.changes.list() if str(c.subject) == subject), None)
    delivery = house.deliveries.get(found) if found else None
    if found is None or delivery is None or delivery.wanted != commit:
        raise NotFound("no-such-delivery", f"nothing is to be delivered to {subject}")
    done = dataclasses.replace(delivery, delivered=delivery.delivered if pending else commit, pending=pending)
    house.deliveries.put(done)
    house.crash_point("delivery.noted")
    event = Event(
        key=f"delivery/{commit}/{pending or 'done'}",
        at=house.clock.now(),
        actor="executor",
        name="delivery.pending" if pending else "delivery.done",
        change=ChangeId(delivery.change) if delivery.change else None,
        about=pending,
    )
    house.guard.append(event)
    return dataclasses.asdict(done)


def pending(house: House) -> list[dict[str, Any]]:
    """The deliveries that wait for the person's branch."""
    return [dataclasses.asdict(delivery) for delivery in house.deliveries.pending()]


def _propose(
    house: House,
    name: str,
    proposer: Proposer,
    subject: Subject,
    brought: Import,
    golden: Digest,
    mode: Mode,
    answer: dict[str, Any],
    tell: Tell,
) -> None:
    tell({"event": "propose", "proposer": name})
    try:
        found = list(proposer.propose(subject, brought.tree))
    except Unusable as error:
        answer["failed"].append({"proposer": name, "reference": error.reference, "message": str(error)})
        return
    for body in found:
        change = _new_change(house, name, body, subject, brought, golden, mode, answer)
        if change is not None:
            answer["changes"].append(_carry_on(house, change.id, tell))


def _new_change(
    house: House,
    name: str,
    body: bytes,
    subject: Subject,
    brought: Import,
    golden: Digest,
    mode: Mode,
    answer: dict[str, Any],
) -> Change | None:
    if len(body) > MAX_PROPOSAL_BYTES:
        answer["failed"].append({"proposer": name, "reference": "proposal-too-large", "message": f"{len(body)} bytes"})
        return None
    request = house.store.put("text", body)
    trust = min(Trust.BOX, Trust(brought.trust))
    change = Change(
        id=ChangeId("".join(secrets.choice(_ALPHABET) for _ in range(6))),
        subject=subject,
        origin=Origin(actor=f"proposer:{name}", door="improve", engine=None, prompt=None, trust=trust),
        request=request,
        mode=mode,
        state=State.PROPOSED,
        base=brought.tree,
        golden=golden,
    )
    proposal = read_proposal(house.store, change)
    known = [c for c in house.board.known(subject, proposal.fingerprint) if house.changes.get(c).base == brought.tree]
    if known:
        answer["known"].append(_row(house, house.changes.get(known[-1])))
        return None
    line = Line(change=change.id, summary=proposal.summary, rule=proposal.rule, fingerprint=proposal.fingerprint)
    house.board.put(line)
    house.crash_point("propose.lined")
    saved = house.changes.save(change)
    house.crash_point("propose.saved")
    return saved


def _carry_on(house: House, change_id: ChangeId, tell: Tell) -> dict[str, Any]:
    def watcher(change: Change, stage: Stage, phase: str, verdict: Verdict | None) -> None:
        event = {"event": "stage", "change": change.id, "stage": stage.value, "phase": phase}
        tell({**event, "verdict": verdict_plain(verdict) if verdict is not None else None})

    change = house.runs.carry(change_id, watcher)
    house.crash_point("carry.ended")
    if change.state in (State.PROMOTED, State.KEPT, State.REVERTED) and change.commit:
        _want(house, change)
        house.crash_point("carry.wanted")
    verdict: Verdict = change.hold or Passed()
    if change.state in (State.ABORTED, State.REVERTED):
        asked = Refused(rule=change.ended or "", where=change.state.value, remedy=f"greenroom show {change.id}")
        verdict = change.refused or asked
    return {**_row(house, change), "verdict": verdict_plain(verdict), "delivery": _delivery(house, change.subject)}


def _want(house: House, change: Change) -> None:
    delivery = house.deliveries.get(change.subject)
    wanted = house.guard.position(change.subject)
    if delivery is None or delivery.wanted == wanted or not delivery.branch:
        return
    waits = dataclasses.replace(delivery, change=change.id, wanted=wanted, pending="delivery-pending")
    house.deliveries.put(waits)


def _delivery(house: House, subject: Subject) -> dict[str, Any] | None:
    delivery = house.deliveries.get(subject)
    return dataclasses.asdict(delivery) if delivery is not None and delivery.pending else None


def _undelivered(house: House, subject: Subject) -> Held | None:
    delivery = house.deliveries.get(subject)
    if delivery is None or not delivery.pending:
        return None
    return Held(
        rule=delivery.pending,
        where=f"{delivery.repository} ({delivery.branch}) still lacks {delivery.wanted[:12]}",
        remedy=f"make the branch clean and at {delivery.delivered[:12]}, or `greenroom revert {delivery.change}`",
    )


def _cut_short(house: House) -> Held | None:
    """A stop that is set at the end of a scan cut it, wherever it was."""
    status = house.guard.status()
    if not status.stopped:
        return None
    remedy = "the owner lifts the stop with `greenroom lift`, which goes on; then greenroom improve again"
    return Held(rule="stopped", where=f"stop set by {status.stopped_by}", remedy=remedy)


def _hold_moved(house: House, subject: Subject, brought: Import) -> None:
    for change in house.changes.list(subject=subject, open_only=True):
        if change.base == brought.tree or change.state in (State.PROMOTED, State.KEPT):
            continue
        moved = Held(rule="base-moved", where=f"Blue is {brought.tree[:17]}", remedy="greenroom improve REPO again")
        house.changes.save(dataclasses.replace(change, hold=moved))


def _chosen(house: House, only: Sequence[str]) -> Mapping[str, Callable[[Digest], Proposer]]:
    proposers = house.proposers()
    unknown = sorted(set(only) - set(proposers))
    if unknown:
        raise Unusable(
            "unknown-proposer", f"no proposer {unknown[0]!r}", remedy=f"one of: {', '.join(sorted(proposers))}"
        )
    return {name: make for name, make in proposers.items() if not only or name in only}


def _card(house: House, change: Change) -> Card:
    if change.card is None:
        raise Unusable("no-card", f"change {change.id} has no card yet")
    return documents.decode(Card, house.store.get(change.card))


def _row(house: House, change: Change) -> dict[str, Any]:
    line = house.board.line(change.id)
    return row(change, line.summary if line else "", line.rule if line else "")


def _missing_step(change: Change) -> str:
    if change.state is State.VERIFIED:
        return f"it is not approved: `greenroom approve {change.id}`"
    if change.terminal or change.state in (State.PROMOTED, State.KEPT):
        return f"it is {change.state.value} already"
    why = f": held as {change.hold.rule}, {change.hold.remedy}" if change.hold else ""
    return f"it is only {change.state.value}{why}"


def _wrong_state(change: Change, verb: str, why: str) -> Unusable:
    return Unusable(
        "wrong-state",
        f"cannot {verb} {change.id}: it is {change.state.value}",
        where=why,
        remedy=f"greenroom show {change.id}",
    )


def _log(house: House, change: Change, name: str, about: str) -> None:
    event = Event(
        key=f"{change.id}/{change.version}/{name}",
        at=house.clock.now(),
        actor="executor",
        name=name,
        change=change.id,
        about=about,
    )
    house.guard.append(event)
