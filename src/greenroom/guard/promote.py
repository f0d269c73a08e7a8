"""Promote: the swap, under the subject's lock; and what `recover` makes of one that a crash cut off.

Order, so that a crash at any point ends in the old live or the new live and is known afterwards:

1. the intent in the ledger, then in the log;
2. stage: Green's commit is made beside the pointer;
3. swap: the pointer moves by compare-and-swap;
4. the result in the log, then in the ledger (warrant and consents spent, the day's totals counted).

What is read after the swap is the guard's own: the papers are kept in the ledger before the intent.

The pointer is the truth: where it stands on Green, the change was promoted; elsewhere it was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.domain import documents, trees
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.proof import Consent, Warrant
from greenroom.domain.refusals import refused_by
from greenroom.domain.terms import lowered
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Mode
from greenroom.guard import standing
from greenroom.guard.budget import over_cap
from greenroom.guard.facts import ailing
from greenroom.guard.journal import tidy
from greenroom.guard.kept import keep_warrant, read_paper
from greenroom.guard.ledger import Generation
from greenroom.guard.looks import in_person, not_looked_at, saw
from greenroom.guard.papers import MAX_PAPER_BYTES, open_paper
from greenroom.guard.room import Room
from greenroom.guard.steps import remedy_for
from greenroom.guard.stop import set_stop
from greenroom.guard.warrants import open_undo, open_warrant
from greenroom.guard.withdraw import void


def promote(room: Room, digest: Digest) -> Verdict:
    """Spend a warrant. Passed again, with no second effect, while what it promoted still stands."""
    try:
        warrant = open_warrant(room, digest)
        with room.locks.of(warrant.subject):
            done = _stands(room, warrant, digest)
            return done or _fit(room, warrant, digest) or _swap(room, warrant, digest)
    except Unreachable:
        raise
    except Unusable as error:
        return refused_by(error)


def recover(room: Room, generation: Generation) -> None:
    """Finish or forget a promotion of which only the intent is known."""
    warrant = open_warrant(room, generation.paper)
    if room.release.live(generation.subject) == generation.green:
        _finish(room, generation.id, warrant, generation.paper, generation.at)
        return
    with room.ledger.transaction():
        room.ledger.move(generation.id, "forgotten")
        room.ledger.spend_warrant(generation.paper)
    key = f"not-promoted/{generation.paper}"
    room.journal.write("live.not-promoted", key, change=generation.change, about="interrupted")


def _stands(room: Room, warrant: Warrant, digest: Digest) -> Passed | None:
    standing = room.ledger.standing(warrant.subject)
    if standing and standing[-1].paper == digest and room.release.live(warrant.subject) == warrant.green:
        return _passed(warrant, digest)
    return None


def _fit(room: Room, warrant: Warrant, digest: Digest) -> Refused | Held | None:
    """What stands against this warrant now: each of its promises is looked at again under the lock."""
    weight = room.ledger.issued(digest)
    if weight is None:
        return _used_up(room, warrant, digest)
    held = room.stop.held()
    if held is not None:
        return held
    now = room.clock.now()
    if now >= warrant.expires:
        return Refused(rule="warrant-expired", where=warrant.change, remedy=remedy_for(warrant.change))
    rules = room.rules.current()
    if rules.policy.digest != warrant.policy:
        remedy = f"the constitution changed since: {remedy_for(warrant.change)}"
        return Refused(rule="policy-changed", where=warrant.policy, remedy=remedy)
    live = room.release.live(warrant.subject)
    if live != warrant.base:
        remedy = "the change was made against an earlier live state; propose it again"
        return Refused(rule="base-moved", where=f"live is {live}", remedy=remedy)
    consents = _consents(room, warrant)
    spent = _consent_spent(room, warrant, consents)
    if spent is not None:
        return spent
    lapsed = standing.lapsed(room, warrant, now)
    if lapsed is not None:
        return lapsed
    totals = room.ledger.totals(warrant.subject, now)
    most = rules.constitution.caps
    caps = lowered(most, _plan(room, warrant).terms)
    held = ailing(room, warrant.subject) or over_cap(totals, *weight, caps, now, most=most)
    if held is not None or in_person(warrant, consents):
        return held
    return not_looked_at(room, warrant.subject, *weight, caps)


def _used_up(room: Room, warrant: Warrant, digest: Digest) -> Refused | Held:
    """Why a warrant that is not open is not: it or its consent was spent on a promotion, or it was withdrawn."""
    spent = Refused(rule="warrant-spent", where=warrant.change, remedy=remedy_for(warrant.change))
    # A revert withdraws what is left, so that a withdrawal alone does not say that nothing was promoted.
    if any(each.paper == digest for each in room.ledger.of_change(warrant.change)):
        return spent
    return _consent_spent(room, warrant, _consents(room, warrant)) or void(room, warrant.change, None) or spent


def _consent_spent(room: Room, warrant: Warrant, consents: Sequence[Consent]) -> Refused | None:
    if not any(room.ledger.spent(consent.nonce) for consent in consents):
        return None
    return Refused(rule="consent-spent", where=warrant.change, remedy=f"greenroom approve {warrant.change}")


def _swap(room: Room, warrant: Warrant, digest: Digest) -> Verdict:
    check_green(room, warrant.green)
    _check_undo(room, warrant)
    keep_warrant(room, warrant, digest)
    now = room.clock.now()
    papers = {"warrant": digest, "base": warrant.base, "green": warrant.green}
    consents = _consents(room, warrant)
    with room.ledger.transaction():
        # What took the permission away since `_fit` is in the ledger: nothing more gets in before the intent.
        against = _taken_away(room, warrant, consents, now)
        if against is not None:
            return against
        if room.ledger.issued(digest) is None:
            return Refused(rule="warrant-spent", where=warrant.change, remedy=remedy_for(warrant.change))
        generation = room.ledger.intend(warrant.subject, warrant.change, warrant.base, warrant.green, digest, now)
    room.crash_point("promote.noted")
    room.journal.write("live.promoting", f"promoting/{digest}", change=warrant.change, digests=papers)
    room.crash_point("promote.intended")
    plan = _plan(room, warrant)
    author = plan.terms.author if plan.terms is not None else ""
    staged = room.release.stage(warrant.subject, warrant.green, message_of(plan, warrant, digest), now, author)
    room.ledger.stage(generation, staged)
    room.crash_point("promote.staged")
    with room.stop.still():
        stopped = room.stop.held()
        swapped = stopped is None and room.release.swap(warrant.subject, warrant.base, warrant.green, staged)
    room.crash_point("promote.swapped")
    if not swapped:
        return _not_swapped(room, generation, warrant, digest, stopped)
    _finish(room, generation, warrant, digest, now)
    room.crash_point("promote.finished")
    return _live_differs(room, warrant) or _passed(warrant, digest)


def _taken_away(room: Room, warrant: Warrant, consents: Sequence[Consent], now: Instant) -> Held | None:
    """What a warrant rests on that was withdrawn, or counts no longer, since it was signed."""
    if not consents:
        return void(room, warrant.change, None) or standing.lapsed(room, warrant, now)
    for each in consents:
        held = void(room, warrant.change, each) or void(room, each.change, each)
        if held is not None:
            return held
    return None


def _not_swapped(room: Room, generation: int, warrant: Warrant, digest: Digest, stopped: Held | None) -> Refused | Held:
    room.ledger.move(generation, "forgotten")
    about = "base-moved" if stopped is None else "stopped"
    room.journal.write("live.not-promoted", f"not-promoted/{digest}/{generation}", change=warrant.change, about=about)
    where = f"live is {room.release.live(warrant.subject)}"
    return stopped or Refused(rule="base-moved", where=where, remedy="propose the change again")


def _finish(room: Room, generation: int, warrant: Warrant, digest: Digest, at: Instant) -> None:
    """The result in the log, then in the ledger. Running it twice is running it once."""
    consents = _consents(room, warrant)
    papers = {
        "warrant": digest,
        "base": warrant.base,
        "green": warrant.green,
        "plan": warrant.plan,
        "policy": warrant.policy,
        "undo": warrant.undo,
    } | {f"consent-{number}": consent for number, consent in enumerate(warrant.consents)}
    papers |= {"carry": warrant.carry} if warrant.carry is not None else {}
    if warrant.opt_in is not None:
        papers["opt-in"] = warrant.opt_in
    actor = tidy(consents[0].actor) if consents else "guard"
    room.journal.write("live.promoted", f"promoted/{digest}", actor=actor, change=warrant.change, digests=papers)
    if warrant.opt_in is not None and warrant.mode is Mode.SUPERVISED:
        applied = {"warrant": digest, "opt-in": warrant.opt_in, "green": warrant.green}
        room.journal.write("window.applied", f"window-applied/{digest}", change=warrant.change, digests=applied)
    room.crash_point("promote.logged")
    with room.ledger.transaction():
        lines, risk = room.ledger.issued(digest) or (0, 0)
        room.ledger.move(generation, "baking")
        room.ledger.spend_warrant(digest)
        for consent in consents:
            room.ledger.spend(consent.nonce, f"promoted {warrant.change}")
        room.ledger.count(warrant.subject, at, lines, risk)
        if in_person(warrant, consents):
            saw(room, warrant.subject, generation)


def check_green(room: Room, tree: Digest) -> None:
    """Read every byte of `tree` from the store; reading rehashes. Raises Tampered or NotFound."""
    manifest = trees.parse_manifest(room.store.get(tree, trees.MAX_MANIFEST_BYTES))
    sizes = {entry.blob: entry.size for entry in manifest.entries if isinstance(entry, trees.File)}
    for blob, size in sizes.items():
        if len(room.store.get(blob, trees.MAX_TREE_BYTES)) != size:
            raise Tampered("green-differs", "a file of Green has another size than its manifest says", where=blob)


def _check_undo(room: Room, warrant: Warrant) -> None:
    undo = open_undo(room, warrant.undo)
    if (undo.subject, undo.live) != (warrant.subject, warrant.base):
        raise Tampered("undo-differs", "the undo record is of another live state", where=warrant.undo)
    if undo.commit != room.release.position(warrant.subject):
        message = "the live position moved since its undo was saved"
        raise Unusable("undo-stale", message, remedy=remedy_for(warrant.change))
    if not room.store.has(undo.bundle):
        raise NotFound("undo-lost", "the files of the undo record are gone", where=undo.bundle)


def _live_differs(room: Room, warrant: Warrant) -> Held | None:
    """What is live now must be Green, to the byte; otherwise everything stops."""
    try:
        found = str(room.release.rehash(warrant.subject))
    except Unusable as error:
        found = str(error)
    if found == warrant.green:
        return None
    set_stop(room.stop, room.journal, room.clock, "live differs from Green")
    return Held(rule="live-differs", where=found[:300], remedy=f"greenroom revert {warrant.change}, then lift")


def _consents(room: Room, warrant: Warrant) -> list[Consent]:
    envelopes = [read_paper(room, digest, MAX_PAPER_BYTES) for digest in warrant.consents]
    return [open_paper(room.attestor, envelope, Consent) for envelope in envelopes]


def _plan(room: Room, warrant: Warrant) -> Plan:
    return documents.decode(Plan, room.store.get(warrant.plan))


def message_of(plan: Plan, warrant: Warrant, digest: Digest) -> str:
    """The commit's words: the intent on one printable line, which papers stand behind it, the plan's own trailers."""
    intent = "".join(c for c in plan.intent if c.isprintable()).strip()[:200] or "change"
    trailers = plan.terms.trailers if plan.terms is not None else ()
    own = (f"Greenroom-Change: {warrant.change}", f"Greenroom-Warrant: {digest}")
    return "\n".join((intent, "", *trailers, *own, ""))


def _passed(warrant: Warrant, digest: Digest) -> Passed:
    return Passed(produced={"warrant": digest, "green": warrant.green, "undo": warrant.undo})
