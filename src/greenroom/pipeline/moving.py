"""A change's patch on what is live: the same patch at its place there, or what stands against it, with both sides."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from greenroom.domain import patches, placing, trees
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Store
from greenroom.domain.verdict import Held
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.pipeline.holds import CONFLICT
from greenroom.pipeline.house import House
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES, read_proposal

MAX_CONFLICTS = 20
MAX_SHOWN = 100
"""Lines of each side of a conflict that an answer holds at most."""
_MAX_LINE = 400


def onto(store: Store, patch: bytes, base: Digest, live: Digest) -> bytes | tuple[placing.Conflict, ...]:
    """`patch`, made on the tree `base`, as it stands on the tree `live`; or all of its hunks that have no place.

    Raises Unusable `bad-patch` for what is no patch in git's format.
    """
    before, after = _manifest(store, base), _manifest(store, live)
    places: dict[bytes, Sequence[int]] = {}
    conflicts: list[placing.Conflict] = []
    for each in patches.parse(patch):
        one, other = before.get(each.path), after.get(each.path)
        if one == other:
            continue
        if not each.moves or not isinstance(one, trees.File) or not isinstance(other, trees.File):
            conflicts.append(_whole(store, each, one, other))
            continue
        found = placing.place(each, store.get(one.blob), store.get(other.blob))
        if isinstance(found, placing.Conflict):
            conflicts.append(found)
        else:
            places[each.path] = found
    return tuple(conflicts) or patches.moved(patch, places)


def unfit(store: Store, patch: bytes, tree: Digest) -> str:
    """Where `patch` does not fit the files of `tree`, in words; empty where it does. Its lines may be further down.

    Of binary files, and of those that change their name, nothing is said. Raises Unusable `bad-patch`.
    """
    files = _manifest(store, tree)
    for each in patches.parse(patch):
        there = files.get(each.path)
        made = any(line.startswith(b"new file") for line in each.head)
        named = any(line.startswith((b"rename ", b"copy ")) for line in each.head)
        why = ""
        if made or named:
            why = "the file is there already" if there is not None and made else ""
        elif not isinstance(there, trees.File):
            why = "there is no such file"
        elif each.hunks and not placing.fits(each, store.get(there.blob)):
            why = "the lines are others there"
        if why:
            return f"{trees.show_path(each.path)}: {why}"
    return ""


def conflicts_of(house: House, change: Change) -> list[dict[str, Any]]:
    """What stands against a change's patch on what is live, as doors show it; empty where nothing does."""
    live = house.guard.live(change.subject)
    if live is None or live == change.base:
        return []
    patch = house.store.get(read_proposal(house.store, change).patch, MAX_PATCH_BYTES)
    found = onto(house.store, patch, change.base, live)
    return [] if isinstance(found, bytes) else [_shown(each) for each in found[:MAX_CONFLICTS]]


def conflict(house: House, subject: Subject, change: ChangeId, found: Sequence[placing.Conflict]) -> Held:
    """The hold of a change whose patch has no place on what is live, with the commands that go on from there."""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    delivery = house.deliveries.get(subject)
    place = shlex.quote(delivery.repository) if delivery is not None else "REPO"
    ways = f"`greenroom edit {change}` with a patch on what is live, `greenroom improve {place}` to look for it anew"
    remedy = f"`greenroom diff {change}` shows both sides; then {ways}, or `greenroom reject {change}`"
    return Held(rule=CONFLICT, where=f"{place_of(found[0])}{more}", remedy=remedy)


def place_of(conflict: placing.Conflict) -> str:
    """Where a conflict is, in words."""
    return f"{trees.show_path(conflict.path)}, line {conflict.line}: {conflict.why}"


def _whole(
    store: Store, each: patches.FilePatch, one: trees.Entry | None, other: trees.Entry | None
) -> placing.Conflict:
    """A file that is made, deleted or replaced as a whole, and is not as it was."""
    why = "the file is gone" if other is None else "the file is there already" if one is None else "the file is another"
    return placing.Conflict(
        path=each.path,
        why=why,
        line=1,
        base=_lines(store, one),
        ours=tuple(line for hunk in each.hunks for line in hunk.new),
        theirs=_lines(store, other),
    )


def _lines(store: Store, entry: trees.Entry | None) -> tuple[bytes, ...]:
    if entry is None:
        return ()
    if isinstance(entry, trees.Link):
        return (b"a link to " + entry.target,)
    return tuple(patches.split(store.get(entry.blob)))


def _shown(conflict: placing.Conflict) -> dict[str, Any]:
    sides = {"base": conflict.base, "ours": conflict.ours, "theirs": conflict.theirs}
    said = {"path": trees.show_path(conflict.path), "line": conflict.line, "why": conflict.why}
    return said | {name: _text(lines) for name, lines in sides.items()}


def _text(lines: Sequence[bytes]) -> list[str]:
    shown = [line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")[:_MAX_LINE] for line in lines[:MAX_SHOWN]]
    return [*shown, f"and {len(lines) - MAX_SHOWN} more lines"] if len(lines) > MAX_SHOWN else shown


def _manifest(store: Store, tree: Digest) -> Mapping[bytes, trees.Entry]:
    return trees.parse_manifest(store.get(tree, trees.MAX_MANIFEST_BYTES)).by_path()
