"""Fetch a pinned source release and unpack it, without running any of its code.

The index is read by its simple API (PEP 691 JSON, else PEP 503 HTML), with the person's own index settings.
Only the pinned SHA-256 makes the bytes acceptable; where they came from does not matter. Archives are unpacked
here and not by `tarfile.extractall`: files, directories and links inside the release, nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from greenroom.brokers.settings import read_settings
from greenroom.brokers.web import Web
from greenroom.domain.errors import Tampered, TooLarge, Unreachable, Unusable
from greenroom.domain.trees import Link, check_path, check_target

MAX_ARCHIVE_BYTES = 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 20_000
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9A-Za-z.!+_-]{1,80}")


def fetch_release(name: str, version: str, sha256: str, into: Path, *, environment: Mapping[str, str]) -> Path:
    """The directory of the unpacked source release `name` `version`, below `into`.

    Raises Unusable `bad-pin`, `no-such-release`, `unsafe-archive`; Unreachable `index-unreachable`;
    Tampered `release-differs` when the bytes have another SHA-256; TooLarge.
    """
    if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version) and re.fullmatch("[0-9a-f]{64}", sha256)):
        raise Unusable("bad-pin", "a release is pinned by name, version and 64 hex digits of SHA-256")
    web = Web(read_settings(environment), environment)
    archive = _download(web, name, version, sha256)
    found = hashlib.sha256(archive).hexdigest()
    if found != sha256:
        raise Tampered("release-differs", f"{name} {version} has SHA-256 {found}, not the pinned one")
    return unpack(archive, into)


def unpack(archive: bytes, into: Path) -> Path:
    """Unpack a .tar.gz of one top directory below `into`; the path of that directory.

    Raises Unusable `unsafe-archive` for anything but files, directories and links inside it, or TooLarge.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            members = _members(tar)
            top = members[0].name.split("/")[0] if members else ""
            if not top or any(m.name.split("/")[0] != top for m in members) or (into / top).exists():
                raise Unusable("unsafe-archive", "a source release is one directory that is not there yet")
            for member in sorted(members, key=lambda member: member.issym()):
                _write(tar, member, into)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Unusable("unsafe-archive", f"the archive cannot be unpacked: {error}") from error
    return into / top


def _members(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        member.name = member.name.removeprefix("./").rstrip("/")
        if member.name in ("", "."):
            continue
        total += member.size
        if len(members) >= MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
            raise TooLarge(
                "release-too-large", f"at most {MAX_MEMBERS} members and {MAX_UNPACKED_BYTES} bytes unpacked"
            )
        check_path(os.fsencode(member.name))
        if member.issym():
            check_target(Link(path=os.fsencode(member.name), target=os.fsencode(member.linkname)))
        elif not (member.isreg() or member.isdir()):
            raise Unusable("unsafe-archive", "only files, directories and symbolic links", where=member.name[:200])
        members.append(member)
    return members


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    path = into / member.name
    if member.isdir():
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
        return
    source = tar.extractfile(member)
    if source is None:
        raise Unusable("unsafe-archive", "a member has no content", where=member.name[:200])
    mode = 0o755 if member.mode & 0o100 else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        while block := source.read(1024 * 1024):
            file.write(block)


def _download(web: Web, name: str, version: str, sha256: str) -> bytes:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    fault: Unreachable | None = None
    for index in web.indexes:
        try:
            for url, listed in web.files(f"{index.rstrip('/')}/{normal}/"):
                if _is_release(url, normal, version) and listed in ("", sha256):
                    return web.get(url, MAX_ARCHIVE_BYTES)[0]
        except Unreachable as error:
            fault = error
    if fault is not None:
        raise fault
    remedy = "name a release that the index has as .tar.gz, with its SHA-256"
    raise Unusable("no-such-release", f"no index has the pinned source release {name} {version}", remedy=remedy)


def _is_release(url: str, normal: str, version: str) -> bool:
    file = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    stem, _, found = file.removesuffix(".tar.gz").rpartition("-")
    return file.endswith(".tar.gz") and re.sub(r"[-_.]+", "-", stem).lower() == normal and found == version
