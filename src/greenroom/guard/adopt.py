"""Adopt: the owner's own commits become live, as the keeper read them; logged, and good by definition."""

from __future__ import annotations

from greenroom.domain import documents
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Trust
from greenroom.guard.ledger import Generation
from greenroom.guard.promote import check_green
from greenroom.guard.room import Room

MAX_IMPORT_BYTES = 64 * 1024
MAX_COMMIT_BYTES = 1024 * 1024


def adopt(room: Room, imported: Digest) -> Digest | Refused:
    """Make what the keeper imported live; the live digest afterwards.

    Nothing moves for an import that was taken in before, or that is live already. Refused `stopped`,
    `change-baking`, `import-stale` (read before the last move of live), or what is wrong with the papers.
    """
    try:
        document = open_import(room, imported)
        with room.locks.of(document.subject):
            live = _known(room, document)
            if live is not None:
                return live
            return _unfit(room, document) or _take_in(room, document, imported)
    except Unreachable:
        raise
    except Unusable as error:
        return refused_by(error)


def open_import(room: Room, digest: Digest) -> Import:
    """The import that the keeper signed as `digest`."""
    if prefix_of(digest) != "statement":
        raise Unusable("not-a-statement", "a signed envelope is expected here", where=digest)
    envelope = room.store.get(digest, MAX_IMPORT_BYTES)
    return documents.decode(Import, room.attestor.open(envelope, Predicate.IMPORT, "keeper").body)


def recover(room: Room, generation: Generation) -> None:
    """Finish or forget an adoption of which only the intent is known."""
    document = open_import(room, generation.paper)
    moved = room.release.live(generation.subject) == generation.green
    if moved and (generation.base != generation.green or room.release.position(generation.subject) == document.commit):
        _finish(room, generation.id, document, generation.paper)
    else:
        room.ledger.move(generation.id, "forgotten")


def _known(room: Room, document: Import) -> Digest | None:
    live = room.release.live(document.subject)
    if live is None:
        return None
    at_live = bool(document.commit) and room.release.position(document.subject) == document.commit
    return live if at_live or room.ledger.imported(document.subject, document.commit, document.tree) else None


def _unfit(room: Room, document: Import) -> Refused | None:
    held = room.stop.held()
    if held is not None:
        return Refused(rule=held.rule, where=held.where, remedy=held.remedy)
    if not room.belongs(document):
        where = f"{document.subject}, read at {document.source}"
        return Refused(rule="import-from-elsewhere", where=where[:500], remedy="import the directory itself")
    if document.at > room.clock.now():
        return Refused(rule="import-from-the-future", where=str(document.subject), remedy="set the clock right")
    if document.trust not in (int(level) for level in Trust):
        return Refused(rule="import-malformed", where="trust", remedy="import it again")
    for generation in room.ledger.standing(document.subject):
        if generation.state != "kept":
            where = f"change {generation.change} is still watched"
            return Refused(rule="change-baking", where=where, remedy="greenroom resume, then try again")
        if generation.change is not None and generation.at >= document.at:
            return _stale(document)
    return _stale(document) if document.at < room.ledger.last_import(document.subject) else None


def _stale(document: Import) -> Refused:
    return Refused(rule="import-stale", where=str(document.subject), remedy="import it again")


def _take_in(room: Room, document: Import, digest: Digest) -> Digest:
    subject = document.subject
    check_green(room, document.tree)
    commit_bytes = room.store.get(document.commit_bytes, MAX_COMMIT_BYTES) if document.commit else b""
    origin = {"source": document.source, "branch": document.branch, "at": str(document.at)}
    if document.commit:
        origin["commit"] = document.commit
    base = room.release.live(subject)
    generation = room.ledger.intend(subject, None, base, document.tree, digest, room.clock.now())
    room.crash_point("adopt.intended")
    try:
        live = room.release.begin(subject, document.tree, origin, commit_bytes)
    except Unusable:
        room.ledger.move(generation, "forgotten")
        raise
    room.crash_point("adopt.begun")
    _finish(room, generation, document, digest)
    return live


def _finish(room: Room, generation: int, document: Import, digest: Digest) -> None:
    papers = {"import": digest, "tree": document.tree}
    room.journal.write("live.adopted", f"adopted/{digest}", digests=papers)
    room.crash_point("adopt.logged")
    with room.ledger.transaction():
        trust = Trust(document.trust)
        room.ledger.remember_import(document.subject, document.commit, document.tree, trust, document.at)
        room.ledger.move(generation, "kept")
    room.crash_point("adopt.finished")
