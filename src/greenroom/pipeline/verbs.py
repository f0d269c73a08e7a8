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
from greenroom.domain.scan import Scan
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, Move, Origin, Stage, State, Subject, Trust, address_of
from greenroom.pipeline.board import row
from greenroom.pipeline.changes import Board, Deliveries, Delivery, Line, Settings
from greenroom.pipeline.flow import Watcher
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.stages.approve import NEEDS_APPROVAL
from greenroom.pipeline.stages.plan import MAX_PROPOSAL_BYTES, read_proposal

Tell = Callable[[Mapping[str, Any]], None]
"""Receives progress: one JSON object an event."""

MODES = tuple(Mode)
PROMOTE_LATER = "promote-on-request"
REVERTING = "reverting"
"""The hold of a change whose revert began: a crash leaves it to `resume`."""
BASE_MOVED = "base-moved"
TEST_COMMAND = "test-command"
RETRIED = frozenset({"inconclusive", "disk-low", "bug", "rate-limit"})
"""Holds that nobody has to answer: `improve` tries such a change again."""
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
    settings: Settings
    store: Store
    guard: Guard
    keeper: Keeper
    attestor: Attestor
    clock: Clock
    runs: Runs
    proposers: Callable[[], Mapping[str, Callable[[Digest], Proposer]]]
    prepare: Callable[[Digest], tuple[Digest, tuple[str, ...]] | Held]
    crash_point: Callable[[str], None] = _no_point
    optional: frozenset[str] = frozenset()
    """Proposers that run only when they are asked for."""


def improve(
    house: House,
    directory: int,
    *,
    path: str,
    branch: str,
    only: Sequence[str],
    mode: Mode | None,
    tell: Tell,
    test_command: str | None = None,
) -> dict[str, Any]:
    """Import the repository behind the descriptor `directory`, find what is worth changing, carry each finding.

    `path` and `branch` name the subject; the keeper checks the descriptor itself. Every change ends refused, or
    held for a person. When whoever asked hangs up (`tell.gone`), the change under way is finished and no other begun.
    `test_command` is kept for the subject, empty forgets it; it is shown on each card and binds each consent.
    """
    _chosen(house, only)
    subject = Subject(kind=Kind.WORKSPACE, address=address_of(path, branch))
    if test_command is not None:
        house.settings.put(subject, TEST_COMMAND, test_command)
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
    answer["scans"] = []
    for name, make in _chosen(house, only).items():
        if getattr(tell, "gone", False):
            break
        _propose(house, name, make(golden), subject, brought, golden, lowered, answer, tell)
    if mode is not None and mode is not lowered:
        notes = (*notes, f"the box is in mode {status.mode.value}; --mode may only lower it")
    return {**answer, "verdict": verdict_plain(_cut_short(house) or Passed()), "notes": list(notes)}


def bring(house: House, subject: Subject, directory: int, *, path: str, branch: str) -> Import | Refused | Held:
    """Import and adopt; open changes of another base are held as `base-moved`."""
    envelope = house.keeper.bring(subject, directory, branch or None)
    if isinstance(envelope, Refused):
        return envelope
    body = house.attestor.open(house.store.get(envelope), Predicate.IMPORT, "keeper").body
    brought = documents.decode(Import, body)
    house.crash_point("import.brought")
    held = _undelivered(house, subject, brought.commit)
    if held is not None:
        return held
    adopted = house.guard.adopt(envelope)
    house.crash_point("import.adopted")
    if isinstance(adopted, Refused):
        return adopted
    at = house.guard.position(subject)
    if adopted != brought.tree:
        if brought.branch:
            return _behind(brought, at)
        brought = dataclasses.replace(brought, tree=adopted)
    _note_import(house, subject, brought, path, at)
    house.crash_point("import.noted")
    _settle_siblings(house, subject)
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
    if change.hold is not None and change.hold.rule == BASE_MOVED:
        return {**_row(house, change), "verdict": verdict_plain(change.hold)}
    _require_approvable(change)
    return {
        "verdict": verdict_plain(Passed()),
        "change": change.id,
        "plan": change.plan,
        "green": change.green,
        "card": change.card,
        "show": show(house, change_id),
    }


def approve(house: House, change_id: str, envelope: bytes, *, promote: bool, tell: Tell) -> dict[str, Any]:
    """Hand the signed consent to the guard and carry the change on; to approved only unless `promote`."""
    change = house.changes.get(ChangeId(change_id))
    _require_approvable(change)
    stopped = None if promote else _stopped(house, f"lift it, then greenroom approve {change.id}")
    if stopped is not None:
        return {**_row(house, change), "verdict": verdict_plain(stopped)}
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
    _log(house, change, "approve/result", "passed")
    saved = house.changes.save(dataclasses.replace(agreed, state=advance(agreed.state, Move.PASS), hold=later))
    house.crash_point("consent.saved-for-later")
    return {**_row(house, saved), "verdict": verdict_plain(Passed())}


