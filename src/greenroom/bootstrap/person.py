"""The person's side of a subject: where their repository stands, and delivery to their branch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from greenroom.bootstrap.apart import refusal, require_around, require_outside
from greenroom.bootstrap.lacking import REMEDY
from greenroom.config import Box
from greenroom.domain.digest import parse_digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Subject, address_of, subject_of
from greenroom.release import delivery

if TYPE_CHECKING:
    from greenroom.wire.rpc import Client


def repository(
    path: str, branch: str | None, *, box: Box | None = None, trees: tuple[str, str] | None = None
) -> Mapping[str, Any]:
    """Path, branch, head and cleanness of a repository; an unpacked release has no branch and no head.

    With `trees`, the base and the Green of a change of `box`, what the change would write over is looked for, too.
    """
    place = Path(os.path.realpath(path))
    if not path or not place.is_dir():
        there = bool(path) and place.exists()
        message = "this is a file, not a directory" if there else "there is no such directory"
        remedy = "name the directory of a git repository, or of an unpacked source release"
        raise NotFound("no-such-directory", message, where=str(path) or "''", remedy=remedy)
    if any("\udc80" <= char <= "\udcff" for char in str(place)):
        remedy = "give its directories names in UTF-8"
        raise Unusable(
            "not-utf8", "the way to the repository is not UTF-8 text", where=ascii(str(place)), remedy=remedy
        )
    plain = not os.path.lexists(place / ".git") and not _bare(place)
    if box is not None:
        require_outside(box, str(place))
        if not plain or _release(place):
            require_around(box, str(place))
    if plain:
        return {"path": str(place), "branch": "", "head": "", "dirty": False, "blocked": None, "checked_out": False}
    found = delivery.state(place, branch, _coming(box, trees) if box is not None and trees is not None else None)
    blocked = found.blocked()
    return {
        "path": str(place),
        "branch": found.branch,
        "head": found.head,
        "dirty": blocked is not None,
        "blocked": {"rule": blocked.rule, "where": blocked.where, "remedy": blocked.remedy} if blocked else None,
        "checked_out": found.checked_out,
    }


def present(keeper: Client, path: str, branch: str) -> str:
    """Show the keeper the directory at `path`; the ticket for `branch` of it."""
    from greenroom.keeper.server import RemoteKeeper

    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return RemoteKeeper(keeper.call).present(path, branch, directory)
    finally:
        os.close(directory)


class Says(Protocol):
    """What delivery asks the guard itself."""

    def position(self, subject: Subject) -> str:
        """The live commit."""

    def adopted(self, subject: Subject) -> str:
        """The commit that was taken in last."""


def deliver(box: Box, guard: Says, wanted: Mapping[str, Any], crash_point: Callable[[str], None]) -> Verdict:
    """Fast-forward the person's branch to what is live.

    The executor only says that something waits. Where it goes follows from the subject's address, and what goes
    there is what the guard itself says is live. From what the guard took in last on, each commit up to there is one
    that it made itself, by a promote or a revert; only over these does a branch move.
    """
    from greenroom.release.refs import RefRelease
    from greenroom.release.store import FileStore
    from greenroom.release.trees import StoreTrees

    subject = subject_of(str(wanted["subject"]))
    path, branch = str(wanted["repository"]), str(wanted["branch"])
    store = FileStore(box.store)
    release = RefRelease(box.live, store, StoreTrees(store))
    live = guard.position(subject)
    if address_of(path, branch) != subject.address or wanted["wanted"] != live:
        where = f"asked: {wanted['wanted']} to {path} ({branch})"
        return Refused(rule="delivery-differs", where=where, remedy=f"live is {live}; look with `greenroom status`")
    if (inside := refusal(box, path)) is not None:
        return inside
    if not os.path.isdir(path):
        return Held(rule="repository-missing", where=f"{path} ({branch})", remedy=REMEDY)
    expect = str(wanted["delivered"])
    if delivery.head(Path(path), branch) == live:
        return Passed()
    adopted = guard.adopted(subject)
    if not adopted or not release.stands_on(subject, expect, adopted):
        where = f"{branch} would move from {expect[:12]} over {adopted[:12]}, which was taken in from a repository"
        remedy = "look at the branch and at `greenroom log`; a branch that you moved yourself is taken in by improve"
        return Refused(rule="delivery-adopted", where=where, remedy=remedy)
    return delivery.deliver(Path(path), branch, expect, release.git_dir(subject), live, crash_point=crash_point)


def offer_branch(box: Box, offer: Mapping[str, Any]) -> str | Held:
    """Make the branch of a change in the person's repository; its commit. Unusable `repository-in-box`."""
    from greenroom.release import branches
    from greenroom.release.store import FileStore

    require_outside(box, str(offer["repository"]))
    wanted = branches.Offer(
        change=str(offer["id"]),
        onto=str(offer["onto"]),
        base=parse_digest(offer["base"]),
        green=parse_digest(offer["green"]),
        message=str(offer["message"]),
        at=Instant(int(offer["at"])),
    )
    return branches.offer(Path(offer["repository"]), FileStore(box.store), wanted)


def fates(path: str, branch: str, waiting: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What became of the branches that changes were delivered as, by change."""
    from greenroom.release.branches import fate

    named = ((str(one["change"]), (str(one["branch"]), str(one["made"]), str(one["onto"]))) for one in waiting)
    return {change: fate(Path(path), *words, branch) for change, words in named}


def pushable(box: Box, offer: Mapping[str, Any], remote: str) -> Verdict:
    """Whether a push of a branch to `remote` would be tried."""
    from greenroom.release import branches

    return refusal(box, str(offer["repository"])) or branches.pushable(Path(offer["repository"]), remote)


def push_branch(box: Box, offer: Mapping[str, Any], made: str, remote: str, *, ask: bool) -> Verdict:
    """Push the branch of a change."""
    from greenroom.release import branches

    if (inside := refusal(box, str(offer["repository"]))) is not None:
        return inside
    return branches.push(Path(offer["repository"]), f"{branches.PREFIX}{offer['id']}", made, remote, ask=ask)


def _coming(box: Box, trees: tuple[str, str]) -> delivery.Coming:
    from greenroom.release.store import FileStore

    base, green = (parse_digest(each) for each in trees)
    return delivery.coming_between(FileStore(box.store), base, green)


def _release(place: Path) -> bool:
    from greenroom.keeper.bring import RELEASE_FILES

    return any((place / name).is_file() for name in RELEASE_FILES)


def _bare(place: Path) -> bool:
    return (place / "HEAD").is_file() and (place / "objects").is_dir() and (place / "refs").is_dir()
