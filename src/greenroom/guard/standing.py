"""Who agrees in a person's place: an opt-in of the owner after its window, or a second verify.

Nothing here is the executor's word. The rule of a change is the one by which the keeper made Green again from base, as
its signed classification says; the level is weighed from signed evidence; opt-ins and windows are the guard's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.domain.digest import Digest
from greenroom.domain.outcomes import unproven_by
from greenroom.domain.proof import Evidence, Warrant
from greenroom.domain.standing import covering, made_again_by
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import Agree, Mode, Trust
from greenroom.guard import windows
from greenroom.guard.consent import Recomputed, persons_words
from greenroom.guard.evidence import Case, EvidenceRoom, Found
from greenroom.guard.optins import in_force
from greenroom.guard.room import MODES, Room
from greenroom.guard.takenback import taken_back
from greenroom.guard.withdraw import void

RESEAL = "reseal"
TESTS = ("tests", "own-tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a warrant rests on where no person agreed to exactly this change."""

    opt_in: Digest | None = None
    again: tuple[Evidence, ...] = ()


def given(room: Room, made: Recomputed, now: Instant) -> Given | Held | None:
    """Standing consent to this change, held while it is not yet there, None where only a person can agree.

    What counts as a person's words (a test command that was set, an author), a person agrees to who saw its card.
    What a person withdrew, cancelled or took back waits for a person.
    """
    held = taken_back(room, made.dossier)
    if held is not None:
        return held
    if persons_words(room, made) or void(room, made.dossier.change, None) is not None:
        return None
    if made.agree is Agree.STANDING:
        return _opted_in(room, made, now)
    # Code from an untrusted place could forge in its own tests what two verifies compare: a person reads that diff.
    twice = made.agree is Agree.TWO_VERIFIES and made.trust is not Trust.UNTRUSTED
    return _verified_twice(room, made) if twice else None


def lapsed(room: Room, warrant: Warrant, now: Instant) -> Held | None:
    """What a warrant rested on that no longer holds: looked at again under the lock of the swap."""
    if warrant.consents:
        return None
    again = f"greenroom approve {warrant.change}"
    if MODES.index(room.mode) < MODES.index(warrant.mode):
        return Held(
            rule="needs-approval", where=f"the mode is {room.mode.value} now: a person must agree", remedy=again
        )
    held = taken_back(room, warrant)
    if held is not None or warrant.opt_in is None:
        return held
    counts = any(each.id == warrant.opt_in for each in in_force(room, now))
    waited = warrant.mode is Mode.SUPERVISED
    over = waited and windows.lapsed(room, warrant.subject, warrant.base, warrant.green, warrant.opt_in)
    if not counts or over:
        where = "its opt-in counts no longer, or its window was cancelled: a person must agree"
        return Held(rule="needs-approval", where=where, remedy=again)
    return None


def _opted_in(room: Room, made: Recomputed, now: Instant) -> Given | Held:
    dossier = made.dossier
    rule = made_again_by(made.found.evidence)
    opt_in = covering(in_force(room, now), dossier.subject, rule, now)
    if opt_in is None:
        where = f"no opt-in counts for {rule}: a person must agree" if rule else "no rule made it: a person must agree"
        return Held(rule="needs-approval", where=where, remedy=f"greenroom approve {dossier.change}")
    autonomous = made.mode is Mode.AUTONOMOUS
    held = None if autonomous else windows.wait(room, dossier, opt_in, now)
    return held or Given(opt_in=opt_in.id)


def _verified_twice(room: Room, made: Recomputed) -> Given | Held:
    """Every check once more, on a Green that two builds gave: each run of its own, and no result worse.

    The second runs are made for the occasion that is Green's own digest, so that they can be drawn once only, as the
    first ones. Tests that say nothing say nothing twice: then a person must agree.
    """
    dossier, rules = made.dossier, room.rules.current()
    case = Case(
        plan_digest=dossier.plan,
        plan=made.plan,
        green=dossier.green,
        policy=rules.policy,
        min_share=rules.constitution.tests.min_share,
        trust=made.trust,
        occasion=dossier.green,
    )
    first = {item.check: item for item in made.found.evidence}
    checks = tuple(check for check in first if check != RESEAL)
    second = EvidenceRoom(room.store, room.attestor).recompute(case, checks, dossier.again, ())
    why = _differs(first, second) or unproven_by(made.found.runs) or unproven_by(second.runs)
    level = rules.policy.weigh(made.plan, (*filter(None, (first.get(RESEAL),)), *second.evidence), None).level
    if not why and level > made.risk.level:
        why = "the second verify makes it a higher level"
    if why:
        where = f"{why}: a person must agree"
        return Held(rule="needs-approval", where=where[:500], remedy=f"greenroom approve {dossier.change}")
    return Given(again=second.evidence)


def _differs(first: Mapping[str, Evidence], second: Found) -> str:
    """What keeps two verify runs from standing in a person's place; empty when nothing does."""
    sealed = first.get(RESEAL)
    if sealed is None or sealed.verdict != "pass" or int(sealed.facts.get("builds", "0")) < 2:
        return "there are no two builds with one digest"
    if second.test_command is not None or second.violations:
        return "a run of the second verify was not as it must be"
    for item in second.evidence:
        least = ("pass",) if item.check in TESTS else ("pass", "broken-before")
        if item.verdict not in least or item.verdict != first[item.check].verdict:
            return f"{item.check} came out as {first[item.check].verdict}, and as {item.verdict} the second time"
        if item.check == "classify" and item.facts != first[item.check].facts:
            return "the second classification is another"
    return ""
