"""Fetching: wheels only, the list as the sole input, and nothing that was fetched runs."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from greenroom.brokers import fetch
from greenroom.brokers.fetch import Fetcher, Lock, check_requirement, explain, lock_of
from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.verdict import Held


def wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> Path:
    """A small valid wheel."""
    info = f"{name}-{version}.dist-info"
    needed = "".join(f"Requires-Dist: {text}\n" for text in requires)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "VALUE = 1\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def environment(index: Path, home: Path) -> Mapping[str, str]:
    """A person's environment whose only index is a folder."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "HOME": str(home), "PIP_CONFIG_FILE": "/dev/null"}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


def fetcher(index: Path, tmp_path: Path, **more: object) -> Fetcher:
    return Fetcher(python="3.11.2", environment=environment(index, tmp_path), **more)  # type: ignore[arg-type]


@pytest.mark.slow
def test_wheels_and_what_they_need_are_locked(index: Path, tmp_path: Path) -> None:
    """The lock names every wheel with its SHA-256; its stored form is a document."""
    wheel(index, "alpha", "1.0", ("beta>=2",))
    wheel(index, "beta", "2.1")
    wheel(index, "beta", "1.0")
    said: list[str] = []
    lock = fetcher(index, tmp_path, progress=said.append)(["alpha"], tmp_path / "out")
    assert isinstance(lock, Lock)
    assert [(w.name, w.version) for w in lock.wheels] == [("alpha", "1.0"), ("beta", "2.1")]
    for item in lock.wheels:
        assert item.sha256 == hashlib.sha256((tmp_path / "out" / item.file).read_bytes()).hexdigest()
    assert (lock.python, lock.requirements) == ("3.11", ("alpha",))
    assert said == ["fetching wheels for 1 requirements"]
    stored = fetcher(index, tmp_path).locked(["alpha"], tmp_path / "again")
    assert isinstance(stored, bytes)
    assert documents.decode(Lock, stored) == lock


@pytest.mark.slow
def test_a_source_release_is_no_wheel(index: Path, tmp_path: Path) -> None:
    """What exists as source only is held, with the requirement's name."""
    (index / "gamma-1.0.tar.gz").write_bytes(b"not looked at")
    held = fetcher(index, tmp_path)(["gamma"], tmp_path / "out")
    assert isinstance(held, Held)
    assert (held.rule, held.where) == ("no-wheel", "gamma")


