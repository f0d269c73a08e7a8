"""Warrants: the guard's single-use permission to promote exactly this Green over exactly this base.

`decide` is the one procedure; its numbers are those of the comments below. It believes nothing that the
caller says: the dossier names documents, and what they prove is worked out again from what keeper and owner
signed.
"""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from dataclasses import dataclass

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.constitution import DayCaps
from greenroom.domain.debate import Transcript, read_transcript
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Dossier, UndoRecord
from greenroom.domain.proof import Consent, Predicate, Risk, Warrant
from greenroom.domain.refusals import remedy_of
from greenroom.domain.terms import lowered, terms_fault
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Mode, Origin, Stage, State, Trust
from greenroom.guard import standing
from greenroom.guard.budget import over_cap
from greenroom.guard.carried import carry_of
from greenroom.guard.consent import Recomputed, agreed, read_card
from greenroom.guard.evidence import Case, EvidenceRoom, Found
from greenroom.guard.facts import ailing, gather
from greenroom.guard.kept import MAX_UNDO_BYTES, MAX_WARRANT_BYTES, read_paper
from greenroom.guard.looks import not_looked_at
from greenroom.guard.room import Room, Rules
from greenroom.guard.standing import Given
from greenroom.guard.steps import REMEDY, remedy_for

MAX_PLAN_BYTES = 1024 * 1024
_SECOND = 1_000_000_000


def warrant(room: Room, dossier: Dossier) -> Digest | Refused | Held:
    """The digest of a signed warrant, or why there is none. Refusals are logged; unreadable papers refuse."""
    try:
        with room.locks.of(dossier.subject):
            answer = decide(room, dossier)
    except Unreachable:
        raise
    except Unusable as error:
        remedy = remedy_for(bounded(dossier.change), remedy_of(error, REMEDY))
        answer = Refused(rule=error.reference, where=error.where or error.message, remedy=remedy)
    if isinstance(answer, Refused):
        key = f"warrant-refused/{secrets.token_hex(16)}"
        room.journal.write("warrant.refused", key, change=bounded(dossier.change), about=answer.rule[:64])
    return answer


def decide(room: Room, dossier: Dossier) -> Digest | Refused | Held:
    """The procedure; raises Unusable (Tampered, NotFound) for papers that cannot be believed or read."""
    done = _promoted_already(room, dossier)
    if done is not None:
        return done
    held = room.stop.held()  # 1: not stopped
    if held is not None:
        return held
    now = room.clock.now()
    rules = room.rules.current()
    plan = read_plan(room, rules, dossier)  # 2: the plan is about this
    refused = _live_is_base(room, dossier)  # 3: live == base, and health is green
    if refused is not None:
        return refused
    made = recomputed(room, rules, dossier, plan)  # 4, 5, 6: evidence; 7: risk
    found, risk = made.found, made.risk
    mode = room.lowest(dossier.mode)
    verdict = _policy_says(room, rules, dossier, plan, found, risk, mode, now)  # 8: the policy
    if not isinstance(verdict, Passed):
        return verdict
    consent, missing = agreed(room, made, now)  # 9: who must agree has agreed
    instead = standing.given(room, made, now) if missing is not None and not dossier.consents else None
    if isinstance(instead, Held):
        return instead
    if missing is not None and instead is None:
        return missing
    basis = _Basis(consent, instead or Given(), mode, lines_of(found), risk.score)
    most = rules.constitution.caps
    full = _too_much(room, lowered(most, plan.terms), dossier, basis, now, most=most)  # 10: within the caps
    if full is not None:
        return full
    return _issue(room, rules, dossier, found, basis, now)  # 11: undo saved, signed


def recomputed(room: Room, rules: Rules, dossier: Dossier, plan: Plan) -> Recomputed:
    """What the papers of a dossier prove, and the risk; raises Unusable for papers that cannot be believed or read."""
    trust = _most_trust(room, dossier)
    mode = room.lowest(dossier.mode)
    case = Case(
        plan_digest=dossier.plan,
        plan=plan,
        green=dossier.green,
        policy=rules.policy,
        min_share=rules.constitution.tests.min_share,
        trust=trust,
    )
    checks = _with_reseal(rules.policy.checks(plan))
    found = EvidenceRoom(room.store, room.attestor).recompute(case, checks, dossier.receipts, dossier.seals)
    risk = rules.policy.weigh(plan, found.evidence, _debate(room, dossier))
    return Recomputed(
        dossier=dossier,
        plan=plan,
        trust=trust,
        patches=_patches(plan) | found.diffs,
        found=found,
        risk=risk,
        mode=mode,
        agree=rules.policy.agree(mode, risk.level),
    )


@dataclass(frozen=True, slots=True)
class _Basis:
    """What a warrant rests on, and what it will count for."""

    consent: tuple[Digest, Consent] | None
    instead: Given
    mode: Mode
    lines: int
    risk: int


