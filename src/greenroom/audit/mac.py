"""What vouches for the journal's end until it is published: a message authentication code under the guard's key.

A head that is published is signed (Ed25519), for everyone. The end of the journal is read by nobody but the guard
that wrote it, when it starts after a crash: for it a keyed hash (BLAKE2b, RFC 7693) says as much, in a fiftieth of the
time. Whoever can write the log, but not read the guard's key, can make neither.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from greenroom.audit.merkle import Frontier
from greenroom.audit.note import NoteSigner

TAG_BYTES = 32
_LABEL = b"\0greenroom.example/journal-end/v1\0"
_PERSON = b"journal-end"


class EndMac:
    """Makes and verifies the tags of one signer's log: each says what all entries are, from the first one on.

    The key follows from the signing key, is never stored, and is gone with it. Where that key cannot sign, neither
    can this: the same error.
    """

    __slots__ = ("_key", "_signer")

    def __init__(self, signer: NoteSigner) -> None:
        self._signer = signer
        self._key = b""

    def tag(self, tree: Frontier) -> bytes:
        """The tag of a tree of entries, 32 bytes."""
        key = self._key
        if not key:
            key = self._key = self._signer.derive(_LABEL)
        return hashlib.blake2b(
            struct.pack(">Q", tree.size) + tree.edge(), key=key, digest_size=TAG_BYTES, person=_PERSON
        ).digest()

    def holds(self, tag: bytes, tree: Frontier) -> bool:
        """True when `tag` was made with the same key for the same tree."""
        return hmac.compare_digest(tag, self.tag(tree))
