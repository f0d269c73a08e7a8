"""The person's side of a subject: where their repository stands, and delivery to their branch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.bootstrap.lacking import REMEDY
from greenroom.config import Box
from greenroom.domain.digest import parse_digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.verdict import Held, Instant, Refused, Verdict
from greenroom.domain.vocabulary import address_of, subject_of
from greenroom.release import delivery


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
    if not os.path.lexists(place / ".git") and not _bare(place):
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


def deliver(box: Box, wanted: Mapping[str, Any], crash_point: Callable[[str], None]) -> Verdict:
    """Fast-forward the person's branch to what is live.

    The executor only says that something waits. Where it goes follows from the subject's address, and what goes
    there is the guard's live ref: nothing that was staged and not swapped can be delivered.
    """
    from greenroom.release.refs import RefRelease
    from greenroom.release.store import FileStore
    from greenroom.release.trees import StoreTrees

    subject = subject_of(str(wanted["subject"]))
    path, branch = str(wanted["repository"]), str(wanted["branch"])
    store = FileStore(box.store)
    release = RefRelease(box.live, store, StoreTrees(store))
    live = release.position(subject)
    if address_of(path, branch) != subject.address or wanted["wanted"] != live:
        where = f"asked: {wanted['wanted']} to {path} ({branch})"
        return Refused(rule="delivery-differs", where=where, remedy=f"live is {live}; look with `greenroom status`")
    if not os.path.isdir(path):
        return Held(rule="repository-missing", where=f"{path} ({branch})", remedy=REMEDY)
    expect = str(wanted["delivered"])
    return delivery.deliver(Path(path), branch, expect, release.git_dir(subject), live, crash_point=crash_point)


def offer_branch(box: Box, offer: Mapping[str, Any]) -> str | Held:
    """Make the branch of a change in the person's repository; its commit."""
    from greenroom.release import branches
    from greenroom.release.store import FileStore

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


def pushable(offer: Mapping[str, Any], remote: str) -> Verdict:
    """Whether a push of a branch to `remote` would be tried."""
    from greenroom.release import branches

    return branches.pushable(Path(offer["repository"]), remote)


def push_branch(offer: Mapping[str, Any], made: str, remote: str, *, ask: bool) -> Verdict:
    """Push the branch of a change."""
    from greenroom.release import branches

    return branches.push(Path(offer["repository"]), f"{branches.PREFIX}{offer['id']}", made, remote, ask=ask)


def _coming(box: Box, trees: tuple[str, str]) -> delivery.Coming:
    from greenroom.release.store import FileStore

    base, green = (parse_digest(each) for each in trees)
    return delivery.coming_between(FileStore(box.store), base, green)


def _bare(place: Path) -> bool:
    return (place / "HEAD").is_file() and (place / "objects").is_dir() and (place / "refs").is_dir()
