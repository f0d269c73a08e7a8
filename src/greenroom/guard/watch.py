"""Watch: marking a promotion good, from the keeper's receipts of the live tree; nothing else marks it."""

from __future__ import annotations

import dataclasses

from greenroom.domain import documents, outcomes
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.proof import Evidence, Warrant
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Origin, Stage, State, Trust
from greenroom.guard.evidence import AGAIN, Case, EvidenceRoom, Found
from greenroom.guard.facts import gather
from greenroom.guard.ledger import Generation
from greenroom.guard.room import Room
from greenroom.guard.warrants import open_warrant

CHECK = "live-tests"
LIVE_ROLE = "base-on-green"
TESTS = ("tests", "own-tests")


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
        return refused_by(error)


def _judge(room: Room, generation: Generation, receipts: tuple[Digest, ...]) -> Verdict:
    held = room.stop.held()
    if held is not None:
        return held
    live = room.release.live(generation.subject)
    if live != generation.green:
        return Refused(rule="live-moved", where=f"live is {live}", remedy="look at `greenroom log`")
    now = room.clock.now()
    found = _recompute(room, generation, receipts)
    verdict = outcomes.verdict_on(found.evidence)
    if isinstance(verdict, Passed):
        verdict = _policy_says(room, generation, found, now)
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


def _policy_says(room: Room, generation: Generation, found: Found, now: Instant) -> Verdict:
    """The policy on whether the live state keeps what the constitution asks of its kind."""
    warrant = open_warrant(room, generation.paper)
    plan = documents.decode(Plan, room.store.get(warrant.plan))
    change = Change(
        id=warrant.change,
        subject=generation.subject,
        origin=Origin(actor="guard", door="guard", engine=None, prompt=None, trust=room.ledger.trust(warrant.subject)),
        request=warrant.plan,
        mode=room.mode,
        state=State.PROMOTED,
        base=warrant.base,
        golden=plan.golden,
        plan=warrant.plan,
        green=generation.green,
    )
    facts = gather(room, generation.subject, room.mode, found, now, watched=True)
    return room.rules.current().policy.may(change, Stage.WATCH, plan, facts, found.evidence)


def _recompute(room: Room, generation: Generation, receipts: tuple[Digest, ...]) -> Found:
    rules = room.rules.current()
    warrant = open_warrant(room, generation.paper)
    case = Case(
        plan_digest=warrant.plan,
        plan=documents.decode(Plan, room.store.get(warrant.plan)),
        green=generation.green,
        policy=rules.policy,
        min_share=rules.constitution.tests.min_share,
        occasion=generation.paper,
        trust=min(Trust.BOX, room.ledger.trust(generation.subject)),
    )
    papers = EvidenceRoom(room.store, room.attestor)
    found = papers.recompute(case, (CHECK,), receipts, ())
    if found.test_command != _command_agreed(room, papers, case, warrant):
        raise Unusable("receipt-wrong-args", "the live tests had another command than was agreed to", remedy=_RERUN)
    for run in found.runs:
        if run.receipt.check != CHECK:
            raise Unusable("receipt-unknown-role", "a watch takes receipts of the live tests only", where=run.digest)
        if run.receipt.role.removesuffix(AGAIN) == LIVE_ROLE and run.receipt.began < generation.at:
            where = f"run {run.receipt.run}"
            raise Unusable("receipt-too-old", "the run was made before the promotion", where=where, remedy=_RERUN)
    return found


def _command_agreed(room: Room, papers: EvidenceRoom, case: Case, warrant: Warrant) -> str | None:
    """The test command of the runs that the warrant rests on; None where the suite was found by itself.

    Those runs were made with the tools of the policy that the warrant names, which may not be the one in force.
    """
    evidence = [documents.decode(Evidence, room.store.get(digest)) for digest in warrant.evidence]
    tested = [item for item in evidence if item.check in TESTS]
    before = dataclasses.replace(case, occasion=None, policy=room.rules.read(warrant.policy).policy)
    return papers.recompute(before, (), [d for item in tested for d in item.receipts], ()).test_command


_RERUN = "run the watch again"


def _not_promoted(change: ChangeId) -> Refused:
    remedy = "only a promotion that stands and is being watched can be marked good"
    return Refused(rule="not-promoted", where=change[:128], remedy=remedy)
