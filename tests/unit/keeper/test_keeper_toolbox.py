"""What cells see at /tools: made once, shared, and what it was when it was made."""

from __future__ import annotations

import os
import platform
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, NotFound, Tampered
from greenroom.keeper.toolbox import Toolbox
from greenroom.testing.store import MemoryStore

BODY = b"""import os, sys
sys.path.insert(0, os.path.dirname(__file__))
import _body
print(_body.WORD, _body.__cached__)
"""
PYTHON = platform.python_version()
NAME = "say_t0"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def helpers(store: MemoryStore) -> dict[str, Digest]:
    return {"_body.py": store.put("blob", b"WORD = 'said'\n"), "_other.py": store.put("blob", b"1 +\n")}


@pytest.fixture
def box(tmp_path: Path, store: MemoryStore) -> Callable[[], Toolbox]:
    """A toolbox on the same directory, as a keeper makes it at its start."""
    return lambda: Toolbox(tmp_path / "tools", store)


def test_a_body_finds_its_helpers_and_their_byte_code(box: Callable[[], Toolbox], helpers: dict[str, Digest]) -> None:
    """Body and helpers stand there as they are stored, for everybody to read and nobody to write; what does not
    compile has no byte code, and a body is not imported."""
    place = box().place(helpers, PYTHON, NAME, BODY)
    said = subprocess.run(
        [sys.executable, "-I", "-B", "-v", str(place / f"{NAME}.py")], capture_output=True, text=True, check=True
    )
    code = f"_body.{sys.implementation.cache_tag}.pyc"
    assert said.stdout.split() == ["said", str(place / "__pycache__" / code)]
    assert f"code object from '{place / '__pycache__' / code}'" in said.stderr
    assert (place / "_body.py").read_bytes() == b"WORD = 'said'\n"
    assert os.listdir(place / "__pycache__") == [code]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (place, *place.rglob("*"))}
    assert modes == {place.name: 0o755, "__pycache__": 0o755, code: 0o444} | dict.fromkeys(
        ("_body.py", "_other.py", f"{NAME}.py"), 0o444
    )


def test_the_same_tool_is_laid_out_once(
    box: Callable[[], Toolbox], helpers: dict[str, Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs share it, also those of the next keeper; tools share the byte code of their helpers."""
    compiled: list[str] = []
    really = py_compile.compile

    def count(file: str, *args: object, **more: object) -> object:
        compiled.append(Path(file).name)
        return really(file, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(py_compile, "compile", count)
    first = box()
    place = first.place(helpers, PYTHON, NAME, BODY)
    other = first.place(helpers, PYTHON, "other_t0", BODY)
    assert other != place
    assert sorted(compiled) == ["_body.py", "_other.py", "_other.py"]
    inode = place.stat().st_ino
    assert first.place(helpers, PYTHON, NAME, BODY) == box().place(helpers, PYTHON, NAME, BODY) == place
    assert (place.stat().st_ino, len(compiled)) == (inode, 3)


def test_another_body_helper_or_interpreter_has_a_place_of_its_own(
    box: Callable[[], Toolbox], store: MemoryStore, helpers: dict[str, Digest]
) -> None:
    """All that stands in it, and what reads it, determines where it is; another Python finds no byte code of ours."""
    room = box()
    usual = room.place(helpers, PYTHON, NAME, BODY)
    changed = {**helpers, "_body.py": store.put("blob", b"WORD = 'else'\n")}
    elsewhere = room.place(helpers, "3.7.1", NAME, BODY)
    places = {usual, elsewhere, room.place(changed, PYTHON, NAME, BODY), room.place(helpers, PYTHON, NAME, b"x = 1\n")}
    assert len(places) == 4
    assert not (elsewhere / "__pycache__").exists()


def spoil(place: Path, how: str) -> None:
    """Do to a prepared directory what no run can."""
    code = next(place.glob("__pycache__/_body.*"))
    if how == "helper":
        (place / "_body.py").unlink()
        (place / "_body.py").write_bytes(b"WORD = 'evil'\n")
    elif how == "byte code":
        data = code.read_bytes()
        code.unlink()
        code.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "more":
        (place / "json.py").write_bytes(b"")
    elif how == "folder":
        (place / "json").mkdir()
    elif how == "mode":
        code.chmod(0o644)
    else:
        shutil.rmtree(place)


@pytest.mark.parametrize("how", ["helper", "byte code", "more", "folder", "mode", "gone"])
def test_what_is_not_as_it_was_made_is_not_used(
    box: Callable[[], Toolbox], helpers: dict[str, Digest], how: str
) -> None:
    """The keeper that knows it refuses; the next one, which knows its digest from the record, makes it again."""
    room = box()
    place = room.place(helpers, PYTHON, NAME, BODY)
    spoil(place, how)
    with pytest.raises(Tampered, match="tools-changed") as caught:
        room.place(helpers, PYTHON, NAME, BODY)
    assert caught.value.where == str(place)
    assert box().place(helpers, PYTHON, NAME, BODY) == place
    assert (place / "_body.py").read_bytes() == b"WORD = 'said'\n"
    assert not (place / "json.py").exists()


def test_what_a_killed_keeper_left_is_made_again(box: Callable[[], Toolbox], helpers: dict[str, Digest]) -> None:
    """A part, and a directory whose record was not written yet, are worth nothing."""
    place = box().place(helpers, PYTHON, NAME, BODY)
    place.with_name(f"{place.name}.sha256").unlink()
    (place.with_name(f"{place.name}.part") / "half").mkdir(parents=True)
    assert box().place(helpers, PYTHON, NAME, BODY) == place
    assert sorted(path.name for path in place.parent.iterdir()) == [place.name, f"{place.name}.sha256"]


def test_a_helper_that_the_store_lost_is_missed(
    box: Callable[[], Toolbox], store: MemoryStore, helpers: dict[str, Digest]
) -> None:
    """Nothing is laid out without it, and no half of it stays in the way."""
    store.erase(helpers["_body.py"])
    with pytest.raises(NotFound):
        box().place(helpers, PYTHON, NAME, BODY)
    store.put("blob", b"WORD = 'said'\n")
    assert box().place(helpers, PYTHON, NAME, BODY).is_dir()


@pytest.mark.parametrize("name", ["../evil.py", ".hidden.py", "a/b.py"])
def test_a_helper_has_a_plain_name(box: Callable[[], Toolbox], store: MemoryStore, name: str) -> None:
    """No name leads out of the directory."""
    with pytest.raises(Bug, match="bad-input-name"):
        box().place({name: store.put("blob", b"")}, PYTHON, NAME, BODY)
