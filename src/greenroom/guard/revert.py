"""Revert: takes the last standing promotion back. Works under stop; forward in history, earlier in content."""

from __future__ import annotations

import contextlib
import secrets

from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError, NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.proof import Warrant
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.guard.floors import below_floor
from greenroom.guard.journal import tidy
from greenroom.guard.ledger import Generation
from greenroom.guard.promote import check_green
from greenroom.guard.room import Room
from greenroom.guard.stop import set_stop
from greenroom.guard.warrants import open_undo, open_warrant

WATCH = "watch"
"""The actor of an automatic revert: only to a predecessor that was marked good."""


def revert(room: Room, subject: Subject, change: ChangeId, actor: str) -> Verdict:
    """Take `change` back. Refused `not-last` when others stand on it, `not-promoted` when it never was live.

    Refused `below-floor` when the owner set a floor there. Passed again, with no second effect, when it was taken back
    before. A revert that fails pulls stop; so does one of the watch that is refused, for what is live is not good then.
    """
    try:
        with room.locks.of(subject):
            answer = _revert(room, subject, change, actor)
    except Exception as error:
        rule = error.reference if isinstance(error, GreenroomError) else type(error).__name__
        _failed(room, change, rule)
        if isinstance(error, Unreachable) or not isinstance(error, Unusable):
            raise
        return refused_by(error)
    if actor == WATCH and isinstance(answer, Refused):
        _failed(room, change, answer.rule)
    return answer


def _revert(room: Room, subject: Subject, change: ChangeId, actor: str) -> Passed | Refused:
    for cut in room.ledger.standing(subject):
        if cut.state == "reverting":
            recover(room, cut)
    standing = room.ledger.standing(subject)
    top = standing[-1] if standing else None
    if top is None or top.change != change:
        return _not_the_last(room, subject, change)
    warrant = open_warrant(room, top.paper)
    return _unfit(room, top, warrant, actor) or _take_back(room, top, warrant, actor)


def _failed(room: Room, change: ChangeId, rule: str) -> None:
    """Pull the stop and log why. The stop holds even where the log takes no entry; it is logged at the next start."""
    with contextlib.suppress(GreenroomError, OSError):
        set_stop(room.stop, room.journal, room.clock, "a revert failed")
        key = f"not-reverted/{secrets.token_hex(16)}"
        room.journal.write("live.not-reverted", key, change=ChangeId(tidy(change, 128)), about=tidy(rule, 64))


def recover(room: Room, generation: Generation) -> None:
    """Finish a revert that a crash cut off, or put the promotion back as it stood."""
    warrant = open_warrant(room, generation.paper)
    if room.release.live(generation.subject) == generation.base:
        _finish(room, generation, warrant, "guard")
        return
    room.ledger.put_back(generation.id)


def _not_the_last(room: Room, subject: Subject, change: ChangeId) -> Passed | Refused:
    tried = [item for item in room.ledger.of_change(change) if item.subject == subject]
    if tried and tried[-1].state == "reverted" and tried[-1].base is not None:
        return Passed(produced={"live": tried[-1].base})
    standing = room.ledger.standing(subject)
    names = [item.change or f"the commit taken in as {item.green}" for item in standing]
    if change not in names:
        remedy = "only a promoted change can be taken back"
        return Refused(rule="not-promoted", where=change[:128], remedy=remedy)
    above = names[names.index(change) + 1 :]
    remedy = "take those back first, the last one first; a commit of your own is undone by a change"
    return Refused(rule="not-last", where=f"others stand on it: {', '.join(above)}"[:500], remedy=remedy)


def _unfit(room: Room, top: Generation, warrant: Warrant, actor: str) -> Refused | None:
    live = room.release.live(top.subject)
    if live != top.green:
        remedy = "live is not what this change made; look at `greenroom log`"
        return Refused(rule="live-moved", where=f"live is {live}", remedy=remedy)
    below = [item for item in room.ledger.standing(top.subject) if item.id < top.id]
    good = bool(below) and below[-1].state == "kept" and below[-1].green == warrant.base
    if actor == WATCH and not good:
        remedy = "greenroom revert, by a person"
        return Refused(rule="predecessor-not-good", where=str(warrant.base), remedy=remedy)
    return below_floor(room, top)


def _take_back(room: Room, top: Generation, warrant: Warrant, actor: str) -> Passed:
    undo = open_undo(room, warrant.undo)
    if (undo.subject, undo.live) != (top.subject, warrant.base):
        raise Tampered("undo-differs", "the undo record is of another live state", where=warrant.undo)
    _check_base(room, warrant.base, undo.bundle)
    key = f"reverting/{top.paper}/{top.id}"
    room.ledger.mark_reverting(top.id)
    room.crash_point("revert.marked")
    room.journal.write("live.reverting", key, actor=tidy(actor), change=top.change, digests={"warrant": top.paper})
    room.crash_point("revert.intended")
    at = room.clock.floor()
    staged = room.release.stage(
        top.subject, warrant.base, f"Revert {top.change}\n\nGreenroom-Revert: {top.paper}\n", at
    )
    room.crash_point("revert.staged")
    if not room.release.swap(top.subject, warrant.green, warrant.base, staged):
        raise Tampered("live-moved", "the live pointer moved during the revert", where=str(top.subject))
    room.crash_point("revert.swapped")
    _finish(room, top, warrant, actor)
    return Passed(produced={"live": warrant.base, "undo": warrant.undo})


def _check_base(room: Room, base: Digest, bundle: Digest) -> None:
    try:
        check_green(room, base)
    except NotFound as error:
        remedy = f"the files are in the git bundle {bundle} of the undo record"
        raise NotFound("base-lost", "a file of the earlier state is gone", where=error.where, remedy=remedy) from None


def _finish(room: Room, generation: Generation, warrant: Warrant, actor: str) -> None:
    papers = {"warrant": generation.paper, "green": warrant.green, "base": warrant.base, "undo": warrant.undo}
    key = f"reverted/{generation.paper}/{generation.id}"
    room.journal.write("live.reverted", key, actor=tidy(actor), change=generation.change, digests=papers)
    room.crash_point("revert.logged")
    with room.ledger.transaction():
        room.ledger.move(generation.id, "reverted")
        if generation.change is not None:
            # A second yes that was given before is a yes to what was just taken back.
            room.ledger.withdraw(generation.change, room.clock.floor())
    room.crash_point("revert.finished")
