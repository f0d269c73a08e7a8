"""Carry: a person's yes holds for the same patch on another base, by a statement of the guard.

Nothing that the caller says is believed. Both changes are worked out again from their papers, as for a warrant: what
was shown to the person must have been true, the yes must be theirs, unspent and in time. Then the patches are compared
on the trees themselves: each change's base, altered by its patch at the places where its lines stand beyond doubt
(`domain.placing`), must be its Green. The statement allows nothing alone; a warrant looks at it, and at the yes, again.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping

from greenroom.domain import documents, patches, placing, trees
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.plan import Plan, Step
from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Carry, Consent, Predicate
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, Trust
from greenroom.guard.consent import MAX_CONSENTS, Recomputed, card_differs, consent_to, read_card
from greenroom.guard.golden import same_toolchain
from greenroom.guard.room import Room
from greenroom.guard.warrants import bounded, read_plan, recomputed
from greenroom.guard.withdraw import void


def carry(room: Room, given: Dossier, dossier: Dossier) -> Digest | Refused | Held:
    """The digest of a signed Carry from the change of `given` to that of `dossier`, or why there is none.

    Refusals are logged; unreadable papers refuse.
    """
    try:
        with room.locks.of(dossier.subject):
            answer = _decide(room, given, dossier)
    except Unreachable:
        raise
    except Unusable as error:
        answer = Refused(rule=error.reference, where=error.where or error.message, remedy=_again(dossier))
    if isinstance(answer, Refused):
        key = f"carry-refused/{secrets.token_hex(16)}"
        room.journal.write("consent.refused", key, change=bounded(dossier.change), about=answer.rule[:64])
    return answer


def _decide(room: Room, given: Dossier, dossier: Dossier) -> Digest | Refused | Held:
    held = room.stop.held()
    if held is not None:
        return held
    if given.subject != dossier.subject:
        return _not(dossier, "carry-of-another-subject", str(given.subject))
    rules = room.rules.current()
    before = recomputed(room, rules, given, read_plan(room, rules, given))
    after = recomputed(room, rules, dossier, read_plan(room, rules, dossier))
    found = _consent(room, before)
    if isinstance(found, Refused | Held):
        return found
    refused = _other_change(room, before, after) or _more_risk(before, after) or _false_card(room, after)
    return refused or _remember(room, dossier.change, found[1]) or _sign(room, before, after, *found)


def _remember(room: Room, change: ChangeId, consent: Consent) -> Held | None:
    """Note the carry: a withdrawal of the later change takes this yes with it. Held where one came first."""
    with room.ledger.transaction():
        held = void(room, consent.change, consent) or void(room, change, consent)
        if held is None:
            room.ledger.remember_carry(change, consent.change)
    return held


def _consent(room: Room, before: Recomputed) -> tuple[Digest, Consent] | Refused | Held:
    """The person's own yes to the earlier change: never one that was carried there."""
    dossier = dataclasses.replace(before.dossier, carry=None)
    missing: Refused | Held = _not(dossier, "no-consent", f"nobody agreed to {dossier.change}")
    for digest in reversed(dossier.consents[-MAX_CONSENTS:]):
        consent, problem = consent_to(room, dataclasses.replace(before, dossier=dossier), digest, room.clock.now())
        if consent is not None:
            return digest, consent
        missing = problem or missing
    return missing


def _other_change(room: Room, before: Recomputed, after: Recomputed) -> Refused | None:
    """What makes the later change another one than the person agreed to."""
    one, other = before.plan, after.plan
    if (one.intent, one.terms) != (other.intent, other.terms) or _steps(one) != _steps(other) or len(_steps(one)) != 1:
        return _not(after.dossier, "plan-differs", "the plans do other things than apply one patch for one purpose")
    if not same_toolchain(room.store, one.golden, other.golden):
        return _not(
            after.dossier, "toolchain-differs", "it was tried with other dependencies than the person was shown"
        )
    if before.found.test_command != after.found.test_command:
        return _not(after.dossier, "test-command-differs", "its tests were run with another command")
    where = _patch_differs(room, before, after)
    return None if where is None else _not(after.dossier, "patch-differs", where)


def _more_risk(before: Recomputed, after: Recomputed) -> Refused | None:
    if after.risk.score <= before.risk.score and after.risk.level <= before.risk.level:
        return None
    scores = (
        f"{before.risk.score} at level {int(before.risk.level)}, {after.risk.score} at {int(after.risk.level)} here"
    )
    return _not(after.dossier, "risk-greater", f"the person was shown a risk of {scores}")


