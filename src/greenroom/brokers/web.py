"""Reads package indexes over HTTPS and from files, with a person's own settings: proxy, certificates, credentials.

Plain HTTP is read only from hosts that the settings trust. Addresses may hold passwords: they go into a header, and
into no message.
"""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from greenroom.domain import documents
from greenroom.domain.errors import TooLarge, Unreachable, Unusable

DEFAULT_INDEX = "https://pypi.org/simple"
MAX_INDEX_BYTES = 32 * 1024 * 1024
TIMEOUT_SECONDS = 30
_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file as an index page lists it (PEP 503, 592, 691); `sha256` is empty where the page names none."""

    url: str
    sha256: str = ""
    requires_python: str = ""
    yanked: bool = False

    @property
    def name(self) -> str:
        """The file's name."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.url).path.rpartition("/")[2])


class _Proxies(urllib.request.ProxyHandler):
    """Proxies by scheme, but for the hosts that `no_proxy` names."""

    def __init__(self, proxies: dict[str, str], no_proxy: str) -> None:
        super().__init__(proxies)
        self._no_proxy = no_proxy

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> Any:  # noqa: A002 - urllib names it so
        """Through the proxy, or None: directly."""
        if req.host and urllib.request.proxy_bypass_environment(req.host, {"no": self._no_proxy}):  # type: ignore[attr-defined]
            return None
        return super().proxy_open(req, proxy, type)


class Web:
    """HTTPS and file URLs, with pip's settings; plain HTTP only to hosts that the settings trust."""

    def __init__(self, settings: Mapping[str, str], environment: Mapping[str, str] | None = None) -> None:
        surroundings = {name.lower(): value for name, value in (environment or {}).items()}
        extra = settings.get("extra-index-url", "").split()
        own = [] if settings.get("no-index") in ("1", "true", "True") else [settings.get("index-url", DEFAULT_INDEX)]
        self.indexes = [*own, *extra]
        self._trusted = frozenset(host.partition(":")[0] for host in settings.get("trusted-host", "").split())
        context = ssl.create_default_context(
            cafile=certificates(settings, surroundings), capath=surroundings.get("ssl_cert_dir") or None
        )
        if settings.get("client-cert"):
            context.load_cert_chain(settings["client-cert"])
        handlers = [urllib.request.HTTPSHandler(context=context), _Proxies(*_proxies(settings, surroundings))]
        self._opener = urllib.request.build_opener(*handlers)

    def files(self, page: str) -> Iterator[tuple[str, str]]:
        """(URL, SHA-256 or nothing) of each file that the index page lists; none where there is no such page."""
        for file in self.listed(page) or ():
            yield file.url, file.sha256

    def listed(self, page: str) -> list[Listed] | None:
        """The files that the index page lists; None where there is no such page. Raises as `get`."""
        try:
            body, kind, base = self._open(page, MAX_INDEX_BYTES)
        except FileNotFoundError:
            return None
        found = _json_files(body) if "json" in kind else _html_files(body)
        listed = [dataclasses.replace(file, url=_beside(page, urllib.parse.urljoin(base, file.url))) for file in found]
        # A page of another machine has no say over the files of this one.
        here = urllib.parse.urlsplit(page).scheme == "file"
        return [file for file in listed if here or urllib.parse.urlsplit(file.url).scheme != "file"]

    @contextmanager
    def stream(self, url: str) -> Iterator[Any]:
        """The open answer, to be read piece by piece; raises FileNotFoundError, Unreachable, Unusable."""
        with self._answer(url) as answer:
            yield answer

    def get(self, url: str, limit: int) -> tuple[bytes, str]:
        """Body and content type; raises Unreachable, TooLarge or Unusable `insecure-index`."""
        try:
            body, kind, _ = self._open(url, limit)
        except FileNotFoundError:
            raise Unusable("no-such-release", "the index lists a file that is not there") from None
        return body, kind

    def _open(self, url: str, limit: int) -> tuple[bytes, str, str]:
        with self._answer(url) as answer:
            body = answer.read(limit + 1)
            kind, base = answer.headers.get("Content-Type", ""), answer.geturl()
        if len(body) > limit:
            raise TooLarge("release-too-large", f"more than {limit} bytes", where=host_of(url))
        return body, kind, base

    @contextmanager
    def _answer(self, url: str) -> Iterator[Any]:
        parts = urllib.parse.urlsplit(url)
        host = host_of(url)
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
                yield answer
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(url) from None
            raise _unreachable(host, f"answers {error.code}") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, PermissionError):
                raise unreadable(parts.path) from None
            if isinstance(error.reason, FileNotFoundError) or (parts.scheme == "file"):
                raise FileNotFoundError(url) from None
            raise _unreachable(host, type(error.reason).__name__) from None
        except (OSError, ValueError) as error:
            raise _unreachable(host, type(error).__name__) from None