@pytest.mark.slow
def test_a_wheel_cannot_make_pip_run_a_build(index: Path, tmp_path: Path) -> None:
    """A dependency that points to source would be built for its metadata: no program starts, nothing runs."""
    evil, mark = tmp_path / "evil", tmp_path / "ran"
    evil.mkdir()
    (evil / "setup.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (evil / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n')
    (evil / "b.py").write_text(f"open({str(mark)!r}, 'w')\n")
    wheel(index, "alpha", "1.0", (f"evil @ file://{evil}",))
    held = fetcher(index, tmp_path)(["alpha"], tmp_path / "out")
    assert isinstance(held, Held)
    assert not mark.exists()


@pytest.mark.slow
def test_conflicting_requirements_are_named(index: Path, tmp_path: Path) -> None:
    """When no set of versions fits, the fetch is held with the conflict."""
    wheel(index, "alpha", "1.0", ("beta<2",))
    wheel(index, "delta", "1.0", ("beta>=2",))
    wheel(index, "beta", "1.0")
    wheel(index, "beta", "2.0")
    held = fetcher(index, tmp_path)(["alpha", "delta"], tmp_path / "out")
    assert isinstance(held, Held)
    assert held.rule == "conflicting-requirements"
    assert "depends on beta" in held.where


@pytest.mark.slow
def test_a_stop_ends_a_fetch(index: Path, tmp_path: Path) -> None:
    """When the box is stopped, the running fetch is killed and held."""
    wheel(index, "alpha", "1.0")
    held = fetcher(index, tmp_path, cancelled=lambda: True)(["alpha"], tmp_path / "out")
    assert isinstance(held, Held)
    assert held.rule == "stopped"


def test_no_requirements_fetch_nothing(index: Path, tmp_path: Path) -> None:
    """An empty list starts no program and gives an empty lock."""
    lock = fetcher(index, tmp_path)([], tmp_path / "out")
    assert lock == Lock(requirements=(), python="3.11", wheels=())


def test_the_directory_must_be_empty(index: Path, tmp_path: Path) -> None:
    """Wheels never mix with what was there."""
    with pytest.raises(Unusable, match="directory-not-empty"):
        fetcher(index, tmp_path)(["six"], index.parent)


@pytest.mark.parametrize(
    ("requirement", "rule"),
    [
        ("six @ https://example.org/six.whl", "direct-reference"),
        ("six @ git+https://example.org/six", "direct-reference"),
        ("six @ file:///etc/passwd", "direct-reference"),
        ("--index-url https://example.org", "bad-requirement"),
        ("-r /etc/passwd", "bad-requirement"),
        ("/etc/passwd", "bad-requirement"),
        ("./six", "bad-requirement"),
        ("six\n--pre", "bad-requirement"),
        ("six===${HTTPS_PROXY}", "bad-requirement"),
        ("x" * 501, "bad-requirement"),
        ("", "bad-requirement"),
    ],
)
def test_only_names_and_versions_are_fetched(requirement: str, rule: str, index: Path, tmp_path: Path) -> None:
    """Options, paths, links and variables are refused before pip sees them."""
    found = check_requirement(requirement)
    assert found is not None
    assert found.rule == rule
    assert fetcher(index, tmp_path)(["six", requirement], tmp_path / "out") == found


def test_plain_requirements_are_fetched() -> None:
    """Names, extras, versions and markers are what a list may say."""
    assert check_requirement('Six[a,b]>=1,<2; python_version < "3.12"') is None


def test_an_index_that_never_answered_is_unreachable_and_not_empty() -> None:
    """pip says `No matching distribution` of both; the last retry tells them apart."""
    gone = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError'\n"
    none = "ERROR: No matching distribution found for six\n"
    assert (explain(gone + none).rule, explain(none).rule) == ("index-unreachable", "no-wheel")
    assert explain("There was a problem confirming the ssl certificate: x\n" + none).rule == "index-unreachable"


@pytest.mark.parametrize(
    ("said", "rule", "where"),
    [
        ("ERROR: No matching distribution found for nope==1", "no-wheel", "nope==1"),
        ("ERROR: ResolutionImpossible: for help", "conflicting-requirements", ""),
        ("PermissionError: fetching starts no program", "no-wheel", "a dependency exists as source only"),
        ("ProxyError('https://u:secret@proxy')", "index-unreachable", ""),
        ("https://u:secret@host/ fell over", "fetch-failed", ""),
    ],
)
def test_what_pip_says_is_explained_without_its_secrets(said: str, rule: str, where: str) -> None:
    """Each way of failing has its own rule; URLs, which may hold passwords, are left out."""
    held = explain(said)
    assert (held.rule, held.where) == (rule, where)
    assert "secret" not in json.dumps([held.where, held.remedy])


def test_only_wheels_are_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything else in the directory, or too much of it, is held."""
    wheel(tmp_path, "alpha", "1.0")
    assert isinstance(lock_of(["alpha"], "3.11", tmp_path), Lock)
    monkeypatch.setattr(fetch, "MAX_WHEELS", 0)
    large = lock_of([], "3.11", tmp_path)
    assert isinstance(large, Held)
    assert large.rule == "fetch-too-large"
    monkeypatch.undo()
    (tmp_path / "odd.whl").write_bytes(b"")
    odd = lock_of([], "3.11", tmp_path)
    assert isinstance(odd, Held)
    assert (odd.rule, odd.where) == ("no-wheel", "odd.whl")
    (tmp_path / "odd.whl").unlink()
    (tmp_path / "a.tar.gz").write_bytes(b"")
    assert isinstance(lock_of([], "3.11", tmp_path), Held)