def _false_card(room: Room, after: Recomputed) -> Refused | None:
    if after.dossier.card is None:
        return _not(after.dossier, "no-card", "the change has no card yet")
    return card_differs(room.store, read_card(room.store, after.dossier.card), after)


def _steps(plan: Plan) -> list[Step]:
    """The steps without the patch's own digest and without labels of trust, which say nothing of what is done."""
    own = set(plan.blobs)
    return [
        dataclasses.replace(
            step,
            args={
                name: dataclasses.replace(arg, value="" if arg.value in own else arg.value, trust=Trust.UNTRUSTED)
                for name, arg in step.args.items()
            },
        )
        for step in plan.steps
    ]


def _patch_differs(room: Room, before: Recomputed, after: Recomputed) -> str | None:
    """Where the two patches are not the same one, in words; None where they are."""
    one, other = _patch(room, before.plan), _patch(room, after.plan)
    if patches.words(one) != patches.words(other):
        return "the lines that it removes, adds, or has around them are others"
    start, end = _delta(room, before), _delta(room, after)
    named = {each.path: each for each in one}
    if start.keys() != end.keys() or start.keys() != named.keys():
        return "it changes other files"
    for path, each in named.items():
        if not _same_effect(room, each, start[path], end[path]):
            return f"{trees.show_path(path)}: it stands elsewhere, or has another effect"
    return None


_Pair = tuple[trees.Entry | None, trees.Entry | None]


def _delta(room: Room, made: Recomputed) -> Mapping[bytes, _Pair]:
    """What a change does to each path that it changes: the entry before and after."""
    base, green = (_manifest(room, tree) for tree in (made.plan.base, made.dossier.green))
    paths = base.keys() | green.keys()
    return {path: (base.get(path), green.get(path)) for path in paths if base.get(path) != green.get(path)}


def _same_effect(room: Room, each: patches.FilePatch, one: _Pair, other: _Pair) -> bool:
    if one == other:
        return True
    files = [entry for entry in (*one, *other) if isinstance(entry, trees.File)]
    if len(files) != 4 or not each.moves:
        return False
    before, green, live, live_green = files
    if (before.executable, green.executable) != (live.executable, live_green.executable):
        return False
    old, new, at, after = (room.store.get(entry.blob) for entry in files)
    places = placing.place(each, old, at)
    if isinstance(places, placing.Conflict):
        return False
    own = tuple(hunk.at for hunk in each.hunks)
    return placing.apply(each, old, own) == new and placing.apply(each, at, places) == after


def _patch(room: Room, plan: Plan) -> tuple[patches.FilePatch, ...]:
    named = set(plan.blobs) & {arg.value for step in plan.steps for arg in step.args.values()}
    if len(named) != 1:
        raise Unusable("plan-differs", "only a plan of one patch can be carried")
    (digest,) = named
    return patches.parse(room.store.get(Digest(str(digest)), patches.MAX_PATCH_BYTES))


def _manifest(room: Room, tree: Digest) -> Mapping[bytes, trees.Entry]:
    return trees.parse_manifest(room.store.get(tree, trees.MAX_MANIFEST_BYTES)).by_path()


def _sign(room: Room, before: Recomputed, after: Recomputed, digest: Digest, consent: Consent) -> Digest:
    dossier = after.dossier
    said = Carry(
        change=dossier.change,
        plan=dossier.plan,
        green=dossier.green,
        shown=dossier.card or consent.shown,
        risk=after.risk.score,
        consent=digest,
        given=consent.change,
        given_plan=consent.plan,
        given_green=consent.green,
        given_shown=consent.shown,
        given_risk=before.risk.score,
        given_level=before.risk.level,
        patch=patches.words(_patch(room, after.plan)),
        expires=consent.expires,
    )
    statement = room.store.put("statement", room.attestor.sign(Predicate.CARRY, said.green, documents.encode(said)))
    room.crash_point("carry.signed")
    papers = {"carry": statement, "consent": digest, "patch": said.patch, "plan": said.plan, "green": said.green}
    earlier = {"given-plan": said.given_plan, "given-green": said.given_green}
    room.journal.write("consent.carried", f"carried/{statement}", change=dossier.change, digests=papers | earlier)
    room.crash_point("carry.logged")
    return statement


def _not(dossier: Dossier, rule: str, where: str) -> Refused:
    return Refused(rule=rule, where=where, remedy=_again(dossier))


def _again(dossier: Dossier) -> str:
    return f"greenroom approve {dossier.change[:64]}"