def promote(house: House, change_id: str, *, tell: Tell) -> dict[str, Any]:
    """Carry an approved change through promote and watch; otherwise name the missing step."""
    change = house.changes.get(ChangeId(change_id))
    if change.state is not State.APPROVED or _reverting(change):
        raise _wrong_state(change, "promote", _missing_step(change))
    if change.hold is not None:
        house.changes.save(dataclasses.replace(change, hold=None))
    house.crash_point("release.saved")
    return _carry_on(house, change.id, tell)


def reject(house: House, change_id: str, *, why: str, actor: str) -> dict[str, Any]:
    """No: the change ends aborted. The reason is kept in the box, its digest in the log."""
    change = house.changes.get(ChangeId(change_id))
    if change.terminal or change.state is State.PROMOTED or _live_unnoted(house, change):
        raise _wrong_state(change, "reject", "it is over or live already; `greenroom revert` takes a live one back")
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
    state = advance(change.state, Move.ABORT)
    saved = house.changes.save(dataclasses.replace(change, state=state, hold=None, ended="rejected"))
    house.crash_point("reject.saved")
    return {**_row(house, saved), "verdict": verdict_plain(Passed())}


def revert(house: House, change_id: str, *, actor: str) -> dict[str, Any]:
    """Take a promoted or kept change back: a new commit with the earlier tree. Works under a stop."""
    change = house.changes.get(ChangeId(change_id))
    if change.state is State.REVERTED:
        return {**_row(house, change), "verdict": verdict_plain(Passed()), "delivery": _delivery(house, change.subject)}
    if change.state not in (State.PROMOTED, State.KEPT) and not _live_unnoted(house, change):
        raise _wrong_state(change, "revert", "it is not live")
    begun = Held(rule=REVERTING, where="a revert is under way", remedy=f"greenroom revert {change.id}")
    noted = house.changes.save(dataclasses.replace(change, hold=begun))
    house.crash_point("revert.noted")
    verdict = house.guard.revert(change.subject, change.id, actor)
    house.crash_point("revert.taken-back")
    if not isinstance(verdict, Passed):
        kept = house.changes.save(dataclasses.replace(noted, hold=None if _reverting(change) else change.hold))
        return {**_row(house, kept), "verdict": verdict_plain(verdict)}
    commit = house.guard.position(change.subject)
    live = State.PROMOTED if change.state is State.APPROVED else change.state
    state = advance(live, Move.REVERT)
    saved = house.changes.save(dataclasses.replace(noted, state=state, hold=None, ended="reverted", commit=commit))
    house.crash_point("revert.saved")
    want(house, saved.subject)
    house.crash_point("revert.wanted")
    _settle_siblings(house, change.subject)
    row = {**_row(house, saved), "verdict": verdict_plain(Passed())}
    return {**row, "delivery": _delivery(house, change.subject)}


def resume(house: House, *, tell: Tell) -> dict[str, Any]:
    """Go on after a crash or a lift: finish reverts, carry each change that was cut or that a stop held, deliver."""
    reverted = [revert(house, change.id, actor="executor") for change in house.changes.list() if _reverting(change)]
    for change in house.changes.list(open_only=True):
        if change.hold is not None and change.hold.rule == "stopped":
            house.changes.save(dataclasses.replace(change, hold=None))
    carried = [_carry_on(house, change_id, tell) for change_id in house.runs.unfinished()]
    for subject in dict.fromkeys(change.subject for change in house.changes.list()):
        want(house, subject)
    return {"resumed": [*reverted, *carried], "deliveries": pending(house)}


def delivered(house: House, subject: str, *, commit: str, pending: str) -> dict[str, Any]:
    """Record what became of a delivery: `pending` is the rule that keeps it waiting, empty when it arrived."""
    found = next((c.subject for c in house.changes.list() if str(c.subject) == subject), None)
    delivery = house.deliveries.get(found) if found else None
    if found is None or delivery is None or delivery.wanted != commit:
        raise NotFound("no-such-delivery", f"nothing is to be delivered to {subject}")
    event = Event(
        key=f"delivery/{commit}/{pending or 'done'}",
        at=house.clock.now(),
        actor="executor",
        name="delivery.pending" if pending else "delivery.done",
        change=ChangeId(delivery.change) if delivery.change else None,
        about=pending,
    )
    house.guard.append(event)
    done = dataclasses.replace(delivery, delivered=delivery.delivered if pending else commit, pending=pending)
    house.deliveries.put(done)
    house.crash_point("delivery.noted")
    return dataclasses.asdict(done)


