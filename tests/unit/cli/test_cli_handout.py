"""`improve --out DIR`: cards and patches that git takes, and nothing of anybody else is touched."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_door import Door
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import Exit, Unusable
from greenroom.entrypoints.cli import mail, markdown
from greenroom.entrypoints.cli.handout import MANIFEST, Handout
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, patch_of
from greenroom.testing.services import MemoryServices

pytestmark = pytest.mark.slow

FILES = {"a.md": b"teh one\n", "b.md": b"teh\nteh two\n"}
AT = 1_760_000_000_000_000_000


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Door]:
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, path=str(tmp_path / "repo"), files=FILES)
    house.findings[:] = [Finding(path=path, old=b"teh", new=b"the") for path in FILES]
    yield Door(MemoryServices(house), monkeypatch, capsys)
    house.close()


def git(place: Path, *words: str, data: bytes = b"") -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    ended = subprocess.run(("git", "-C", str(place), *who, *words), input=data, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode("utf-8", "replace")


def repository(place: Path, files: Mapping[str, bytes]) -> Path:
    place.mkdir(exist_ok=True)
    git(place, "init", "-q", "-b", "main")
    git(place, "config", "core.autocrlf", "false")
    for name, data in files.items():
        (place / name).write_bytes(data)
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "first")
    return place


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_cli_out_writes_cards_and_patches_that_git_takes(door: Door, tmp_path: Path) -> None:
    """For each proposal, verified or queued: a card as JSON and as Markdown, and a patch that `git am` applies."""
    out = tmp_path / "new" / "out"
    answer = door.json("improve", door.repo, "--no-input", "--max", "1", "--out", str(out))
    assert (door.code, answer["out"]) == (Exit.PROPOSALS, str(out))
    (carried,), (queued,) = answer["changes"], answer["left"]
    names = {f"{row['id']}.{kind}" for row in (carried, queued) for kind in ("json", "md", "patch")}
    assert {path.name for path in out.iterdir()} == names | {"answer.json", "proposals.md", MANIFEST}
    card = json.loads((out / f"{carried['id']}.json").read_bytes())
    assert card["card"]["summary"] == carried["summary"]
    page = (out / f"{carried['id']}.md").read_text()
    assert page.startswith("# Mend 'teh' in a.md\n")
    assert "+the one" in page
    assert "## Risk" in page
    assert "Nothing of it is verified yet" in (out / f"{queued['id']}.md").read_text()
    place = repository(tmp_path / "clone", FILES)
    for row in (carried, queued):
        git(place, "am", str(out / f"{row['id']}.patch"))
    assert (place / "b.md").read_bytes() == b"the\nthe two\n"
    assert git(place, "log", "-1", "--format=%an <%ae>%n%s").splitlines() == [mail.AUTHOR, queued["summary"]]


def test_cli_out_again_updates_what_it_wrote(door: Door, tmp_path: Path) -> None:
    """A second run writes the same proposals again and takes away those that are none any more."""
    out = tmp_path / "out"
    first = door.json("improve", door.repo, "--out", str(out))["changes"]
    door("reject", first[0]["id"])
    door.json("improve", door.repo, "--out", str(out))
    assert not list(out.glob(f"{first[0]['id']}.*"))
    assert len(list(out.glob(f"{first[1]['id']}.*"))) == 3


def test_cli_out_of_a_foreign_directory_is_refused_before_anything_runs(door: Door, tmp_path: Path) -> None:
    """What is not empty and was not written by an earlier run stays as it is; the box is asked for nothing."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_bytes(b"mine")
    assert door("improve", door.repo, "--out", str(out)) == Exit.USAGE
    assert "[out-not-ours]" in door.err
    assert "empty directory" in door.err
    assert door.services.asked == []
    assert contents(out) == {"thesis.tex": b"mine"}


@pytest.mark.parametrize("as_json", [False, True])
def test_cli_out_that_cannot_be_written_loses_no_answer(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    """A disk that is full at the end: the answer is shown, then the error; as JSON both in one document."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Handout, "_put", full)
    words = ("improve", door.repo, "--out", str(tmp_path / "out"))
    if as_json:
        answer = door.json(*words)
        assert (door.code, answer["error"]["reference"]) == (Exit.USAGE, "out-not-writable")
        assert len(answer["changes"]) == 2
        return
    assert door(*words) == Exit.USAGE
    assert "2 proposal(s), 2 wait for approval" in door.out
    assert "[out-not-writable]" in door.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_cli_out_is_tried_before_anything_runs(door: Door) -> None:
    """A place that is not the person's to write in is named at once."""
    assert door("improve", door.repo, "--out", "/proc/out/put") == Exit.USAGE
    assert "[out-not-writable]" in door.err
    assert door.services.asked == []


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b"{}", b'{"files": []}', b'{"files": {"../x": []}}', b'{"files": {"x": 1}}', b"\xff"]
)
def test_cli_out_believes_no_odd_manifest(tmp_path: Path, manifest: bytes) -> None:
    """A directory is ours by a sound manifest only."""
    (tmp_path / MANIFEST).write_bytes(manifest)
    with pytest.raises(Unusable) as caught:
        Handout(str(tmp_path)).require()
    assert caught.value.reference == "out-not-ours"


