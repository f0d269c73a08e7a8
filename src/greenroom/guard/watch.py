"""Watch: marking a promotion good, from the keeper's receipts of the live tree; nothing else marks it."""

from __future__ import annotations

from greenroom.domain import documents, outcomes
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.verdict import Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId
from greenroom.guard.evidence import AGAIN, Case, EvidenceRoom, Found
from greenroom.guard.ledger import Generation
from greenroom.guard.room import Room
from greenroom.guard.warrants import open_warrant

CHECK = "live-tests"
LIVE_ROLE = "base-on-green"


def mark_good(room: Room, change: ChangeId, receipts: tuple[Digest, ...]) -> Verdict:
    """Mark the promotion of `change` good when `receipts` show the live tree passing. Twice is once."""
    tried = room.ledger.of_change(change)
    if not tried:
        return _not_promoted(change)
    try:
        with room.locks.of(tried[-1].subject):
            generation = room.ledger.of_change(change)[-1]
            if generation.state == "kept":
                return Passed(produced={"green": generation.green})
            if generation.state != "baking":
                return _not_promoted(change)
            return _judge(room, generation, receipts)
    except Unreachable:
        raise
    except Unusable as error:
        return Refused(rule=error.reference, where=error.where or error.message, remedy=error.remedy)


def _judge(room: Room, generation: Generation, receipts: tuple[Digest, ...]) -> Verdict:
    held = room.stop.held()
    if held is not None:
        return held
    live = room.release.live(generation.subject)
    if live != generation.green:
        return Refused(rule="live-moved", where=f"live is {live}", remedy="look at `greenroom log`")
    room.clock.now()
    found = _recompute(room, generation, receipts)
    verdict = outcomes.verdict_on(found.evidence)
    if not isinstance(verdict, Passed):
        return verdict
    evidence = room.store.put("output", documents.encode(found.evidence[0]))
    papers = {"warrant": generation.paper, "green": generation.green, "evidence": evidence}
    key = f"good/{generation.paper}"
    room.journal.write(
        "live.marked-good", key, change=generation.change, about=found.evidence[0].verdict, digests=papers
    )
    room.crash_point("watch.logged")
    room.ledger.move(generation.id, "kept")
    room.crash_point("watch.finished")
    return Passed(produced={"green": generation.green, "evidence": evidence})


def _recompute(room: Room, generation: Generation, receipts: tuple[Digest, ...]) -> Found:
    rules = room.rules.current()
    warrant = open_warrant(room, generation.paper)
    case = Case(
        plan_digest=warrant.plan,
        plan=documents.decode(Plan, room.store.get(warrant.plan)),
        green=generation.green,
        policy=rules.policy,
        min_share=rules.constitution.tests.min_share,
    )
    found = EvidenceRoom(room.store, room.attestor).recompute(case, (CHECK,), receipts, ())
    for run in found.runs:
        if run.receipt.check != CHECK:
            raise Unusable("receipt-unknown-role", "a watch takes receipts of the live tests only", where=run.digest)
        if run.receipt.role.removesuffix(AGAIN) == LIVE_ROLE and run.receipt.began < generation.at:
            where = f"run {run.receipt.run}"
            raise Unusable("receipt-too-old", "the run was made before the promotion", where=where, remedy=_RERUN)
    return found


_RERUN = "run the watch again"


def _not_promoted(change: ChangeId) -> Refused:
    remedy = "only a promotion that stands and is being watched can be marked good"
    return Refused(rule="not-promoted", where=change[:128], remedy=remedy)
