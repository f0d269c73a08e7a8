"""The file of a backup: it comes back as it was, and nothing else comes out of it."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.bootstrap import archive, backup
from greenroom.bootstrap.archive import HEADER, LIST, Header
from greenroom.domain import documents
from greenroom.domain.errors import GreenroomError, Tampered, Unusable
from greenroom.domain.verdict import Instant

HEAD = Header(schema=1, box="b1", at=Instant(5), version="0.1.0")


def silent(done: int) -> None:
    del done


def tree(root: Path) -> None:
    """A little of everything that a box has."""
    (root / "store/blob/ab").mkdir(parents=True)
    (root / "store/blob/ab/cd").write_bytes(b"bytes" * 100)
    (root / "store/blob/ab/cd").chmod(0o444)
    (root / "empty").mkdir(mode=0o700)
    (root / "run.sh").write_bytes(b"")
    (root / "run.sh").chmod(0o755)
    os.symlink("../outside", root / "store/link")


def every(path: str, link: bool) -> bool:
    del path, link
    return True


def written(root: Path, names: archive.Names = every) -> bytes:
    target = io.BytesIO()
    archive.write(target, HEAD, root, names, silent)
    return target.getvalue()


def snapshot(root: Path) -> dict[str, tuple[int, bytes | str | None]]:
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (0 if path.is_symlink() else mode, content)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("box")
    tree(root)
    return written(root)


def test_what_was_written_comes_back_as_it_was(tmp_path: Path) -> None:
    """Bytes, modes, empty folders and links, and the header."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    tree(tmp_path / "a")
    header, members = archive.read(io.BytesIO(written(tmp_path / "a")), tmp_path / "b", every, silent)
    assert header == HEAD
    assert members == 7
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_what_is_not_asked_for_is_left_out(tmp_path: Path) -> None:
    """A folder that is left out takes all below it along."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    tree(tmp_path / "a")
    archive.read(io.BytesIO(written(tmp_path / "a", lambda path, _: path != "store")), tmp_path / "b", every, silent)
    assert sorted(snapshot(tmp_path / "b")) == ["empty", "run.sh"]


def test_a_pipe_in_a_box_is_named_and_does_not_block(tmp_path: Path) -> None:
    """Who could write to a box cannot make its backup wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unusable, match="not-a-plain-file"):
        written(tmp_path)


@given(data=st.data())
def test_a_changed_backup_is_never_taken_for_a_whole_one(whole: bytes, data: st.DataObject) -> None:
    """One changed byte, one cut: refused, or, in what the compression does not use, without any effect."""
    plain = gzip.decompress(whole)
    at = data.draw(st.integers(0, len(plain) - 1))
    if data.draw(st.booleans()):
        changed = gzip.compress(plain[:at], 1)
    else:
        bit = data.draw(st.integers(1, 255))
        changed = gzip.compress(plain[:at] + bytes([plain[at] ^ bit]) + plain[at + 1 :], 1)
    try:
        header, members = archive.read(io.BytesIO(changed), None, every, silent)
    except GreenroomError:
        return
    assert (header, members) == (HEAD, 7)


@given(st.binary(max_size=300))
def test_noise_is_no_backup(noise: bytes) -> None:
    """Whatever the file is, the answer is a clear error."""
    for data in (noise, gzip.compress(noise)):
        with pytest.raises(GreenroomError):
            archive.read(io.BytesIO(data), None, every, silent)


def crafted(*members: tarfile.TarInfo) -> bytes:
    """A backup that somebody else made: a header, and `members`, each with no bytes."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        info = tarfile.TarInfo(HEADER)
        head = documents.encode(HEAD)
        info.size = len(head)
        tar.addfile(info, io.BytesIO(head))
        for each in members:
            tar.addfile(each, io.BytesIO(b"\0" * each.size))
    return target.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "members",
    [
        (member("../out"),),
        (member("/etc/out"),),
        (member("a/../../out"),),
        (member("no-folder/x"),),
        (member("link", tarfile.SYMTYPE, ".."), member("link/out")),
        (member("x"), member("x")),
        (member("x", tarfile.LNKTYPE, "/etc/passwd"),),
        (member("x", tarfile.FIFOTYPE),),
        (member("x", tarfile.CHRTYPE),),
        (member("./x"),),
        (member(".", tarfile.DIRTYPE),),
        (member("d", tarfile.DIRTYPE), member("d//x")),
    ],
    ids=lambda members: " ".join(each.name for each in members),
)
def test_nothing_leaves_the_directory(tmp_path: Path, members: tuple[tarfile.TarInfo, ...]) -> None:
    """Paths that go up, lead through a link, come twice, or are no plain files are refused before they are laid out."""
    (tmp_path / "box").mkdir()
    with pytest.raises(Tampered, match="backup-broken"):
        archive.read(io.BytesIO(crafted(*members)), tmp_path / "box", every, silent)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "box/x").is_fifo()


def test_a_backup_without_its_list_was_cut(tmp_path: Path) -> None:
    """Members alone prove nothing."""
    with pytest.raises(Tampered, match=LIST):
        archive.read(io.BytesIO(crafted(member("x"))), tmp_path, every, silent)


def test_a_backup_of_a_later_schema_says_who_can_read_it() -> None:
    """The version that wrote it is named."""
    later = documents.encode(Header(schema=2, box="b1", at=Instant(5), version="9.9"))
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        info = tarfile.TarInfo(HEADER)
        info.size = len(later)
        tar.addfile(info, io.BytesIO(later))
    with pytest.raises(Unusable, match=r"9\.9"):
        archive.read(io.BytesIO(target.getvalue()), None, every, silent)


@pytest.mark.parametrize(
    "bad",
    [
        (member("keeper", tarfile.DIRTYPE), member("keeper/launcher", tarfile.DIRTYPE)),
        (member("live", tarfile.SYMTYPE, "/etc"),),
        (member("keeper", tarfile.DIRTYPE), member("keeper/attempts.db", tarfile.SYMTYPE, "/etc/cron.d/x")),
        (member("run", tarfile.DIRTYPE),),
        (member("elsewhere", tarfile.DIRTYPE),),
    ],
    ids=lambda members: members[-1].name,
)
def test_a_backup_that_somebody_made_brings_nothing_that_a_box_would_run(
    tmp_path: Path, bad: tuple[tarfile.TarInfo, ...]
) -> None:
    """No launcher, no socket, no link but in a toolchain, nothing that no box has: refused before it is laid out."""
    with pytest.raises(Tampered, match="backup-broken"):
        archive.read(io.BytesIO(crafted(*bad)), tmp_path, backup._wanted, silent)
    assert not (tmp_path / bad[-1].name).is_symlink()
    assert not (tmp_path / bad[-1].name).exists()


def test_a_link_of_a_toolchain_is_taken_along_and_another_is_named(tmp_path: Path) -> None:
    """A box has links in its toolchains only; one elsewhere is somebody's, and its backup says so."""
    (tmp_path / "keeper/golden/trees/t").mkdir(parents=True)
    os.symlink("python3.11", tmp_path / "keeper/golden/trees/t/python3")
    assert written(tmp_path, backup._wanted)
    (tmp_path / "store").mkdir()
    os.symlink("/etc/shadow", tmp_path / "store/x")
    with pytest.raises(Unusable, match="not-a-plain-file"):
        written(tmp_path, backup._wanted)
