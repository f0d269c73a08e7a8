"""Checks a copy of a log with nothing but public keys, and names the first entry that is not as it was signed.

The last signed head decides. Where the entries do not lead to its root, the tiles (if they do) say which
entry was changed, dropped, added or put elsewhere; else the heads that the log passed through narrow it down.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.audit import keepers
from greenroom.audit.checkpoint import NO_WITNESS
from greenroom.audit.merkle import Frontier, leaf_hash, root_of
from greenroom.audit.reader import Head, LogCopy, read_copy
from greenroom.audit.tiles import WIDTH
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError
from greenroom.domain.events import Event

_CERTIFIED = b'"name":"key.certified"'
_KEEPER_CERTIFIED = b'"name":"keeper.certified"'
KEEPER_UNKNOWN = "the keeper's keys are not checked: its public key is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was signed: `rule`, the entry's index where one is known, and what is wrong."""

    rule: str
    entry: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found. `size` entries were read; `root` (hex) is theirs, as read.

    `unsigned` entries more wait in the journal for a signature. Nobody but the guard can tell whether it wrote them.
    """

    origin: str
    size: int
    unsigned: int
    root: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return not self.findings


@dataclass(slots=True)
class _Check:
    copy: LogCopy
    leaves: list[bytes]
    roots: dict[int, bytes]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, rule: str, message: str, entry: int | None = None) -> None:
        self.findings.append(Finding(rule=rule, entry=entry, message=message))


def check(
    directory: Path,
    publics: Iterable[bytes],
    checkpoint: bytes | None = None,
    *,
    kept: bytes | None = None,
    keeper: bytes | None = None,
) -> Report:
    """Check the log below `directory` against raw Ed25519 public keys; changes nothing.

    `publics` are the anchors: the keys that were trusted from the beginning; the chain beside the tiles says which
    keys followed, and each counts for its own span. `keeper` is the anchor of the keeper's chain, which is followed in
    the same way; without it, nothing is said of the keeper's keys.

    `checkpoint` is one that was exported earlier, `kept` the one that the guard keeps apart: both reveal a log
    that was cut short. Raises Unusable or Tampered `checkpoint-forged` only when a given checkpoint is unusable
    itself; what is wrong with the log is in the report.
    """
    copy = read_copy(directory, publics)
    for note, source in ((checkpoint, "the given checkpoint"), (kept, "the kept checkpoint")):
        if note is not None:
            copy.heads.append(Head(checkpoint=copy.ring.open(note), source=source))
    work = _begin(copy)
    for message in copy.damaged:
        work.find("log-damaged", message)
    for message in copy.outlived:
        work.find("key-outlived", message)
    if copy.chain is not None:
        work.find(copy.chain.reference, copy.chain.message)
    _check_heads(work)
    if not any(finding.entry is not None for finding in work.findings):
        _check_tiles(work)
        _check_events(work)
        _check_epochs(work)
        _check_keepers(work, directory, keeper)
        _check_journal(work)
    if checkpoint is None:
        work.notes.append(NO_WITNESS)
    if copy.unpublished:
        work.notes.append(f"the last {copy.unpublished} entries wait in the journal to be published")
    if copy.unsigned:
        which = "1 entry waits" if copy.unsigned == 1 else f"{copy.unsigned} entries wait"
        work.notes.append(f"{which} in the journal, not signed yet and not counted: the guard signs when it starts")
    work.findings.sort(key=lambda finding: (finding.entry is None, finding.entry or 0))
    return Report(
        origin=_origin(copy),
        size=len(copy.entries),
        unsigned=copy.unsigned,
        root=work.roots[len(copy.entries)].hex(),
        findings=tuple(work.findings),
        notes=tuple(work.notes),
    )


def _begin(copy: LogCopy) -> _Check:
    frontier = Frontier()
    roots = {0: frontier.root()}
    wanted = {head.checkpoint.size for head in copy.heads} | {len(copy.entries)}
    leaves = []
    for entry in copy.entries:
        leaves.append(leaf_hash(entry))
        frontier.append(leaves[-1])
        if frontier.size in wanted:
            roots[frontier.size] = frontier.root()
    return _Check(copy=copy, leaves=leaves, roots=roots)


def _origin(copy: LogCopy) -> str:
    return copy.heads[0].checkpoint.origin if copy.heads else ""


def _check_heads(work: _Check) -> None:
    heads = sorted(work.copy.heads, key=lambda head: head.checkpoint.size)
    if not heads:
        if work.leaves or not work.copy.damaged:
            work.find("checkpoint-missing", "there is no signed head of this log")
        return
    origins = sorted({head.checkpoint.origin for head in heads})
    if len(origins) > 1:
        work.find("checkpoint-forged", f"the heads are of different logs: {', '.join(origins)}")
    if len(work.leaves) > heads[-1].checkpoint.size:
        _find_behind(work, heads[-1].checkpoint.size)
    bad = [head for head in heads if work.roots.get(head.checkpoint.size) != head.checkpoint.root]
    if not bad:
        return
    true = _true_leaves(work, heads[-1])
    if true is not None and (at := _first_difference(work.leaves, true)) is not None:
        rule, message = classify(work.leaves, true, at)
        work.find(rule, message, at)
        return
    _narrow(work, heads, bad[0])


def _find_behind(work: _Check, entry: int) -> None:
    """Entries behind the last head: added, unless the head that they had is what is missing."""
    if work.copy.published:
        work.find("entry-added", f"entry {entry} stands behind the last one that was signed", entry)
    else:
        work.notes.append(f"without the checkpoint, nothing signed vouches for the entries from {entry} on")


def _true_leaves(work: _Check, last: Head) -> Sequence[bytes] | None:
    """The leaf hashes in the tiles, when they lead to the root of the last signed head."""
    hashes = work.copy.leaf_tiles(last.checkpoint.size)
    return hashes if root_of(hashes) == last.checkpoint.root else None


def _first_difference(found: Sequence[bytes], true: Sequence[bytes]) -> int | None:
    for at, (one, other) in enumerate(zip(found, true, strict=False)):
        if one != other:
            return at
    return len(found) if len(found) < len(true) else None


def classify(found: Sequence[bytes], true: Sequence[bytes], at: int) -> tuple[str, str]:
    """What happened at the first difference `at` between the hashes found and the true ones: (rule, message)."""
    if at == len(found):
        return "log-truncated", f"entry {at} and what follows are missing: {len(true)} entries were signed"
    there, here = set(found), set(true)
    if true[at] in there:
        if found[at] in here:
            return "entry-reordered", f"entry {at} stands at {found.index(true[at])}; in its place is another entry"
        return "entry-added", f"an entry that was never signed stands at {at}"
    if at + 1 < len(true) and found[at] == true[at + 1]:
        return "entry-dropped", f"entry {at} is missing; the entries behind it moved up"
    return "entry-changed", f"entry {at} is not what was signed"


def _narrow(work: _Check, heads: Sequence[Head], bad: Head) -> None:
    """Entries and tiles were both changed: the earliest signed head that does not hold bounds the place."""
    size = len(work.leaves)
    if bad.checkpoint.size > size:
        message = f"the log ends after {size} entries; {bad.source} speaks of {bad.checkpoint.size}"
        work.find("log-truncated", message, size)
        return
    start = max((good for good in _good_sizes(work, heads) if good < bad.checkpoint.size), default=0)
    last = bad.checkpoint.size - 1
    which = f"entry {start} is" if start == last else f"one of the entries {start} to {last} is"
    work.find("entry-changed", f"{which} not what was signed ({bad.source}); its tile was changed too", start)


def _good_sizes(work: _Check, heads: Sequence[Head]) -> list[int]:
    return [h.checkpoint.size for h in heads if work.roots.get(h.checkpoint.size) == h.checkpoint.root]


def _check_tiles(work: _Check) -> None:
    """Every tile that is there begins like the tree of the entries."""
    for number in range(-(-len(work.leaves) // WIDTH)):
        entries = work.copy.entries[number * WIDTH : (number + 1) * WIDTH]
        for name, found in work.copy.bundles_at(number):
            _compare(work, name, found, entries, number * WIDTH)
    level, hashes = 0, list(work.leaves)
    while hashes:
        for number in range(-(-len(hashes) // WIDTH)):
            true = hashes[number * WIDTH : (number + 1) * WIDTH]
            for name, found in work.copy.tiles_at(level, number):
                _compare(work, name, found, true, number * WIDTH ** (level + 1))
        full = len(hashes) // WIDTH
        hashes = [root_of(hashes[n * WIDTH : (n + 1) * WIDTH]) for n in range(full)]
        level += 1


def _compare(work: _Check, name: str, found: Sequence[bytes], true: Sequence[bytes], entry: int) -> None:
    """A file may be older, or a moment ahead, of what was read: where both have something, it is the same."""
    if not found or list(found[: len(true)]) != list(true[: len(found)]):
        work.find("tile-changed", f"{name} does not belong to the entries from {entry}", entry)


def _check_events(work: _Check) -> None:
    """Each entry is an event in its canonical form, keys are unique, time does not fall."""
    keys: dict[str, int] = {}
    last = 0
    for index, entry in enumerate(work.copy.entries):
        try:
            event = documents.decode(Event, entry)
        except GreenroomError as error:
            work.find("entry-unreadable", f"entry {index} is not an event: {error.message}", index)
            continue
        if event.key in keys:
            work.find("key-repeated", f"entry {index} repeats the key of entry {keys[event.key]}", index)
        if event.at < last:
            work.find("time-fell", f"entry {index} is older than the entry before it", index)
        keys.setdefault(event.key, index)
        last = max(last, event.at)


def _check_epochs(work: _Check) -> None:
    """Each key of the chain is entered in its own span, under its certificate's digest, and no other key is."""
    ring = work.copy.ring
    chain = {found.digest: found.certificate for found in ring.certified}
    entered = set()
    for index, digest in _certificates(work, _CERTIFIED):
        found = chain.get(digest) if digest is not None else None
        if found is None:
            message = f"entry {index} tells of a key that is not in the chain: the chain was cut or forked"
            work.find("epoch-unknown", message, index)
        elif ring.epoch_at(index + 1) != found.epoch:
            work.find("epoch-misplaced", f"entry {index} tells of epoch {found.epoch} outside of its span", index)
        entered.add(digest)
    for certified in ring.certified[:-1]:
        if certified.digest not in entered:
            found = certified.certificate
            work.find("epoch-unlogged", f"no entry tells of the key of epoch {found.epoch}", found.size)
    if ring.certified and ring.certified[-1].digest not in entered:
        work.notes.append("the last key is not entered in the log yet: the guard does so when it starts")