def test_cli_out_of_a_file_or_a_link(tmp_path: Path) -> None:
    """A file is no directory; a link in place of a file that was written is not that file."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(Unusable) as caught:
        Handout(str(tmp_path / "file")).require()
    assert caught.value.reference == "out-not-ours"
    out = Handout(str(tmp_path / "out"))
    out.write({"a.md": b"1"})
    (out.directory / "a.md").unlink()
    (out.directory / "a.md").symlink_to(tmp_path / "file")
    with pytest.raises(Unusable) as caught:
        out.write({"a.md": b"2"})
    assert caught.value.reference == "out-changed"
    assert (tmp_path / "file").read_bytes() == b"x"


def test_cli_out_leaves_what_a_person_changed_or_added(tmp_path: Path) -> None:
    """An edited file, or one of the same name that somebody put there, is named and nothing is written."""
    out = Handout(str(tmp_path / "out"))
    out.write({"a.md": b"1", "b.md": b"1"})
    (out.directory / "notes").write_bytes(b"mine")
    out.write({"a.md": b"2", "b.md": b"1"})
    (out.directory / "c.md").write_bytes(b"mine")
    before = contents(out.directory)
    with pytest.raises(Unusable) as caught:
        out.write({"a.md": b"3", "c.md": b"3"})
    assert (caught.value.reference, Path(caught.value.where).name) == ("out-in-the-way", "c.md")
    assert contents(out.directory) == before
    (out.directory / "a.md").write_bytes(b"edited")
    with pytest.raises(Unusable) as caught:
        out.write({"b.md": b"3"})
    assert (caught.value.reference, Path(caught.value.where).name) == ("out-changed", "a.md")
    assert contents(out.directory) == before | {"a.md": b"edited"}


@pytest.mark.parametrize("after", range(5))
def test_cli_out_that_was_cut_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Killed between any two files, the next run goes on in the same directory."""
    out = Handout(str(tmp_path / "out"))
    out.write({"a.md": b"1", "b.md": b"1", "old.md": b"1"})
    put, count = Handout._put, iter(range(10))

    def cut(self: Handout, name: str, data: bytes) -> None:
        if next(count) == after:
            raise KeyboardInterrupt
        put(self, name, data)

    wanted = {"a.md": b"2", "b.md": b"2", "c.md": b"2"}
    monkeypatch.setattr(Handout, "_put", cut)
    with pytest.raises(KeyboardInterrupt):
        out.write(wanted)
    monkeypatch.setattr(Handout, "_put", put)
    out.write(wanted)
    assert {name: data for name, data in contents(out.directory).items() if name != MANIFEST} == wanted


HOSTILE = "Evil\u202e\n\nFrom: mallory@x\nSubject: other\n---\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\r\ntwo\r\n", b"one\r\n2\r\n"),
        (b"caf\xe9\nx\n", b"caf\xe9\ny\n"),
        ("naïve\n".encode(), "naïf\n".encode()),
        (b"From me\nx\n", b"From me\n---\nFrom you\n"),
        (b"x", b"y"),
    ],
    ids=["crlf", "latin", "utf8", "from", "no-newline"],
)
def test_mail_is_taken_by_git_byte_for_byte(tmp_path: Path, before: bytes, after: bytes) -> None:
    """Whatever the file is like and whatever the words say, `git am` makes the patch's change, as one commit."""
    place = repository(tmp_path / "r", {"f.txt": before})
    (place / "f.txt").write_bytes(after)
    patch = subprocess.run(("git", "-C", str(place), "diff", "--text"), capture_output=True, check=True).stdout
    git(place, "checkout", "-q", "f.txt")
    (tmp_path / "p").write_bytes(mail.mail(subject=f"Ünlike {HOSTILE}", body=HOSTILE, patch=patch, at=AT))
    git(place, "am", str(tmp_path / "p"))
    assert (place / "f.txt").read_bytes() == after
    assert git(place, "status", "--porcelain") == ""
    assert git(place, "log", "--format=%an").splitlines() == ["Greenroom", "A"]
    assert git(place, "log", "-1", "--format=%s").startswith("Ünlike Evil\\u{202e}")


@given(st.text(max_size=60))
def test_markdown_words_make_no_markup(words: str) -> None:
    """One line, with nothing that starts a link, a tag, a table cell or a heading unescaped."""
    shown = markdown.text(words)
    assert "\n" not in shown
    bare = shown.replace("\\\\", "")
    for mark in "`*_[]<>|#":
        assert mark not in bare.replace(f"\\{mark}", "")


@given(st.text(alphabet="`a\n", max_size=40))
def test_markdown_blocks_end_where_we_end_them(words: str) -> None:
    """No run of backticks inside is as long as the fence."""
    fence, *lines, end = markdown.block(words).split("\n")
    assert fence == end
    assert all(fence not in line for line in lines)


def test_mail_of_a_patch_of_the_house(tmp_path: Path) -> None:
    """A patch with function lines and no blob names applies, too."""
    place = repository(tmp_path / "r", {"f.md": b"teh\n"})
    data = mail.mail(subject="", body="", patch=patch_of("f.md", b"teh\n", b"the\n"), at=AT)
    (tmp_path / "p").write_bytes(data)
    git(place, "am", str(tmp_path / "p"))
    assert (place / "f.md").read_bytes() == b"the\n"
