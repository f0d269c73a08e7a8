"""Facts: what the guard itself can see of box, subject and papers before it decides."""

from __future__ import annotations

from collections.abc import Iterator

from greenroom.domain.ports import Facts
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import Mode, Subject
from greenroom.guard.evidence import Found
from greenroom.guard.room import Room

_LOOK = "see `greenroom doctor` and `greenroom log`, then try again"


def gather(room: Room, subject: Subject, mode: Mode, found: Found, now: Instant, *, watched: bool = False) -> Facts:
    """What a decision about `subject` may know. Nothing of this release probes, so no second of a probe was green."""
    return Facts(
        now=now,
        stopped=room.stop.pulled,
        mode=mode,
        live=room.release.live(subject),
        layers=found.layers,
        disk_free_bytes=room.disk_free(),
        policy=room.rules.digest,
        health=health(room, subject),
        totals=room.ledger.totals(subject, now),
        snapshots=found.snapshots,
        violations=found.violations,
        watched=watched,
    )


def health(room: Room, subject: Subject) -> tuple[Held, ...]:
    """What is not well, the first that matters first; empty when health is green.

    Green is: no stop, live is what the ledger says, nothing of the subject is half done, the last promotion is marked
    good (an import is), the log can be written.
    """
    return tuple(_ailments(room, subject))


def ailing(room: Room, subject: Subject) -> Held | None:
    """The first thing that is not well."""
    return next(_ailments(room, subject), None)


def _ailments(room: Room, subject: Subject) -> Iterator[Held]:
    stopped = room.stop.held()
    if stopped is not None:
        yield stopped
    live, standing = room.release.live(subject), room.ledger.standing(subject)
    if live != (standing[-1].green if standing else None):
        said = standing[-1].green if standing else "nothing"
        yield Held(rule="live-differs", where=f"live is {live}, the ledger says {said}", remedy=_LOOK)
    for generation in room.ledger.unsettled():
        if generation.subject == subject:
            where = f"a swap of change {generation.change} was cut off"
            yield Held(rule="swap-unsettled", where=where, remedy="greenroom resume, then try again")
    for generation in standing:
        if generation.state != "kept":
            where = f"change {generation.change} is still watched"
            yield Held(rule="change-baking", where=where, remedy="greenroom resume, then try again")
    if not room.log_writable():
        remedy = "free some disk space, or give the log's directory back to the guard"
        yield Held(rule="log-unwritable", where="the log takes no entry", remedy=remedy)