def _certificates(work: _Check, named: bytes) -> Iterator[tuple[int, Digest | None]]:
    """Each entry with such a name that can be read, and the certificate that it tells of."""
    for index, entry in enumerate(work.copy.entries):
        if named in entry:
            with contextlib.suppress(GreenroomError):
                yield index, documents.decode(Event, entry).digests.get("certificate")


def _check_keepers(work: _Check, directory: Path, keeper: bytes | None) -> None:
    """Each certificate of the keeper's chain is entered once, in its order, and no other is."""
    if keeper is None:
        if (directory / keepers.CHAIN).exists():
            work.notes.append(KEEPER_UNKNOWN)
        return
    # Read behind the entries: what they tell of is in the chain, also while the guard writes.
    found = keepers.walk(directory / keepers.CHAIN, (keeper,), _origin(work.copy))
    if found.error is not None:
        work.find(found.error.reference, found.error.message)
    places = {each.digest: number for number, each in enumerate(found.ring.certified)}
    entered = 0
    for index, digest in _certificates(work, _KEEPER_CERTIFIED):
        place = places.get(digest) if digest is not None else None
        if place is None:
            message = f"entry {index} tells of a key of the keeper that is not in its chain: it was cut or forked"
            work.find("epoch-unknown", message, index)
        elif place != entered:
            work.find("epoch-misplaced", f"entry {index} tells of the keeper's epoch {place + 1} out of turn", index)
        entered += 1
    if (left := len(places) - entered) > 1:
        work.find("epoch-unlogged", f"no entry tells of {left} of the keeper's keys")
    elif left == 1:
        work.notes.append("the keeper's last key is not entered in the log yet: the guard does so when it starts")


def _check_journal(work: _Check) -> None:
    for record in work.copy.journal:
        theirs = work.copy.entries[record.first : record.first + len(record.entries)]
        if theirs and list(record.entries)[: len(theirs)] != theirs:
            work.find("journal-changed", "the journal holds other entries than the tiles", record.first)
            return
    if work.copy.missing is not None:
        message = f"entry {work.copy.missing} is missing: the journal goes on behind it"
        work.find("log-truncated", message, work.copy.missing)
