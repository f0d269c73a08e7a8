"""A repository's objects and refs as a bounded raw copy. Its config, hooks, index and everything else stay behind."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.trees import show_path

MAX_REF_BYTES = 4096
MAX_LIST_BYTES = 64 * 1024 * 1024
MAX_FILES = 1_000_000
MAX_BYTES = 4 * 1024 * 1024 * 1024
MAX_DEPTH = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FAN = re.compile(r"[0-9a-f]{2}")
_LOOSE = re.compile(r"[0-9a-f]{38}")
_PACK = re.compile(r"pack-[0-9a-f]{40}\.(pack|idx)")
_LONG = re.compile(r"[0-9a-f]{62}|pack-[0-9a-f]{64}\.(pack|idx)")
_CONFIG = re.compile(rb"^\s*(objectformat\s*=\s*sha256|refstorage\s*=\s*reftable|partialclone\s*=|promisor\s*=\s*true)")


def copy(git: int, into: Path) -> None:
    """Copy HEAD, packed-refs, shallow, refs and objects of the git directory `git` (a descriptor) below `into`.

    Regular files only, no link is followed, and only names that git gives to objects and packs. Refs come first,
    so that a repository in use never has a ref to an object that was not copied. Raises Unusable with the rules
    `linked-storage`, `partial-clone`, `reftable`, `sha256-repository`, `not-a-repository`, `unreadable`;
    TooLarge `repository-too-large`.
    """
    _refuse_formats(git)
    work = _Copy()
    into.mkdir()
    if not work.file(git, "HEAD", into / "HEAD", MAX_REF_BYTES):
        raise _no("not-a-repository", "there is no HEAD", "HEAD", "name a git repository")
    work.file(git, "packed-refs", into / "packed-refs", MAX_LIST_BYTES)
    work.file(git, "shallow", into / "shallow", MAX_LIST_BYTES)
    (into / "refs").mkdir()
    with _open(git, "refs") as refs:
        work.refs(refs.fd, into / "refs", 0)
    (into / "objects" / "pack").mkdir(parents=True)
    with _open(git, "objects") as objects:
        work.objects(objects.fd, into / "objects")


class _Folder:
    """An open directory."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _open(parent: int, name: str) -> _Folder:
    try:
        return _Folder(os.open(name, _FOLDER, dir_fd=parent))
    except OSError as error:
        raise _no(
            "not-a-repository", f"no directory {name!r}: {error.strerror}", name, "name a git repository"
        ) from None


class _Copy:
    """Counts what was copied."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0

    def refs(self, folder: int, into: Path, depth: int) -> None:
        """Refs, directory by directory; lock files and names with control characters stay out."""
        if depth > MAX_DEPTH:
            raise _too_large("refs nest too deep")
        for name in self._names(folder):
            if name.endswith(".lock") or not name.isprintable():
                continue
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                (into / name).mkdir()
                with _open(folder, name) as inner:
                    self.refs(inner.fd, into / name, depth + 1)
            elif stat.S_ISREG(mode):
                self.file(folder, name, into / name, MAX_REF_BYTES)

    def objects(self, folder: int, into: Path) -> None:
        """Loose objects and packs."""
        for name in self._names(folder):
            if _FAN.fullmatch(name):
                with _open(folder, name) as fan:
                    self._loose(fan.fd, into / name)
        if _exists(folder, "pack"):
            with _open(folder, "pack") as packs:
                for name in self._names(packs.fd):
                    if name.endswith(".promisor"):
                        raise _partial(name)
                    _refuse_long(name)
                    if _PACK.fullmatch(name):
                        self.file(packs.fd, name, into / "pack" / name, MAX_BYTES)

    def _loose(self, fan: int, into: Path) -> None:
        into.mkdir()
        for name in self._names(fan):
            _refuse_long(name)
            if _LOOSE.fullmatch(name):
                self.file(fan, name, into / name, MAX_BYTES)

    def _names(self, folder: int) -> Iterator[str]:
        with os.scandir(folder) as found:
            for item in found:
                self._files += 1
                if self._files > MAX_FILES:
                    raise _too_large(f"more than {MAX_FILES} files; `git gc` makes fewer")
                yield item.name

    def file(self, folder: int, name: str, target: Path, limit: int) -> bool:
        """Copy one regular file; False when it is not there."""
        try:
            source = os.open(name, _FILE, dir_fd=folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _no("unreadable", f"it cannot be read: {error.strerror}", name, "make it a readable file") from None
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                raise _no("unreadable", "not a regular file", name, "make it a regular file")
            self._bytes += found.st_size
            if found.st_size > limit or self._bytes > MAX_BYTES:
                raise _too_large(f"{show_path(os.fsencode(name))}: more than {min(limit, MAX_BYTES)} bytes")
            _pour(source, target, found.st_size)
        finally:
            os.close(source)
        return True


def _pour(source: int, target: Path, size: int) -> None:
    """The first `size` bytes; a file that grows meanwhile is not read further."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        os.fchmod(out, 0o444)
        while size > 0:
            sent = os.sendfile(out, source, None, size)
            if sent == 0:
                break
            size -= sent
    finally:
        os.close(out)


def _refuse_formats(git: int) -> None:
    """Storage that reaches outside, or that this importer does not read. The config is searched, never obeyed."""
    for name in ("objects/info/alternates", "objects/info/http-alternates", "commondir"):
        if _exists(git, name):
            raise _no(
                "linked-storage",
                "the repository keeps objects elsewhere",
                name,
                "clone it with `git clone --no-local`, and name the clone",
            )
    if _exists(git, "reftable"):
        raise _reftable("reftable")
    config = _read_small(git, "config")
    for line in config.lower().splitlines():
        found = _CONFIG.match(line)
        if found is None:
            continue
        if b"sha256" in found[1]:
            raise _sha256("config")
        raise _reftable("config") if b"reftable" in found[1] else _partial("config")


def _read_small(git: int, name: str) -> bytes:
    try:
        fd = os.open(name, _FILE, dir_fd=git)
    except OSError:
        return b""
    with open(fd, "rb") as file:
        return file.read(MAX_LIST_BYTES >> 6) if stat.S_ISREG(os.fstat(fd).st_mode) else b""


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _refuse_long(name: str) -> None:
    if _LONG.fullmatch(name):
        raise _sha256(name)


def _sha256(where: str) -> Unusable:
    return _no(
        "sha256-repository", "SHA-256 object names are not supported", where, "use a repository with SHA-1 names"
    )


def _reftable(where: str) -> Unusable:
    return _no("reftable", "the reftable format is not supported", where, "run `git refs migrate --ref-format=files`")


def _partial(where: str) -> Unusable:
    return _no("partial-clone", "objects of the repository are elsewhere", where, "clone it without --filter")


def _too_large(why: str) -> TooLarge:
    return TooLarge("repository-too-large", why, remedy="name a smaller repository, or a shallow clone of it")


def _no(rule: str, message: str, where: str, remedy: str) -> Unusable:
    return Unusable(rule, message, where=show_path(os.fsencode(where)), remedy=remedy)