def branch_of(house: House, change_id: str) -> dict[str, Any] | None:
    """The person's branch that a change is to be delivered to; None for a release, which has none."""
    delivery = house.deliveries.get(house.changes.get(ChangeId(change_id)).subject)
    return dataclasses.asdict(delivery) if delivery is not None and delivery.branch else None


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
        _failed(answer, name, error)
        return
    scan = getattr(proposer, "scan", None)
    if isinstance(scan, Scan):
        answer["scans"].append({"proposer": name, **documents.to_plain(scan)})
    for body in found:
        if getattr(tell, "gone", False):
            return
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
    try:
        proposal = read_proposal(house.store, change)
    except Unusable as error:
        _failed(answer, name, error)
        return None
    same = [house.changes.get(found) for found in house.board.known(subject, proposal.fingerprint)]
    known = [found for found in same if found.base == brought.tree and _settled(found)]
    if known and known[-1].hold is not None and known[-1].hold.rule in RETRIED:
        return house.changes.save(dataclasses.replace(known[-1], hold=None))
    if known:
        answer["known"].append(_row(house, known[-1]))
        return None
    line = Line(change=change.id, summary=proposal.summary, rule=proposal.rule, fingerprint=proposal.fingerprint)
    house.board.put(line)
    house.crash_point("propose.lined")
    saved = house.changes.save(change)
    house.crash_point("propose.saved")
    return saved


def _failed(answer: dict[str, Any], name: str, error: Unusable) -> None:
    answer["failed"].append({"proposer": name, "reference": error.reference, "message": str(error)})


def _settled(change: Change) -> bool:
    """True when a finding is not proposed again on the same base: it is open, live, or a person said no to it."""
    return not change.terminal or change.state is State.KEPT or change.ended in ("rejected", "reverted")


def _carry_on(house: House, change_id: ChangeId, tell: Tell) -> dict[str, Any]:
    def watcher(change: Change, stage: Stage, phase: str, verdict: Verdict | None) -> None:
        event = {"event": "stage", "change": change.id, "stage": stage.value, "phase": phase}
        tell({**event, "verdict": verdict_plain(verdict) if verdict is not None else None})

    change = house.runs.carry(change_id, watcher)
    house.crash_point("carry.ended")
    if change.state in (State.PROMOTED, State.KEPT, State.REVERTED) and change.commit:
        want(house, change.subject)
        house.crash_point("carry.wanted")
        _settle_siblings(house, change.subject)
    verdict: Verdict = change.hold or (None if change.state is State.KEPT else _cut_short(house)) or Passed()
    if change.state in (State.ABORTED, State.REVERTED):
        asked = Refused(rule=change.ended or "", where=change.state.value, remedy=f"greenroom show {change.id}")
        verdict = change.refused or asked
    return {**_row(house, change), "verdict": verdict_plain(verdict), "delivery": _delivery(house, change.subject)}


def _live_unnoted(house: House, change: Change) -> bool:
    """True when the guard may have promoted an approved change that a crash kept from being saved as promoted."""
    return change.state is State.APPROVED and (_reverting(change) or house.guard.live(change.subject) == change.green)


def _reverting(change: Change) -> bool:
    return change.hold is not None and change.hold.rule == REVERTING


def _note_import(house: House, subject: Subject, brought: Import, path: str, at: str) -> None:
    delivery = Delivery(
        subject=str(subject),
        change=_last_live(house, subject),
        repository=path,
        branch=brought.branch,
        delivered=brought.commit,
        wanted=at,
        pending="delivery-pending" if brought.branch and brought.commit != at else "",
    )
    house.deliveries.put(delivery)


def want(house: House, subject: Subject) -> None:
    """The branch should have what is live; a delivery that a crash forgot is found here again."""
    delivery = house.deliveries.get(subject)
    if delivery is None or not delivery.branch:
        return
    wanted = house.guard.position(subject)
    if delivery.wanted != wanted:
        change = _last_live(house, subject)
        waits = dataclasses.replace(delivery, change=change, wanted=wanted, pending="delivery-pending")
        house.deliveries.put(waits)


def _last_live(house: House, subject: Subject) -> str:
    return next((change.id for change in reversed(house.changes.list(subject=subject)) if change.commit), "")


