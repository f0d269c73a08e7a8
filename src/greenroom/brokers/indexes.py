"""Which index is asked for a name: one, and no other.

pip mixes what several indexes say of one name, so whoever can publish that name on one of them can slip a package in.
Here the first that has the name owns it: a pattern of the box's own file, then local directories (`find-links`), then
extra indexes in their order, then the main one. An index that does not answer ends the fetch; nothing falls through.

Where there are several, pip talks to `Router` alone: an index on loopback, behind a random path, that asks the owner.
"""

from __future__ import annotations

import fnmatch
import html
import re
import secrets
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from greenroom.brokers.web import DEFAULT_INDEX, Listed, Web, shown, unreadable
from greenroom.domain.errors import Unusable
from greenroom.domain.refusals import remedy_of
from greenroom.domain.settings import Values
from greenroom.domain.verdict import Held

BLOCK_BYTES = 1024 * 1024
MAX_FILE_BYTES = 768 * 1024 * 1024
_TRUE = ("1", "true", "True", "yes", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that packages come from: an index, or where `links`, one page or directory of files."""

    url: str
    links: bool = False

    @property
    def local(self) -> bool:
        """It lies on this machine."""
        return urllib.parse.urlsplit(self.url).scheme == "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """`routes` are (name pattern, index) of the box's own file; `ordered` the rest, the first asked first."""

    ordered: tuple[Source, ...]
    routes: tuple[tuple[str, Source], ...] = ()

    @property
    def single(self) -> Source | None:
        """The only place there is; None where there are several."""
        return self.ordered[0] if len(self.ordered) == 1 and not self.routes else None

    def of(self, name: str) -> tuple[Source, ...]:
        """The places to look for a normalised name, in order; one alone where a pattern names it."""
        for pattern, source in self.routes:
            if fnmatch.fnmatchcase(name, normal(pattern)):
                return (source,)
        return self.ordered


def with_own(settings: Mapping[str, str], own: Values) -> dict[str, str]:
    """pip's settings with those of the box's file in their place: an index of its own is the only one."""
    found = dict(settings)
    if "index.url" in own:
        for name in ("extra-index-url", "find-links", "no-index"):
            found.pop(name, None)
        found["index-url"] = str(own["index.url"])
    for key, name in (("index.certificate", "cert"), ("index.proxy", "proxy")):
        if key in own:
            found[name] = str(own[key])
    return found


def sources_of(settings: Mapping[str, str], own: Values) -> Sources:
    """Where packages come from, by pip's settings (already with the box's own) and the box's routes."""
    links = [Source(url=_url(place), links=True) for place in settings.get("find-links", "").split()]
    extra = [Source(url=_index(url)) for url in settings.get("extra-index-url", "").split()]
    main = [] if settings.get("no-index") in _TRUE else [Source(url=_index(settings.get("index-url", DEFAULT_INDEX)))]
    indexes = [] if settings.get("no-index") in _TRUE else extra
    routes = own.get("index.names", {})
    named = routes.items() if isinstance(routes, Mapping) else ()
    return Sources(
        ordered=tuple(dict.fromkeys([*links, *indexes, *main])),
        routes=tuple((pattern, Source(url=url)) for pattern, url in named),
    )


def normal(name: str) -> str:
    """A distribution's name as PEP 503 normalises it; a pattern keeps its stars."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Router:
    """Answers as an index for one fetch. `asked` tells which place owns each name; `fault` what ended the fetch."""

    def __init__(self, web: Web, sources: Sources) -> None:
        self._web = web
        self._sources = sources
        self._lock = threading.Lock()
        self._files: list[Listed] = []
        self._pages: dict[str, bytes | None] = {}
        self._links: dict[Source, list[Listed]] = {}
        self._word = secrets.token_urlsafe(24)
        self.asked: dict[str, Source] = {}
        self.fault: Held | None = None

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The address that pip is given as its only index, for as long as it takes."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{self._word}/simple"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def page(self, path: str) -> bytes | None:
        """The index page at `path`; None where there is none."""
        found = re.fullmatch(rf"/{re.escape(self._word)}/simple/([A-Za-z0-9._-]{{1,100}})/?", path)
        if found is None:
            return None
        name = normal(found[1])
        with self._lock:
            if name not in self._pages:
                self._pages[name] = self._made(name)
            return self._pages[name]

    def file(self, path: str) -> Listed | None:
        """The file that a page of ours linked as `path`."""
        found = re.fullmatch(rf"/{re.escape(self._word)}/files/([0-9]{{1,7}})/[^/]+", path)
        with self._lock:
            at = int(found[1]) if found else -1
            return self._files[at] if 0 <= at < len(self._files) else None

    def copy(self, file: Listed, into: Any) -> None:
        """Write the bytes of a listed file; a fault where they cannot be had."""
        try:
            with self._web.stream(file.url) as answer:
                left = MAX_FILE_BYTES
                while (block := answer.read(BLOCK_BYTES)) and left > 0:
                    left -= len(block)
                    into.write(block)
        except FileNotFoundError:
            self._note(Held(rule="fetch-failed", where=shown(file.url), remedy="the index lists a file that is gone"))
        except Unusable as error:
            self._note(Held(rule=error.reference, where=error.where, remedy=remedy_of(error)))

    def _made(self, name: str) -> bytes | None:
        try:
            for source in self._sources.of(name):
                listed = self._of_links(source, name) if source.links else self._of_index(source, name)
                if listed is not None:
                    self.asked[name] = source
                    return self._written(listed)
        except Unusable as error:
            self._note(Held(rule=error.reference, where=error.where, remedy=remedy_of(error)))
        except OSError as error:
            fault = unreadable(str(error.filename or ""))
            self._note(Held(rule=fault.reference, where=fault.where, remedy=remedy_of(fault)))
        return None

    def _of_index(self, source: Source, name: str) -> list[Listed] | None:
        return self._web.listed(f"{source.url.rstrip('/')}/{name}/")

    def _of_links(self, source: Source, name: str) -> list[Listed] | None:
        if source not in self._links:
            self._links[source] = _local(source.url) or self._web.listed(source.url) or []
        return [file for file in self._links[source] if _distribution(file.name) == name] or None

    def _written(self, listed: list[Listed]) -> bytes:
        lines = ["<!DOCTYPE html><html><body>"]
        for file in listed:
            if not file.name.endswith(".whl"):
                continue
            pin = f"#sha256={file.sha256}" if re.fullmatch("[0-9a-f]{64}", file.sha256) else ""
            href = f"/{self._word}/files/{len(self._files)}/{urllib.parse.quote(file.name)}{pin}"
            python = f' data-requires-python="{html.escape(file.requires_python)}"' if file.requires_python else ""
            lines.append(
                f'<a href="{href}"{python}{" data-yanked" if file.yanked else ""}>{html.escape(file.name)}</a>'
            )
            self._files.append(file)
        return "\n".join([*lines, "</body></html>"]).encode("utf-8", "replace")

    def _note(self, held: Held) -> None:
        self.fault = self.fault or held


def _handler(router: Router) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = router.page(self.path)
            file = None if page is not None else router.file(self.path)
            if page is None and file is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8" if file is None else "application/octet-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            if page is not None:
                self.wfile.write(page)
            elif file is not None:
                router.copy(file, self.wfile)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it so
            del format, args

    return Handler


def _local(url: str) -> list[Listed] | None:
    """The files of a local directory, or the wheel that is named itself; None for any other address.

    Raises PermissionError.
    """
    parts = urllib.parse.urlsplit(url)
    place = Path(urllib.parse.unquote(parts.path))
    if parts.scheme != "file":
        return None
    if place.is_dir():
        return [Listed(url=path.as_uri()) for path in sorted(place.iterdir()) if path.is_file()]
    return [Listed(url=place.as_uri())] if place.suffix == ".whl" and place.is_file() else None


def _distribution(file: str) -> str:
    """The normalised name that a wheel's or a source release's file name begins with."""
    try:
        return str(parse_wheel_filename(file)[0])
    except InvalidWheelFilename:
        return normal(file.rpartition("-")[0])


def _index(place: str) -> str:
    return _url(place) if place.startswith("/") else place


def _url(place: str) -> str:
    return place if "://" in place else Path(place).absolute().as_uri()
