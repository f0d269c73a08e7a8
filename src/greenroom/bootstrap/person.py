"""The person's side of a subject: where their repository stands, and delivery to their branch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenroom.config import Box
from greenroom.domain.errors import NotFound
from greenroom.domain.verdict import Verdict
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.release import delivery


def repository(path: str, branch: str | None) -> Mapping[str, Any]:
    """Path, branch, head and cleanness of a repository; an unpacked release has no branch and no head."""
    place = Path(os.path.realpath(path))
    if not place.is_dir():
        raise NotFound("no-such-directory", "there is no such directory", where=str(path), remedy="name a repository")
    if not os.path.lexists(place / ".git") and not _bare(place):
        return {"path": str(place), "branch": "", "head": "", "dirty": False, "checked_out": False}
    found = delivery.state(place, branch)
    blocked = found.blocked()
    return {
        "path": str(place),
        "branch": found.branch,
        "head": found.head,
        "dirty": blocked is not None,
        "blocked": {"rule": blocked.rule, "where": blocked.where, "remedy": blocked.remedy} if blocked else None,
        "checked_out": found.checked_out,
    }


def deliver(box: Box, wanted: Mapping[str, Any]) -> Verdict:
    """Fast-forward the person's branch to what is live."""
    from greenroom.release.refs import RefRelease
    from greenroom.release.store import FileStore
    from greenroom.release.trees import StoreTrees

    kind, _, address = str(wanted["subject"]).partition(":")
    store = FileStore(box.store)
    release = RefRelease(box.live, store, StoreTrees(store))
    live = release.git_dir(Subject(kind=Kind(kind), address=address))
    return delivery.deliver(
        Path(wanted["repository"]), str(wanted["branch"]), str(wanted["delivered"]), live, str(wanted["wanted"])
    )


def _bare(place: Path) -> bool:
    return (place / "HEAD").is_file() and (place / "objects").is_dir() and (place / "refs").is_dir()
