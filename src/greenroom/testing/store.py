"""A Store in memory, and one whose bytes can be spoiled to see who notices."""

from __future__ import annotations

from greenroom.domain.digest import Digest, digest_of, parse_digest, prefix_of
from greenroom.domain.errors import NotFound, Tampered, TooLarge


class MemoryStore:
    """The Store port in a dictionary."""

    def __init__(self) -> None:
        self._held: dict[Digest, bytes] = {}

    def put(self, prefix: str, data: bytes) -> Digest:
        """Keep `data`; its digest."""
        digest = digest_of(prefix, data)
        self._held[digest] = bytes(data)
        return digest

    def get(self, digest: Digest, limit: int = 64 * 1024 * 1024) -> bytes:
        """What `digest` names; NotFound `not-stored`, TooLarge `blob-too-large`, Tampered `wrong-bytes`."""
        data = self._held.get(parse_digest(digest))
        if data is None:
            raise NotFound("not-stored", "the store does not hold these bytes", where=digest)
        if len(data) > limit:
            raise TooLarge("blob-too-large", f"at most {limit} bytes are read here", where=digest)
        if digest_of(prefix_of(digest), data) != digest:
            raise Tampered("wrong-bytes", "the stored bytes do not have this digest", where=digest)
        return data

    def has(self, digest: Digest) -> bool:
        """Whether something is kept under `digest`."""
        return parse_digest(digest) in self._held

    def erase(self, digest: Digest) -> None:
        """Forget the bytes; nothing to forget is no error."""
        self._held.pop(parse_digest(digest), None)

    def spoil(self, digest: Digest, data: bytes) -> None:
        """Put `data` where `digest` belongs, as someone who tampers with the store would."""
        self._held[parse_digest(digest)] = data
