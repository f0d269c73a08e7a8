"""Merkle trees over log entries (RFC 6962 section 2.1): hashes, proofs, and their verification.

All hashes are SHA-256, 32 bytes. A tree of size n holds the entries 0 to n - 1. Nothing here reads a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32

RangeHash = Callable[[int, int], bytes]
"""The root of the entries `start` (included) to `end` (excluded), as a tree of its own."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes (or over the roots of equally large full subtrees)."""
    return Frontier.over(leaves).root()


class Frontier:
    """The right edge of a growing tree: the roots of its full subtrees, largest first. Appending is O(log n)."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    @classmethod
    def over(cls, leaves: Iterable[bytes]) -> Frontier:
        """The frontier after appending `leaves` to the empty tree."""
        frontier = cls()
        for leaf in leaves:
            frontier.append(leaf)
        return frontier

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash on the right."""
        merges = self.size
        while merges & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            merges >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def edge(self) -> bytes:
        """The roots of the full subtrees, one behind the other: with the size, they fix the tree as its root does."""
        return b"".join(self._peaks)

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        twin = Frontier()
        twin.size, twin._peaks = self.size, self._peaks.copy()
        return twin


def inclusion_proof(index: int, size: int, range_hash: RangeHash) -> list[bytes]:
    """The audit path of entry `index` in the tree of `size` (section 2.1.1); raises ValueError out of range."""
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of size {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, range_hash: RangeHash) -> list[bytes]:
    """The proof that the tree of size `new` begins with the tree of size `old` (section 2.1.2)."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from size {old} to size {new}")
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(range_hash(middle, end))
            end = middle
        else:
            proof.append(range_hash(start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(range_hash(start, end))
    return proof[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """True when `proof` shows that `leaf` is entry `index` of the tree with `root` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or len(root) != HASH_BYTES:
        return False
    at, last, reached = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            reached = node_hash(step, reached)
            at, last = _rise(at, last)
        else:
            reached = node_hash(reached, step)
        at, last = at >> 1, last >> 1
    return last == 0 and reached == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """True when `proof` shows that the tree of size `new` begins with that of size `old` (RFC 9162, 2.1.4.2).

    From the empty tree nothing can be proved: refused.
    """
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not steps:
        return False
    return _fold(old, new, steps) == (old_root, new_root)


def _fold(old: int, new: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Both roots as the proof rebuilds them; None when it is too short or too long."""
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_reached = new_reached = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            old_reached, new_reached = node_hash(step, old_reached), node_hash(step, new_reached)
            at, last = _rise(at, last)
        else:
            new_reached = node_hash(new_reached, step)
        at, last = at >> 1, last >> 1
    return (old_reached, new_reached) if last == 0 else None


def _rise(at: int, last: int) -> tuple[int, int]:
    """Skip the levels on which a right edge has no sibling."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
