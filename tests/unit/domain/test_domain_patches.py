"""Patches: read and written as git does it, turned round, and placed only where there is no doubt."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import patches, placing
from greenroom.domain.errors import Unusable

LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"", b"--- x", b"+++ y", b"diff --git a/q b/q", b"\\ z", b"@@"]))
TEXT = b"".join(b"line %d\n" % number for number in range(30))


def git(*argv: str, at: Path) -> bytes:
    """What git prints; its exit code is 0 or, for a difference, 1."""
    env = {"HOME": str(at), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}
    ran = subprocess.run(["git", "-c", "core.autocrlf=false", *argv], cwd=at, env=env, capture_output=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def diff(at: Path, before: dict[str, bytes], after: dict[str, bytes]) -> bytes:
    """Git's own diff between two directories."""
    for side, files in (("a", before), ("b", after)):
        (at / side).mkdir(exist_ok=True)
        for name, data in files.items():
            (at / side / name).write_bytes(data)
    flags = ("--no-prefix", "--full-index", "--text", "--no-renames")
    return git("diff", "--no-index", *flags, "a", "b", at=at)


def join(lines: list[bytes], *, ended: bool) -> bytes:
    return b"\n".join(lines) + (b"\n" if ended and lines else b"")


CASES = {
    "words": (TEXT, TEXT.replace(b"line 9\n", b"LINE 9\nmore\n").replace(b"line 20\n", b"")),
    "no newline before": (b"a\nb", b"a\nb\nc\n"),
    "no newline after": (b"a\nb\n", b"a\nc"),
    "no newline on either side": (b"a\nb", b"c\nb"),
    "headers inside": (b"--- a/x\n+++ b/x\nx\n", b"--- a/x\n+++ b/y\n@@ -1 +1 @@\ny\n"),
    "a line that git would call a header": (b"a\n-- x\n++ y\nb\n", b"a\nb\n"),
    "the line end of another system": (b"a\r\nb\r\n", b"a\r\nc\r\n"),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_patch_of_git_s_is_read_and_turned_round(tmp_path: Path, before: bytes, after: bytes) -> None:
    """Its hunks applied give what git diffed; turned round they give it back, and git says the same of both."""
    patch = diff(tmp_path, {"f": before}, {"f": after})
    (each,) = patches.parse(patch)
    assert each.path == b"f"
    assert placing.apply(each, before, [hunk.at for hunk in each.hunks]) == after
    back = patches.inverse(patch)
    (turned,) = patches.parse(back)
    assert placing.apply(turned, after, [hunk.at for hunk in turned.hunks]) == before
    assert patches.words(patches.parse(patches.inverse(back))) == patches.words((each,))
    (tmp_path / "f").write_bytes(after)
    (tmp_path / "p").write_bytes(back)
    git("apply", "--whitespace=nowarn", "p", at=tmp_path)
    assert (tmp_path / "f").read_bytes() == before


@pytest.mark.parametrize("name", ["plain", "with space", "ünicode", 'quo"te', "back\\slash", "b"])
@pytest.mark.parametrize(("before", "after"), [(b"a\n", b"b\n"), (None, b"b\n"), (b"a\n", None), (None, b"")])
def test_names_are_read_as_git_writes_them(
    tmp_path: Path, name: str, before: bytes | None, after: bytes | None
) -> None:
    """Quoted, with spaces, created, deleted and empty files; the opposite creates and deletes."""
    patch = diff(tmp_path, {} if before is None else {name: before}, {} if after is None else {name: after})
    (each,) = patches.parse(patch)
    assert each.path == name.encode()
    assert each.moves is (before is not None and after is not None)
    back = patches.inverse(patch)
    here = tmp_path / "work"
    here.mkdir()
    if after is not None:
        (here / name).write_bytes(after)
    (here / "p").write_bytes(back)
    git("apply", "--whitespace=nowarn", "p", at=here)
    assert ((here / name).read_bytes() if (here / name).exists() else None) == before


def test_modes_are_turned_round(tmp_path: Path) -> None:
    """A mode change goes back, the old one first, as git wants it."""
    for side, mode in (("a", 0o644), ("b", 0o755)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "f").write_bytes(b"x\n")
        (tmp_path / side / "f").chmod(mode)
    patch = git("diff", "--no-index", "--no-prefix", "a", "b", at=tmp_path)
    back = patches.inverse(patch)
    assert back == b"diff --git a/f b/f\nold mode 100755\nnew mode 100644\n"


@given(before=LINES, after=LINES, ended=st.booleans())
def test_any_lines_survive_a_patch(before: list[bytes], after: list[bytes], ended: bool) -> None:
    """Whatever the lines say, a whole-file hunk gives them, and its opposite takes them back."""
    one, other = join(before, ended=True), join(after, ended=ended)
    body = [b"-" + line for line in patches.split(one)] + [b"+" + line for line in patches.split(other)]
    text = b"".join(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in body)
    if not text:
        return
    counts = (min(1, len(before)), len(patches.split(one)), min(1, len(after)), len(patches.split(other)))
    patch = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -%d,%d +%d,%d @@\n" % counts + text
    (each,) = patches.parse(patch)
    assert placing.apply(each, one, [0]) == other
    (back,) = patches.parse(patches.inverse(patch))
    assert placing.apply(back, other, [0]) == one


@given(
    st.binary(max_size=400)
    | st.lists(
        st.sampled_from(
            [
                b"diff --git a/f b/f",
                b"--- a/f",
                b"+++ b/f",
                b"@@ -1,2 +1,2 @@",
                b"@@ -0,0 +1 @@",
                b" a",
                b"-b",
                b"+c",
                b"\\ No",
                b"",
                b"index a..b",
                b"GIT binary patch",
            ]
        )
    ).map(b"\n".join)
)
def test_what_is_no_patch_is_unusable(data: bytes) -> None:
    """Any bytes are a patch or unusable; a patch is the same words when it is written again."""
    try:
        files = patches.parse(data)
        back = patches.inverse(data)
    except Unusable as error:
        assert error.reference in ("bad-patch", "patch-too-large")
        return
    assert isinstance(patches.words(files), str)
    assert isinstance(back, bytes)


def patched(before: bytes, after: bytes, tmp_path: Path) -> tuple[patches.FilePatch, bytes]:
    patch = diff(tmp_path, {"f": before}, {"f": after})
    return patches.parse(patch)[0], patch


MOVES = {
    "lines before it": (b"head\n" * 3 + TEXT, 18),
    "lines after it": (TEXT + b"tail\n", 15),
    "both": (b"head\n" + TEXT + b"tail\n", 16),
    "others changed": (TEXT.replace(b"line 3\n", b"").replace(b"line 27\n", b"x\ny\n"), 14),
}


@pytest.mark.parametrize(("live", "line"), MOVES.values(), ids=MOVES)
def test_a_hunk_moves_with_its_lines(tmp_path: Path, live: bytes, line: int) -> None:
    """What was added or changed elsewhere moves it; the moved patch is the same words, and git applies it there."""
    each, patch = patched(TEXT, TEXT.replace(b"line 18\n", b"LINE 18\n"), tmp_path)
    places = placing.place(each, TEXT, live)
    assert places == (line,)
    moved = patches.moved(patch, {b"f": places})
    assert patches.words(patches.parse(moved)) == patches.words((each,))
    assert placing.apply(each, live, places) == live.replace(b"line 18\n", b"LINE 18\n")
    (tmp_path / "f").write_bytes(live)
    (tmp_path / "p").write_bytes(moved)
    git("apply", "--whitespace=nowarn", "p", at=tmp_path)
    assert (tmp_path / "f").read_bytes() == live.replace(b"line 18\n", b"LINE 18\n")


def test_a_patch_that_does_not_move_stays_byte_for_byte(tmp_path: Path) -> None:
    """Only line numbers are ever written anew."""
    each, patch = patched(TEXT, TEXT.replace(b"line 18\n", b"LINE 18\n"), tmp_path)
    assert patches.moved(patch, {b"f": (each.hunks[0].at,)}) == patch
    assert patches.moved(patch, {}) == patch


CONFLICTS = {
    "its line is another": (TEXT.replace(b"line 18\n", b"row 18\n"), b"row 18\n"),
    "a line around it is another": (TEXT.replace(b"line 17\n", b"row 17\n"), b"row 17\n"),
    "a copy stands beside it": (TEXT + TEXT, b"line 18\n"),
    "it is done already": (TEXT.replace(b"line 18\n", b"LINE 18\n"), b"LINE 18\n"),
    "the file is empty": (b"", None),
}


@pytest.mark.parametrize(("live", "shown"), CONFLICTS.values(), ids=CONFLICTS)
def test_a_hunk_without_its_lines_is_a_conflict(tmp_path: Path, live: bytes, shown: bytes | None) -> None:
    """It says why, and shows what it was made on, what it wants and what is there."""
    each, _ = patched(TEXT, TEXT.replace(b"line 18\n", b"LINE 18\n"), tmp_path)
    found = placing.place(each, TEXT, live)
    assert isinstance(found, placing.Conflict)
    assert found.why
    assert b"line 18\n" in found.base
    assert b"LINE 18\n" in found.ours
    assert shown is None or shown in found.theirs


@given(st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n"]), min_size=1, max_size=12), st.data())
def test_a_placed_hunk_always_fits(lines: list[bytes], data: st.DataObject) -> None:
    """In files full of repeated lines a place is none, or one where the old lines stand."""
    at = data.draw(st.integers(0, len(lines) - 1))
    end = data.draw(st.integers(at + 1, len(lines)))
    old = tuple(lines[at:end])
    body = (*(b"-" + line for line in old), b"+new\n")
    hunk = patches.Hunk(at=at, body=body, old=old, new=(b"new\n",))
    head = (b"diff --git a/f b/f", b"--- a/f", b"+++ b/f")
    each = patches.FilePatch(path=b"f", head=head, hunks=(hunk,))
    live = data.draw(st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n"]), max_size=12))
    found = placing.place(each, b"".join(lines), b"".join(live))
    if not isinstance(found, placing.Conflict):
        (place,) = found
        assert tuple(live[place : place + len(old)]) == old
        assert placing.apply(each, b"".join(live), found) == b"".join(
            (*live[:place], b"new\n", *live[place + len(old) :])
        )
