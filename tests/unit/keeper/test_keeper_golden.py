from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.keeper import gitdir, results
from greenroom.keeper.golden import Golden, Goldens
from greenroom.release.trees import StoreTrees
from greenroom.testing.keeper import files_of
from greenroom.testing.store import MemoryStore


def goldens(directory: Path, store: MemoryStore, **more: Any) -> Goldens:
    """Goldens with a toolchain of one small distribution."""
    values: dict[str, Any] = {
        "store": store,
        "trees": StoreTrees(store),
        "launcher": None,
        "helpers": {"_body.py": b"# shared\n"},
        "distributions": ("iniconfig",),
    }
    return Goldens(directory, **values | more)


def test_the_same_installation_gives_the_same_golden_anywhere(tmp_path: Path) -> None:
    """Two boxes with the same distributions name the same toolchain, and nothing of an installer's is in it."""
    store = MemoryStore()
    first, second = goldens(tmp_path / "a", store), goldens(tmp_path / "b", store)
    assert first.current() == second.current()
    names = {path.decode() for path in files_of(store, first.open(first.current()).toolchain)}
    assert "site/iniconfig/__init__.py" in names
    assert not [name for name in names if name.endswith((".pyc", "RECORD", "INSTALLER", "direct_url.json"))]


def test_a_golden_that_this_keeper_did_not_make_is_unknown(tmp_path: Path) -> None:
    """Storing a golden is not enough: a forged one could bring a forged test runner."""
    store = MemoryStore()
    mine = goldens(tmp_path, store)
    forged = dataclasses.replace(mine.open(mine.current()), python="3.0.0")
    digest = store.put("golden", documents.encode(forged))
    with pytest.raises(Unusable) as raised:
        mine.open(digest)
    assert raised.value.reference == "golden-unknown"
    assert mine.register(forged) == digest
    assert goldens(tmp_path, store).open(digest) == forged


def test_a_golden_with_dependencies_mounts_them_beside_the_toolchain(tmp_path: Path) -> None:
    """Toolchain at /golden with the interpreter of the host, dependencies at /deps, both read-only."""
    store = MemoryStore()
    mine = goldens(tmp_path / "golden", store)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "dep.py").write_bytes(b"x = 1\n")
    plain: Golden = mine.open(mine.current())
    mounts = mine.mounts(dataclasses.replace(plain, deps=StoreTrees(store).seal(str(tmp_path / "site"))))
    assert [(m.target, m.writable) for m in mounts] == [("/golden", False), ("/deps", False)]
    assert os.readlink(Path(mounts[0].source) / "bin" / "python3") == plain.interpreter
    assert (Path(mounts[1].source) / "dep.py").read_bytes() == b"x = 1\n"


def test_a_missing_distribution_or_interpreter_is_named(tmp_path: Path) -> None:
    """What is missing and how to get it."""
    cases: dict[str, dict[str, Any]] = {
        "toolchain-incomplete": {"distributions": ("no-such-distribution",)},
        "no-interpreter": {"interpreter": "/nowhere/python3"},
    }
    for expected, more in cases.items():
        with pytest.raises(Unusable) as raised:
            goldens(tmp_path / expected, MemoryStore(), **more).current()
        assert raised.value.reference == expected
        assert raised.value.remedy


def _repository(path: Path) -> int:
    (path / "refs" / "heads").mkdir(parents=True)
    (path / "objects" / "ab").mkdir(parents=True)
    (path / "HEAD").write_bytes(b"ref: refs/heads/main\n")
    (path / "objects" / "ab" / ("c" * 38)).write_bytes(b"x" * 100)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


@pytest.mark.parametrize(("bound", "value"), [("MAX_FILES", 1), ("MAX_BYTES", 50), ("MAX_REF_BYTES", 5)])
def test_a_repository_larger_than_the_bounds_is_refused(
    tmp_path: Path, bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, bytes and the size of a ref are bounded."""
    monkeypatch.setattr(gitdir, bound, value)
    fd = _repository(tmp_path / "r")
    with pytest.raises(TooLarge) as raised:
        gitdir.copy(fd, tmp_path / "copy")
    os.close(fd)
    assert raised.value.reference == "repository-too-large"


def test_only_refs_and_objects_are_copied(tmp_path: Path) -> None:
    """Hooks, config, index, locks, pipes and files of other names stay behind."""
    fd = _repository(tmp_path / "r")
    for name in ("config", "index", "hooks", "refs/heads/x.lock", "objects/ab/odd", "objects/info"):
        (tmp_path / "r" / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "r" / "refs" / "heads" / "pipe")
    (tmp_path / "r" / "refs" / "heads" / "main").write_bytes(b"a" * 40)
    gitdir.copy(fd, tmp_path / "copy")
    os.close(fd)
    found = sorted(str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*") if p.is_file())
    assert found == ["HEAD", f"objects/ab/{'c' * 38}", "refs/heads/main"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(min_size=1, max_size=20).filter(lambda name: "/" not in name and "\0" not in name), st.binary())
def test_reading_an_artifact_gives_its_bytes_or_a_refusal(tmp_path: Path, name: str, data: bytes) -> None:
    """Whatever name a tool chooses, the answer is the bytes under an allowed name, or Unusable `bad-output`."""
    folder = tmp_path / "artifacts"
    for old in folder.iterdir() if folder.exists() else ():
        old.unlink()
    folder.mkdir(exist_ok=True)
    if name in (".", "..") or "\ud800" <= max(name) <= "\udfff":
        return
    (folder / name).write_bytes(data)
    try:
        left = results.read(tmp_path)
    except Unusable as error:
        assert error.reference == "bad-output"
    else:
        assert left.artifacts == {name: data}
        assert name.isascii()