def _beside(page: str, url: str) -> str:
    """`url` with the credentials of `page` where both are of one server; they are sent to no other."""
    here, there = urllib.parse.urlsplit(page), urllib.parse.urlsplit(url)
    words, at, place = here.netloc.rpartition("@")
    same = (here.scheme, place) == (there.scheme, there.netloc)
    return there._replace(netloc=f"{words}{at}{place}").geturl() if same else url


def host_of(url: str) -> str:
    """The host of an address, without credentials."""
    return urllib.parse.urlsplit(url).hostname or ""


def shown(url: str) -> str:
    """An address as it may be shown: without credentials, query and fragment."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def certificates(settings: Mapping[str, str], surroundings: Mapping[str, str]) -> str | None:
    """The file of certificates to trust: pip's own setting, else what the environment (lower case) names."""
    named = ("ssl_cert_file", "requests_ca_bundle", "curl_ca_bundle")
    return settings.get("cert") or next((surroundings[name] for name in named if surroundings.get(name)), None)


def _proxies(settings: Mapping[str, str], surroundings: Mapping[str, str]) -> tuple[dict[str, str], str]:
    if settings.get("proxy"):
        return {"http": settings["proxy"], "https": settings["proxy"]}, ""
    usual = surroundings.get("all_proxy", "")
    found = {scheme: surroundings.get(f"{scheme}_proxy") or usual for scheme in ("http", "https")}
    return {scheme: proxy for scheme, proxy in found.items() if proxy}, surroundings.get("no_proxy", "")


def _unreachable(host: str, why: str) -> Unreachable:
    remedy = "check the network, the proxy and pip's index settings, then try again"
    return Unreachable("index-unreachable", f"the package index cannot be read: {why}", where=host, remedy=remedy)


def unreadable(place: str) -> Unusable:
    """That a place of this machine, which the settings name, cannot be read."""
    remedy = "let the user that runs greenroom read what pip's settings name, or take it out of them"
    return Unusable("place-unreadable", "a place of pip's settings cannot be read", where=place[:200], remedy=remedy)


def _json_files(body: bytes) -> list[Listed]:
    plain = documents.load_json(body, limit=MAX_INDEX_BYTES)
    files = plain.get("files") if isinstance(plain, dict) else None
    found = []
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and isinstance(file.get("url"), str):
            hashes, python = file.get("hashes"), file.get("requires-python")
            sha256 = hashes.get("sha256", "") if isinstance(hashes, dict) else ""
            found.append(
                Listed(
                    url=file["url"],
                    sha256=sha256 if isinstance(sha256, str) else "",
                    requires_python=python if isinstance(python, str) else "",
                    yanked=bool(file.get("yanked")),
                )
            )
    return found


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Listed] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        url = named.get("href") if tag == "a" else None
        if url:
            bare, _, fragment = url.partition("#")
            sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
            python = named.get("data-requires-python") or ""
            self.found.append(Listed(url=bare, sha256=sha256, requires_python=python, yanked="data-yanked" in named))


def _html_files(body: bytes) -> list[Listed]:
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    return links.found
