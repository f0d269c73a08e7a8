"""The file of a backup: a gzip-compressed tar (POSIX.1-2001 pax) whose last member lists all others with their hashes.

The list comes last, so that both writing and reading take one pass and no member is held in memory. Only plain
files, directories and links are in it; a link is taken along as its text and never followed.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from greenroom.domain import documents
from greenroom.domain.errors import Tampered, TooLarge, Unusable
from greenroom.domain.verdict import Instant

Names = Callable[[str, bool], bool]
"""(path, whether it is a link) -> whether it belongs to a backup."""
HEADER, LIST = "greenroom-backup.json", "greenroom-list.json"
SCHEMA = 1
MAX_MEMBERS = 5_000_000
MAX_LIST_BYTES = 1024**3
MAX_HEADER_BYTES = 64 * 1024
_CHUNK = 1 << 20
REMEDY = "use another copy of the backup; nothing was restored from this one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the backup is of: the box's id, the instant (UTC nanoseconds), and the Greenroom that wrote it."""

    schema: int
    box: str
    at: Instant
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One path of the box. `text` is the SHA-256 of a file's bytes, or where a link points to; empty for a folder."""

    path: str
    type: str
    mode: int
    size: int
    text: str


def write(target: IO[bytes], header: Header, root: Path, names: Names, tell: Callable[[int], None]) -> int:
    """Write what is below `root` and `names` says yes to; the number of members. `tell` gets the bytes read so far.

    Raises Unusable `not-a-plain-file` for a device, socket or pipe.
    """
    head = documents.encode(header)
    members = [_head_of(head)]
    done = 0
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=3, format=tarfile.PAX_FORMAT) as tar:
        _put(tar, HEADER, head)
        for path, fd in _walk(root, names):
            member = _add(tar, path, fd)
            members.append(member)
            done += member.size
            tell(done)
        _put(tar, LIST, documents.encode([documents.to_plain(each) for each in members]))
    return len(members) - 1


def read(source: IO[bytes], into: Path | None, names: Names, tell: Callable[[int], None]) -> tuple[Header, int]:
    """Check a backup, and lay its members out below `into`, an empty directory of ours; without one, only check.

    Gives the header and the number of members. Raises Tampered `backup-broken` where a member differs from the list,
    is missing, is there twice, would leave `into`, or is one that `names` says no to: a file that somebody else made
    could bring what no backup has. What was laid out by then is the caller's to remove.
    """
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as tar:
            return _read(tar, into, names, tell)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Tampered("backup-broken", f"the backup cannot be read: {error}", remedy=REMEDY) from None


def _read(tar: tarfile.TarFile, into: Path | None, names: Names, tell: Callable[[int], None]) -> tuple[Header, int]:
    header: Header | None = None
    found: dict[str, Member] = {}
    done = 0
    for info in tar:
        if header is None:
            head = _bytes(tar, info, HEADER, MAX_HEADER_BYTES)
            header, found[HEADER] = _header(head), _head_of(head)
            continue
        if info.name == LIST:
            _compare(_bytes(tar, info, LIST, MAX_LIST_BYTES), found)
            _last(tar)
            return header, len(found) - 1
        if info.name in found or len(found) >= MAX_MEMBERS:
            raise _broken(info.name, "is there twice, or too many members are")
        found[info.name] = _take(tar, info, into, names, found)
        done += info.size
        tell(done)
    raise _broken(LIST, "is missing: the file was cut")


def _walk(root: Path, names: Names) -> Iterator[tuple[str, int]]:
    """(path, descriptor) of each path in order; a link's descriptor is opened with O_PATH. Folders come first.

    Raises Unusable `not-a-plain-file` for a link where a box has none.
    """
    for folder, folders, files, fd in os.fwalk(root, follow_symlinks=False):
        below = os.path.relpath(folder, root)
        prefix = "" if below == "." else f"{below}/"
        links = {name for name in (*folders, *files) if _is_link(name, fd)}
        folders[:] = sorted(name for name in folders if names(prefix + name, False))
        for name in (*folders, *sorted(name for name in files if names(prefix + name, False))):
            if name in links and not names(prefix + name, True):
                where = prefix + name
                raise Unusable("not-a-plain-file", "a box has no link there", where=where, remedy="move it away")
            flags = os.O_PATH | os.O_NOFOLLOW if name in links else os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            opened = os.open(name, flags | os.O_CLOEXEC, dir_fd=fd)
            try:
                yield prefix + name, opened
            finally:
                os.close(opened)
        folders[:] = [name for name in folders if name not in links]


