"""Pinned source releases: fetched by their hash, unpacked with bounds, and never run."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.brokers import release
from greenroom.brokers import web as web_module
from greenroom.brokers.release import fetch_release, unpack
from greenroom.brokers.web import Web
from greenroom.domain.errors import GreenroomError, Tampered, TooLarge, Unreachable, Unusable


def member(name: str, data: bytes = b"x\n", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data if info.isreg() else b""


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


GOOD = archive(
    member("pkg-1.0", b"", type=tarfile.DIRTYPE),
    member("pkg-1.0/link", b"", type=tarfile.SYMTYPE, linkname="src/a.py"),
    member("pkg-1.0/src/a.py"),
    member("pkg-1.0/run.sh", mode=0o6755),
)
PIN = hashlib.sha256(GOOD).hexdigest()


def folder_index(tmp_path: Path, data: bytes = GOOD, name: str = "pkg-1.0.tar.gz") -> Mapping[str, str]:
    """A PEP 503 index of files, as a person's environment."""
    page = tmp_path / "simple" / "pkg"
    page.mkdir(parents=True)
    (page / name).write_bytes(data)
    (page / "index.html").write_text(f'<a href="{name}#sha256={PIN}">{name}</a><a href="pkg-2.0.tar.gz">2</a><a>x</a>')
    url = f"file://{tmp_path}/simple"
    return {"PIP_INDEX_URL": url, "PIP_CONFIG_FILE": "/dev/null", "HOME": str(tmp_path)}


@pytest.mark.slow
def test_a_pinned_release_is_fetched_and_unpacked(tmp_path: Path) -> None:
    """Files, the exec bit and inner links arrive; special modes do not."""
    top = fetch_release("Pkg", "1.0", PIN, tmp_path / "out", environment=folder_index(tmp_path))
    assert top == tmp_path / "out" / "pkg-1.0"
    assert (top / "src/a.py").read_bytes() == b"x\n"
    assert os.readlink(top / "link") == "src/a.py"
    assert (top / "run.sh").stat().st_mode & 0o7777 in (0o755, 0o700, 0o750)


