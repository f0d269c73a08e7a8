"""Fetch a pinned source release and unpack it, without running any of its code.

The index is read by its simple API (PEP 691 JSON, else PEP 503 HTML), with the person's own index settings.
Only the pinned SHA-256 makes the bytes acceptable; where they came from does not matter. Archives are unpacked
here and not by `tarfile.extractall`: files, directories and links inside the release, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html.parser
import io
import os
import re
import ssl
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from greenroom.brokers.settings import read_settings
from greenroom.domain import documents
from greenroom.domain.errors import Tampered, TooLarge, Unreachable, Unusable
from greenroom.domain.trees import Link, check_path, check_target

DEFAULT_INDEX = "https://pypi.org/simple"
MAX_INDEX_BYTES = 32 * 1024 * 1024
MAX_ARCHIVE_BYTES = 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 20_000
TIMEOUT_SECONDS = 30
_JSON = "application/vnd.pypi.simple.v1+json"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9A-Za-z.!+_-]{1,80}")


def fetch_release(name: str, version: str, sha256: str, into: Path, *, environment: Mapping[str, str]) -> Path:
    """The directory of the unpacked source release `name` `version`, below `into`.

    Raises Unusable `bad-pin`, `no-such-release`, `unsafe-archive`; Unreachable `index-unreachable`;
    Tampered `release-differs` when the bytes have another SHA-256; TooLarge.
    """
    if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version) and re.fullmatch("[0-9a-f]{64}", sha256)):
        raise Unusable("bad-pin", "a release is pinned by name, version and 64 hex digits of SHA-256")
    web = _Web(read_settings(environment))
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


def _download(web: _Web, name: str, version: str, sha256: str) -> bytes:
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


class _Web:
    """HTTPS and file URLs, with pip's settings; plain HTTP only to hosts that the settings trust."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        extra = settings.get("extra-index-url", "").split()
        own = [] if settings.get("no-index") in ("1", "true", "True") else [settings.get("index-url", DEFAULT_INDEX)]
        self.indexes = [*own, *extra]
        self._trusted = frozenset(host.partition(":")[0] for host in settings.get("trusted-host", "").split())
        context = ssl.create_default_context(cafile=settings.get("cert") or None)
        if settings.get("client-cert"):
            context.load_cert_chain(settings["client-cert"])
        proxies = {"http": settings["proxy"], "https": settings["proxy"]} if settings.get("proxy") else None
        handlers = [urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler(proxies)]
        self._opener = urllib.request.build_opener(*handlers)

    def files(self, page: str) -> Iterator[tuple[str, str]]:
        """(URL, SHA-256 or nothing) of each file that the index page lists; none where there is no such page."""
        try:
            body, kind, base = self._open(page, MAX_INDEX_BYTES)
        except FileNotFoundError:
            return
        found = _json_files(body) if "json" in kind else _html_files(body)
        for url, sha256 in found:
            yield urllib.parse.urljoin(base, url), sha256

    def get(self, url: str, limit: int) -> tuple[bytes, str]:
        """Body and content type; raises Unreachable, TooLarge or Unusable `insecure-index`."""
        try:
            body, kind, _ = self._open(url, limit)
        except FileNotFoundError:
            raise Unusable("no-such-release", "the index lists a file that is not there") from None
        return body, kind

    def _open(self, url: str, limit: int) -> tuple[bytes, str, str]:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("https", "file") and not (parts.scheme == "http" and host in self._trusted):
            raise Unusable("insecure-index", f"an index is read over HTTPS, not {parts.scheme[:20]}", where=host)
        if parts.scheme == "file" and parts.path.endswith("/"):
            parts = parts._replace(path=parts.path + "index.html")
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        request = urllib.request.Request(bare, headers={"Accept": f"{_JSON}, text/html;q=0.5"})  # noqa: S310 - checked above
        if parts.username is not None:
            words = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            request.add_header("Authorization", "Basic " + base64.b64encode(words.encode()).decode("ascii"))
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                body = answer.read(limit + 1)
                kind, base = answer.headers.get("Content-Type", ""), answer.geturl()
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(url) from None
            raise _unreachable(host, f"answers {error.code}") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, FileNotFoundError) or (parts.scheme == "file"):
                raise FileNotFoundError(url) from None
            raise _unreachable(host, type(error.reason).__name__) from None
        except (OSError, ValueError) as error:
            raise _unreachable(host, type(error).__name__) from None
        if len(body) > limit:
            raise TooLarge("release-too-large", f"more than {limit} bytes", where=host)
        return body, kind, base


def _unreachable(host: str, why: str) -> Unreachable:
    remedy = "check the network, the proxy and pip's index settings, then try again"
    return Unreachable("index-unreachable", f"the package index cannot be read: {why}", where=host, remedy=remedy)


def _json_files(body: bytes) -> list[tuple[str, str]]:
    plain = documents.load_json(body, limit=MAX_INDEX_BYTES)
    files = plain.get("files") if isinstance(plain, dict) else None
    found = []
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and isinstance(file.get("url"), str):
            hashes = file.get("hashes")
            sha256 = hashes.get("sha256", "") if isinstance(hashes, dict) else ""
            found.append((file["url"], sha256 if isinstance(sha256, str) else ""))
    return found


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        url = dict(attrs).get("href") if tag == "a" else None
        if url:
            bare, _, fragment = url.partition("#")
            self.found.append((bare, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""))


def _html_files(body: bytes) -> list[tuple[str, str]]:
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    return links.found