def _delivery(house: House, subject: Subject) -> dict[str, Any] | None:
    delivery = house.deliveries.get(subject)
    return dataclasses.asdict(delivery) if delivery is not None and delivery.pending else None


def _undelivered(house: House, subject: Subject, commit: str) -> Held | None:
    """What is live but not in the branch, which stands at `commit`: to take the branch in now would undo it."""
    delivery = house.deliveries.get(subject)
    if delivery is None or not delivery.branch or house.guard.position(subject) == commit:
        return None
    want(house, subject)
    delivery = house.deliveries.get(subject) or delivery
    if not delivery.pending:
        return None
    return Held(
        rule=delivery.pending,
        where=f"{delivery.repository} ({delivery.branch}) still lacks {delivery.wanted[:12]}",
        remedy=_remedy(delivery),
    )


def _behind(brought: Import, at: str) -> Held:
    """The branch went back to a commit that was taken in before; what is live since stays live."""
    return Held(
        rule="branch-behind",
        where=f"{brought.branch} is at {brought.commit[:12]}, live is {at[:12]}",
        remedy=f"bring the branch to {at[:12]}, commit on it, or take the live changes back with `greenroom revert`",
    )


def _cut_short(house: House) -> Held | None:
    """A stop that is set at the end of a scan cut it, wherever it was."""
    remedy = "the owner lifts the stop with `greenroom lift`, which goes on; then greenroom improve again"
    return _stopped(house, remedy)


def _stopped(house: House, remedy: str) -> Held | None:
    status = house.guard.status()
    if not status.stopped:
        return None
    return Held(rule="stopped", where=f"stop set by {status.stopped_by}", remedy=remedy)


def _remedy(delivery: Delivery) -> str:
    ways = f"make the branch clean and let it stand at {delivery.delivered[:12]}, with your own work on another branch"
    return f"{ways}; or `greenroom revert {delivery.change}`" if delivery.change else ways


def _settle_siblings(house: House, subject: Subject) -> None:
    """Hold the waiting changes whose base is no longer live; let those go on whose base is live again.

    What a crash cut, perhaps in the middle of its promotion, is left to `resume`.
    """
    live = house.guard.live(subject)
    for change in house.changes.list(subject=subject, open_only=True):
        cut = change.hold is None or _live_unnoted(house, change)
        if live is None or change.state is State.PROMOTED or cut:
            continue
        moved = change.hold is not None and change.hold.rule == BASE_MOVED
        if change.base != live and not moved:
            where = f"Blue is {live[:21]}, the change was made against {change.base[:21]}"
            hold = Held(rule=BASE_MOVED, where=where, remedy="`greenroom improve` proposes it again on what is live")
            house.changes.save(dataclasses.replace(change, hold=hold))
        elif change.base == live and moved:
            house.runs.carry(house.changes.save(dataclasses.replace(change, hold=None)).id)


def _chosen(house: House, only: Sequence[str]) -> Mapping[str, Callable[[Digest], Proposer]]:
    proposers = house.proposers()
    unknown = sorted(set(only) - set(proposers))
    if unknown:
        raise Unusable(
            "unknown-proposer", f"no proposer {unknown[0]!r}", remedy=f"one of: {', '.join(sorted(proposers))}"
        )
    wanted = set(only) or set(proposers) - house.optional
    return {name: make for name, make in proposers.items() if name in wanted}


def _card(house: House, change: Change) -> Card:
    if change.card is None:
        raise Unusable("no-card", f"change {change.id} has no card yet")
    return documents.decode(Card, house.store.get(change.card))


def _row(house: House, change: Change) -> dict[str, Any]:
    line = house.board.line(change.id)
    return row(change, line.summary if line else "", line.rule if line else "")


def _require_approvable(change: Change) -> None:
    """A verified change that waits for a yes, or an approved one whose yes has to be given again."""
    waits = change.hold is not None and change.card is not None
    rule = change.hold.rule if change.hold is not None else ""
    if waits and (change.state is State.APPROVED or (change.state is State.VERIFIED and rule == NEEDS_APPROVAL)):
        return
    raise _wrong_state(change, "approve", "only a verified change that waits for approval can be approved")


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


def _log(house: House, change: Change, stage_and_phase: str, about: str) -> None:
    """An entry of a stage that a verb takes itself; its key is the one that the flow would give it."""
    event = Event(
        key=f"{change.id}/{change.version}/{stage_and_phase}",
        at=house.clock.now(),
        actor="executor",
        name=stage_and_phase.replace("/", "."),
        change=change.id,
        about=about,
    )
    house.guard.append(event)