def _too_much(
    room: Room, caps: DayCaps, dossier: Dossier, basis: _Basis, now: Instant, *, most: DayCaps
) -> Held | None:
    """What the day allows no more, or, where no person agreed to exactly this change, what nobody looked at."""
    full = over_cap(room.ledger.totals(dossier.subject, now), basis.lines, basis.risk, caps, now, most=most)
    in_person = basis.consent is not None and carry_of(dossier, basis.consent[1]) is None
    return (
        full if full is not None or in_person else not_looked_at(room, dossier.subject, basis.lines, basis.risk, caps)
    )


def _promoted_already(room: Room, dossier: Dossier) -> Digest | None:
    """The warrant that this very change was promoted with: asking again after a crash changes nothing."""
    for generation in reversed(room.ledger.standing(dossier.subject)):
        same = (generation.change, generation.base, generation.green) == (dossier.change, dossier.base, dossier.green)
        if same and open_warrant(room, generation.paper).plan == dossier.plan:
            return generation.paper
    return None


def read_plan(room: Room, rules: Rules, dossier: Dossier) -> Plan:
    """The plan of a dossier, with labels that claim no more than what was taken in; raises Unusable."""
    if prefix_of(dossier.plan) != "plan" or prefix_of(dossier.green) != "tree":
        raise Unusable("dossier-malformed", "a dossier names a plan and a tree", where=dossier.change[:128])
    if not dossier.change or bounded(dossier.change) != dossier.change:
        raise Unusable("dossier-malformed", "a change's id is printable and short")
    plan = documents.decode(Plan, room.store.get(dossier.plan, MAX_PLAN_BYTES), limit=MAX_PLAN_BYTES)
    if (plan.subject, plan.base) != (dossier.subject, dossier.base):
        raise Unusable("plan-of-another-subject", "the plan is for another subject or base", where=dossier.plan)
    if plan.terms is not None and (fault := terms_fault(plan.terms)):
        raise Unusable("bad-terms", fault, where=dossier.plan, remedy="mend `commit` and `caps` in the settings")
    unknown = [step.id for step in plan.steps if rules.policy.manifest(step.tool) is None]
    if unknown:
        raise Unusable("unknown-tool", "the signed policy has no such tool", where=f"step {unknown[0]}"[:200])
    if dossier.green == dossier.base:
        raise Unusable("no-change", "Green equals Blue", remedy="nothing to do; it is as wished already")
    return _trusted_no_further(plan, _most_trust(room, dossier))


def _most_trust(room: Room, dossier: Dossier) -> Trust:
    """What words about the subject may claim at most: its imports' trust, and never a person's."""
    return min(Trust.BOX, room.ledger.trust(dossier.subject))


def _trusted_no_further(plan: Plan, most: Trust) -> Plan:
    """The plan with labels that claim no more than what was taken in: labels are only the executor's word."""
    steps = tuple(
        dataclasses.replace(
            step,
            args={name: dataclasses.replace(arg, trust=Trust(min(arg.trust, most))) for name, arg in step.args.items()},
        )
        for step in plan.steps
    )
    return dataclasses.replace(plan, steps=steps)


def _live_is_base(room: Room, dossier: Dossier) -> Refused | Held | None:
    live = room.release.live(dossier.subject)
    if live is None:
        remedy = "import it first: greenroom improve DIR"
        return Refused(rule="unknown-subject", where=str(dossier.subject), remedy=remedy)
    if live != dossier.base:
        remedy = "the change was made against an earlier live state; propose it again"
        return Refused(rule="base-moved", where=f"live is {live}", remedy=remedy)
    return ailing(room, dossier.subject)


def _with_reseal(checks: tuple[str, ...]) -> tuple[str, ...]:
    return checks if "reseal" in checks else ("reseal", *checks)


def _policy_says(
    room: Room, rules: Rules, dossier: Dossier, plan: Plan, found: Found, risk: Risk, mode: Mode, now: Instant
) -> Passed | Refused | Held:
    """The policy at approve and at promote, asked about a change of which only the proven parts are filled in."""
    change = Change(
        id=dossier.change,
        subject=dossier.subject,
        origin=Origin(actor="guard", door="guard", engine=None, prompt=None, trust=_most_trust(room, dossier)),
        request=dossier.plan,
        mode=mode,
        state=State.VERIFIED,
        base=dossier.base,
        golden=plan.golden,
        plan=dossier.plan,
        green=dossier.green,
        seals=dossier.seals,
        card=dossier.card,
        consents=dossier.consents,
        risk=risk,
    )
    facts = gather(room, dossier.subject, mode, found, now)
    for stage, state in ((Stage.APPROVE, State.VERIFIED), (Stage.PROMOTE, State.APPROVED)):
        verdict = rules.policy.may(dataclasses.replace(change, state=state), stage, plan, facts, found.evidence)
        if not isinstance(verdict, Passed):
            return verdict
    return Passed()


