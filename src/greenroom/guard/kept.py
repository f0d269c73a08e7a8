"""Papers that the guard keeps for itself: what it still has to read when the store lost them.

The executor can delete what lies in the store. What a swap that has begun is finished and taken back by, and an order
that was taken and is not yet in force, must not hang on that.
"""

from __future__ import annotations

from greenroom.domain.digest import Digest
from greenroom.domain.proof import Warrant
from greenroom.guard.papers import MAX_PAPER_BYTES
from greenroom.guard.room import Room

MAX_WARRANT_BYTES = 256 * 1024
MAX_UNDO_BYTES = 64 * 1024


def read_paper(room: Room, digest: Digest, limit: int) -> bytes:
    """The envelope `digest`: the guard's own copy, and the store's where it kept none; raises NotFound, Tampered."""
    kept = room.ledger.kept(digest)
    return room.store.get(digest, limit) if kept is None else kept


def keep_warrant(room: Room, warrant: Warrant, digest: Digest) -> None:
    """Keep the warrant, its consents and its undo record; raises NotFound while one of them can still be missed."""
    limits = {digest: MAX_WARRANT_BYTES, warrant.undo: MAX_UNDO_BYTES}
    limits |= dict.fromkeys(warrant.consents, MAX_PAPER_BYTES)
    envelopes = {paper: read_paper(room, paper, limit) for paper, limit in limits.items()}
    with room.ledger.transaction():
        for paper, envelope in envelopes.items():
            room.ledger.keep(paper, envelope)