@pytest.mark.slow
def test_other_bytes_are_tampering(tmp_path: Path) -> None:
    """An index that serves something else under the name is caught by the pin."""
    with pytest.raises(Tampered, match="release-differs"):
        fetch_release("pkg", "1.0", PIN, tmp_path / "out", environment=folder_index(tmp_path, GOOD + b"x"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_release_that_no_index_has(tmp_path: Path) -> None:
    """The error names the release; nothing is unpacked."""
    with pytest.raises(Unusable, match="no-such-release"):
        fetch_release("pkg", "3.0", PIN, tmp_path / "out", environment=folder_index(tmp_path))


@pytest.mark.parametrize("pin", [("../pkg", "1", PIN), ("pkg", "1/2", PIN), ("pkg", "1", "ab")])
def test_a_pin_is_a_name_a_version_and_a_hash(pin: tuple[str, str, str], tmp_path: Path) -> None:
    """Anything else is refused before an index is asked."""
    with pytest.raises(Unusable, match="bad-pin"):
        fetch_release(*pin, tmp_path, environment={})


@pytest.mark.parametrize(
    "members",
    [
        [member("../evil")],
        [member("/etc/evil")],
        [member("pkg/../../evil")],
        [member("pkg/a\nb")],
        [member("pkg/.git/config")],
        [member("pkg/link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")],
        [member("pkg/link", b"", type=tarfile.SYMTYPE, linkname="../../x")],
        [member("pkg/hard", b"", type=tarfile.LNKTYPE, linkname="pkg/a")],
        [member("pkg/fifo", b"", type=tarfile.FIFOTYPE)],
        [member("pkg/dev", b"", type=tarfile.CHRTYPE)],
        [member("pkg/a"), member("other/b")],
        [member("pkg/a"), member("pkg/a")],
        [member("pkg/a"), member("pkg/a/b")],
        [],
    ],
)
def test_hostile_archives_are_refused(members: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path) -> None:
    """Nothing outside the release is ever written, and nothing but files, directories and inner links."""
    (tmp_path / "out").mkdir()
    with pytest.raises(Unusable):
        unpack(archive(*members), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_are_never_written_through_links(tmp_path: Path) -> None:
    """A link that stands where a directory is needed is made last, and then clashes."""
    bad = archive(
        member("pkg/d", b"", type=tarfile.SYMTYPE, linkname="e"), member("pkg/e/x"), member("pkg/d/x", b"other")
    )
    with pytest.raises(Unusable):
        unpack(bad, tmp_path)
    assert (tmp_path / "pkg/e/x").read_bytes() == b"x\n"


def test_archives_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many members, or too many bytes, are refused before anything is written."""
    monkeypatch.setattr(release, "MAX_MEMBERS", 1)
    with pytest.raises(TooLarge):
        unpack(GOOD, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(release, "MAX_UNPACKED_BYTES", 3)
    with pytest.raises(TooLarge):
        unpack(GOOD, tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_unpack_or_are_refused(data: bytes, packed: bool) -> None:
    """Arbitrary bytes raise one of our own errors."""
    with pytest.raises(GreenroomError):
        unpack(gzip.compress(data) if packed else data, Path("/nonexistent"))


class Answers:
    """An opener that answers from a table of URLs."""

    def __init__(self, pages: Mapping[str, tuple[str, bytes] | Exception]) -> None:
        self.pages = pages
        self.asked: list[Any] = []

    def open(self, request: Any, timeout: float) -> Any:
        self.asked.append(request)
        page = self.pages[request.full_url]
        if isinstance(page, Exception):
            raise page
        return Page(request.full_url, *page)


class Page:
    def __init__(self, url: str, kind: str, body: bytes) -> None:
        self.headers, self._url, self._body = {"Content-Type": kind}, url, body

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def geturl(self) -> str:
        return self._url

    def read(self, limit: int) -> bytes:
        return self._body[:limit]


def web(settings: Mapping[str, str], pages: Mapping[str, tuple[str, bytes] | Exception]) -> tuple[Any, Answers]:
    found, answers = Web(settings), Answers(pages)
    found._opener = answers  # type: ignore[assignment]
    return found, answers


JSON = "application/vnd.pypi.simple.v1+json"


def test_json_indexes_are_read_and_files_are_picked_by_hash() -> None:
    """PEP 691: the file with the pinned hash is fetched, with a relative address and credentials in a header."""
    listed = [
        {"url": "pkg-1.0.tar.gz", "hashes": {"sha256": "0" * 64}},
        {"url": "f/pkg-1.0.tar.gz", "hashes": {"sha256": PIN}},
    ]
    pages = {
        "https://one.example/simple/pkg/": (JSON, json.dumps({"files": [*listed, 3, {"url": 1}]}).encode()),
        "https://one.example/simple/pkg/f/pkg-1.0.tar.gz": ("x", GOOD),
    }
    found, answers = web({"index-url": "https://u:p%40@one.example/simple/"}, pages)
    assert release._download(found, "pkg", "1.0", PIN) == GOOD
    assert answers.asked[0].get_header("Authorization") == "Basic dTpwQA=="
    assert all("u:p" not in request.full_url for request in answers.asked)


def test_a_missing_page_goes_on_to_the_next_index() -> None:
    """404 of one index is no fault when another has the release."""
    gone = urllib.error.HTTPError("u", 404, "gone", {}, None)  # type: ignore[arg-type]
    pages = {
        "https://one.example/pkg/": gone,
        "https://two.example/pkg/": ("text/html", b'<a href="/f/pkg-1.0.tar.gz">f</a>'),
        "https://two.example/f/pkg-1.0.tar.gz": ("x", GOOD),
    }
    found, _ = web({"index-url": "https://one.example", "extra-index-url": "https://two.example"}, pages)
    assert release._download(found, "pkg", "1.0", PIN) == GOOD


def test_an_index_that_does_not_answer_is_unreachable() -> None:
    """The error names the host and no more of the address."""
    down = urllib.error.URLError(OSError("u:p"))
    found, _ = web({"index-url": "https://u:p@one.example"}, {"https://one.example/pkg/": down})
    with pytest.raises(Unreachable) as caught:
        release._download(found, "pkg", "1.0", PIN)
    assert (caught.value.reference, caught.value.where) == ("index-unreachable", "one.example")
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://one.example", "ftp://one.example", "data:text/html,x"])
def test_insecure_addresses_are_refused(address: str) -> None:
    """Plain HTTP is only for hosts that the person's settings trust."""
    found, _ = web({"index-url": address}, {})
    with pytest.raises(Unusable, match="insecure-index"):
        release._download(found, "pkg", "1.0", PIN)


def test_trusted_hosts_may_be_plain() -> None:
    """The person's trusted-host setting is honoured."""
    pages = {
        "http://one.example:8080/pkg/": ("text/html", b'<a href="pkg-1.0.tar.gz">f</a>'),
        "http://one.example:8080/pkg/pkg-1.0.tar.gz": ("x", GOOD),
    }
    found, _ = web({"index-url": "http://one.example:8080", "trusted-host": "one.example:8080"}, pages)
    assert release._download(found, "pkg", "1.0", PIN) == GOOD


def test_pages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless page is cut off and refused."""
    monkeypatch.setattr(web_module, "MAX_INDEX_BYTES", 10)
    found, _ = web({"index-url": "https://one.example"}, {"https://one.example/pkg/": (JSON, b"x" * 100)})
    with pytest.raises(TooLarge):
        release._download(found, "pkg", "1.0", PIN)