def _is_link(name: str, fd: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)


def _add(tar: tarfile.TarFile, path: str, fd: int) -> Member:
    found = os.fstat(fd)
    mode = stat.S_IMODE(found.st_mode) & 0o777
    info = tarfile.TarInfo(path)
    info.mode, info.mtime = mode, int(found.st_mtime)
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
        return Member(path=path, type="folder", mode=mode, size=0, text="")
    if stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink("", dir_fd=fd)
        tar.addfile(info)
        return Member(path=path, type="link", mode=mode, size=0, text=info.linkname)
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("not-a-plain-file", "a box has files, folders and links only", where=path, remedy="move it away")
    info.size = found.st_size
    with open(fd, "rb", closefd=False) as source:
        hashed = _Hashed(source)
        tar.addfile(info, hashed)
    return Member(path=path, type="file", mode=mode, size=info.size, text=hashed.digest.hexdigest())


def _take(
    tar: tarfile.TarFile, info: tarfile.TarInfo, into: Path | None, names: Names, found: dict[str, Member]
) -> Member:
    """One member, laid out below `into` where there is one; its folder came before it and is a folder of ours."""
    path = PurePosixPath(info.name)
    parent = str(path.parent)
    inside = not path.is_absolute() and not {"..", "."} & {info.name, *path.parts} and str(path) == info.name
    if not inside or (parent != "." and (parent not in found or found[parent].type != "folder")):
        raise _broken(info.name, "has a path that a box does not have")
    if not names(info.name, info.issym()):
        raise _broken(info.name, "is nothing that a backup has")
    target = into / info.name if into is not None else None
    mode = info.mode & 0o777
    if info.isdir():
        if target is not None:
            target.mkdir(mode=0o700)
            target.chmod(mode | 0o700)
        return Member(path=info.name, type="folder", mode=mode, size=0, text="")
    if info.issym():
        if target is not None:
            target.symlink_to(info.linkname)
        return Member(path=info.name, type="link", mode=mode, size=0, text=info.linkname)
    if not info.isfile():
        raise _broken(info.name, "is no file, folder or link")
    return Member(path=info.name, type="file", mode=mode, size=info.size, text=_file(tar, info, target))


def _file(tar: tarfile.TarFile, info: tarfile.TarInfo, target: Path | None) -> str:
    source = _bytes_of(tar, info)
    digest = hashlib.sha256()
    if target is None:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        os.fchmod(file.fileno(), info.mode & 0o777)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _compare(listed: bytes, found: dict[str, Member]) -> None:
    wanted = documents.load_json(listed, limit=MAX_LIST_BYTES)
    members = [documents.from_plain(Member, each, "$") for each in wanted] if isinstance(wanted, list) else []
    for each in members:
        if found.get(each.path) != each:
            raise _broken(each.path, "is not what was backed up" if each.path in found else "is missing")
    if len(members) != len(found):
        raise _broken(LIST, "does not list every member")


def _last(tar: tarfile.TarFile) -> None:
    """Read on to the end, so that the checksum of the compression is checked, too."""
    if tar.next() is not None:
        raise _broken(LIST, "is not the last member")


def _head_of(data: bytes) -> Member:
    """The header as the list names it: it is not part of the box, but must be as it was written."""
    return Member(path=HEADER, type="file", mode=0o600, size=len(data), text=hashlib.sha256(data).hexdigest())


def _header(data: bytes) -> Header:
    header: Header = documents.decode(Header, data, limit=MAX_HEADER_BYTES)
    if header.schema != SCHEMA:
        message = f"the backup is of schema {header.schema}, written by Greenroom {header.version[:40]}"
        raise Unusable("backup-schema", message, remedy="restore it with that version of Greenroom or a later one")
    return header


def _bytes(tar: tarfile.TarFile, info: tarfile.TarInfo, name: str, limit: int) -> bytes:
    if info.name != name or not info.isfile():
        raise Unusable("not-a-backup", "this is no backup of a box", remedy="name a file that `greenroom backup` wrote")
    if info.size > limit:
        raise TooLarge("too-large", f"{name} has {info.size} bytes, at most {limit} are read", remedy=REMEDY)
    return _bytes_of(tar, info).read()


def _bytes_of(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(info)
    if source is None:
        raise _broken(info.name, "has no bytes")
    return source


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


def _broken(where: str, why: str) -> Tampered:
    return Tampered("backup-broken", f"a member of the backup {why}", where=where[:200], remedy=REMEDY)


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._source.read(size)
        self.digest.update(data)
        return data
