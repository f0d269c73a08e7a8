"""A box to a file and back: at rest, whole, and checked both ways.

What can be made again is left out (sockets, the launcher, scratch). The private keys are in it: whoever has the file
and the owner's passphrase has the box.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from greenroom import __version__
from greenroom.audit.check import check
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.epochs import CHAIN, walk
from greenroom.audit.keys import load_public
from greenroom.bootstrap import archive
from greenroom.bootstrap.identity import identity_of
from greenroom.bootstrap.lacking import missing_repositories
from greenroom.bootstrap.ownership import quiet, settle_box
from greenroom.clearing import removed
from greenroom.config import Box
from greenroom.domain.errors import NotFound, Tampered, Unusable
from greenroom.domain.verdict import Instant
from greenroom.release.store import disk_full

LEFT_OUT = ("run", "keeper/launcher", "keeper/runs", "keeper/runs.lock", "log/lock", "store/.incoming")
KEPT = frozenset(
    {"box.json", "config.toml", "CONSTITUTION.yaml", "keys", "public", "log", "live", "guard", "store", "db", "keeper"}
)
TOOLCHAINS = "keeper/golden/trees/"
_EVERY_BYTES = 64 << 20
_CHUNK = 1 << 20
Progress = Callable[[Any], None]


def back_up(box: Box, target: Path, progress: Progress) -> Mapping[str, Any]:
    """Write `box` to `target`, mode 0600, and read it back; the box's processes rest meanwhile.

    `target` appears whole or not at all. Raises Unusable `file-exists`, `disk-full` or `backup-inside-the-box`, and
    Tampered `log-broken` or `store-broken` for a box that should not be trusted, nor backed up over a good copy.
    """
    _require_free(box, target)
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    with quiet(box), disk_full(target.parent), _removed(part):
        size = check_log(box)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w+b") as file:
            progress("backup: writing")
            header = archive.Header(
                schema=archive.SCHEMA, box=identity_of(box), at=Instant(time.time_ns()), version=__version__
            )
            members = archive.write(file, header, box.root, _wanted, _telling("written", progress))
            file.flush()
            os.fsync(file.fileno())
            progress("backup: reading it back")
            file.seek(0)
            archive.read(file, None, _wanted, _telling("checked", progress))
            digest = _sha256(file)
            length = file.seek(0, os.SEEK_END)
        os.link(part, target)
        _sync(target.parent)
    return {
        "file": str(target),
        "bytes": length,
        "sha256": digest,
        "members": members,
        "box": header.box,
        "at": str(header.at),
        "log": size,
    }


def restore(box: Box, source: Path, sha256: str | None, progress: Progress) -> Mapping[str, Any]:
    """Make `box` from the backup `source`; it appears whole and checked, or not at all.

    With `sha256` the file must have that hash. `lacks` of the answer names what the box needs and this machine has not.
    Raises Unusable `box-exists`, NotFound `no-backup`, Tampered
    `backup-broken`, `backup-of-another-hash` or `log-broken`.
    """
    box.require_short()
    if box.root.exists() and (not box.root.is_dir() or any(box.root.iterdir())):
        remedy = "name a directory that is not there, or an empty one; nothing is written over"
        raise Unusable("box-exists", "there is something already", where=str(box.root), remedy=remedy)
    if not source.is_file():
        raise NotFound("no-backup", "there is no such file", where=str(source), remedy="name a backup")
    with open(source, "rb") as file:
        found = _sha256(file)
        if sha256 is not None and not secrets.compare_digest(found, sha256.lower()):
            message = f"the file's SHA-256 is {found}, not the one that was given"
            raise Tampered("backup-of-another-hash", message, where=str(source), remedy=archive.REMEDY)
        part = Box(box.root.with_name(f".{box.root.name}.{secrets.token_hex(8)}"))
        box.root.parent.mkdir(parents=True, exist_ok=True)
        with disk_full(box.root.parent), _removed(part.root):
            part.root.mkdir(mode=0o700)
            file.seek(0)
            header, members = archive.read(file, part.root, _wanted, _telling("restored", progress))
            progress("restore: checking the log")
            size = check_log(part)
            for path in part.directories():
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_whole(part)
            os.replace(part.root, box.root)
            _sync(box.root.parent)
    settle_box(box)
    return {
        "path": str(box.root),
        "box": header.box,
        "at": str(header.at),
        "version": header.version,
        "members": members,
        "sha256": found,
        "log": size,
        "lacks": list(missing_repositories(box)),
    }


def _wanted(path: str, link: bool) -> bool:
    """Whether a path belongs to a backup. Links do in toolchains only, which are run between walls and never by us."""
    out = any(path == name or path.startswith(f"{name}/") for name in LEFT_OUT)
    top = path.split("/", 1)[0]
    return not out and not path.endswith(".part") and top in KEPT and (not link or path.startswith(TOOLCHAINS))


def _require_whole(box: Box) -> None:
    """Raise Tampered `backup-broken` where what has to be a file of the box is a folder, or the other way round."""
    for path in (box.identity, box.constitution):
        if not path.is_file():
            message = "the backup has no file of that name"
            raise Tampered("backup-broken", message, where=path.name, remedy=archive.REMEDY)


def check_log(box: Box) -> int:
    """The size of a log that is whole, also against the guard's kept checkpoint; raises Tampered `log-broken`."""
    public = load_public(box.public / "guard.pub")
    kept = None
    if (box.guard / "checkpoint").exists():
        latest = KeptCheckpoint(box.guard / "checkpoint", walk(box.log / CHAIN, (public,)).ring).latest()
        kept = latest[1] if latest else None
    report = check(box.log, (public,), None, kept=kept, keeper=load_public(box.public / "keeper.pub"))
    if not report.ok:
        first = report.findings[0]
        remedy = "keep it as evidence; restore a backup whose log is whole: `greenroom log check`"
        raise Tampered("log-broken", f"{first.rule}: {first.message}", where=str(box.log), remedy=remedy)
    return report.size


def _require_free(box: Box, target: Path) -> None:
    remedy = "name another file; a backup is never written over"
    if os.path.lexists(target):
        raise Unusable("file-exists", "there is a file of that name already", where=str(target), remedy=remedy)
    if not target.parent.is_dir():
        raise NotFound("no-such-directory", "there is no such directory", where=str(target.parent), remedy="make it")
    if target.parent.resolve().is_relative_to(box.root.resolve()):
        remedy = "name a place outside, best on another disk"
        raise Unusable("backup-inside-the-box", "the backup would lie in the box", where=str(target), remedy=remedy)


@contextlib.contextmanager
def _removed(part: Path) -> Iterator[None]:
    """Whatever happens, nothing half made stays at `part`."""
    try:
        yield
    finally:
        removed(part)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _telling(word: str, progress: Progress) -> Callable[[int], None]:
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done - told >= _EVERY_BYTES:
            told = done
            progress(f"{done >> 20} MiB {word}")

    return tell