def _debate(room: Room, dossier: Dossier) -> Transcript | None:
    """The debate that the card names: what it adds to the risk is worked out again from what the reviewers said."""
    if dossier.card is None:
        return None
    return read_transcript(room.store, read_card(room.store, dossier.card).debate)


def _patches(plan: Plan) -> frozenset[Digest]:
    """What a card may show as the diff: of a plan of one step, what that step applies, as both seals prove."""
    if len(plan.steps) != 1:
        return frozenset()
    return frozenset(plan.blobs) & {Digest(str(arg.value)) for step in plan.steps for arg in step.args.values()}


def lines_of(found: Found) -> int:
    """Lines that the classified diff adds and removes, as the day's cap counts them."""
    return sum(int(item.facts.get("lines", "0")) for item in found.evidence if item.check == "classify")


def _issue(
    room: Room,
    rules: Rules,
    dossier: Dossier,
    found: Found,
    basis: _Basis,
    now: Instant,
) -> Digest:
    seconds = rules.constitution.warrant_seconds
    warrant = Warrant(
        change=dossier.change,
        subject=dossier.subject,
        base=dossier.base,
        green=dossier.green,
        plan=dossier.plan,
        policy=rules.policy.digest,
        evidence=tuple(room.store.put("output", documents.encode(item)) for item in found.evidence),
        consents=() if basis.consent is None else (basis.consent[0],),
        undo=save_undo(room, dossier, now),
        expires=Instant(now + seconds * _SECOND),
        nonce=secrets.token_hex(16),
        carry=None if basis.consent is None else carry_of(dossier, basis.consent[1]),
        opt_in=basis.instead.opt_in,
        again=tuple(room.store.put("output", documents.encode(item)) for item in basis.instead.again),
        mode=basis.mode,
    )
    envelope = room.attestor.sign(Predicate.WARRANT, warrant.green, documents.encode(warrant))
    digest = room.store.put("statement", envelope)
    summary = _summary(room, warrant, digest, now)
    room.crash_point("warrant.signed")
    room.ledger.issue(digest, warrant.change, basis.lines, basis.risk)
    room.crash_point("warrant.issued")
    papers = {"warrant": digest, "base": warrant.base, "green": warrant.green, "plan": warrant.plan}
    room.journal.write(
        "warrant.issued",
        f"warrant/{digest}",
        change=warrant.change,
        digests=papers | {"policy": warrant.policy, "undo": warrant.undo, "summary": summary},
    )
    return digest


def _summary(room: Room, warrant: Warrant, digest: Digest, now: Instant) -> Digest:
    """A SLSA verification summary (v1) of what the warrant rests on, for tools that know no warrants."""
    body = {
        "verifier": {"id": "https://greenroom.example/guard/v1"},
        "timeVerified": _iso(now),
        "resourceUri": f"greenroom:{warrant.green}",
        "policy": {"uri": warrant.policy, "digest": {"sha256": warrant.policy.partition(":")[2]}},
        "inputAttestations": [{"digest": {"sha256": digest.partition(":")[2]}}],
        "verificationResult": "PASSED",
        "verifiedLevels": ["GREENROOM_GATE"],
    }
    envelope = room.attestor.sign(Predicate.SUMMARY, warrant.green, documents.encode(body))
    return room.store.put("statement", envelope)


def _iso(at: Instant) -> str:
    moment = datetime.datetime.fromtimestamp(at // _SECOND, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def save_undo(room: Room, dossier: Dossier, now: Instant) -> Digest:
    """Save what takes the swap back and sign it; the digest of the envelope. The act comes later."""
    record = room.release.save(dossier.subject, now)
    if record.live != dossier.base:
        raise Unusable("base-moved", "the live state moved while its undo was saved", where=str(record.live))
    body = documents.encode(record)
    room.store.put("undo", body)
    return room.store.put("statement", room.attestor.sign(Predicate.UNDO, record.live, body))


def open_undo(room: Room, digest: Digest) -> UndoRecord:
    """The undo record that the guard signed as `digest`."""
    envelope = read_paper(room, digest, MAX_UNDO_BYTES)
    return documents.decode(UndoRecord, room.attestor.open(envelope, Predicate.UNDO, "guard").body)


def open_warrant(room: Room, digest: Digest) -> Warrant:
    """The warrant that the guard signed as `digest`; raises Tampered when it did not."""
    if prefix_of(digest) != "statement":
        raise Unusable("not-a-statement", "a signed envelope is expected here", where=digest)
    envelope = read_paper(room, digest, MAX_WARRANT_BYTES)
    return documents.decode(Warrant, room.attestor.open(envelope, Predicate.WARRANT, "guard").body)


def bounded(change: ChangeId) -> ChangeId:
    """A caller's id for the log: printable and short."""
    return ChangeId("".join(c for c in change if c.isprintable())[:128])
