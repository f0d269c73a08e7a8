"""Findings and patches: a finding keeps its name wherever it moves, and a patch without one does all the rest."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.diffs import parse, paths, render
from greenroom.domain.errors import Unusable
from greenroom.domain.findings import Decision, findings, without
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId
from greenroom.testing.patching import apply

FILE = b"one\ntwo\nthree\nteh four\nfive\nsix\nseven\nrecieve eight\nnine\nten\n"
WORDS = st.lists(st.sampled_from(["teh", "wrods", "fine", "good", "x = 1", ""]), min_size=1, max_size=40)


def diff(before: bytes, after: bytes, path: str = "a.txt") -> bytes:
    """What `git diff` prints for text that ends with a newline."""
    lines = difflib.unified_diff(
        before.decode().splitlines(keepends=True), after.decode().splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    body = "".join(lines)
    return f"diff --git a/{path} b/{path}\n{body}".encode() if body else b""


def mended(text: bytes) -> bytes:
    return text.replace(b"teh", b"the").replace(b"recieve", b"receive").replace(b"wrods", b"words")


def test_each_run_of_changed_lines_is_a_finding() -> None:
    """Two words in one file are two findings, of that rule in that file only."""
    patch = diff(FILE, mended(FILE))
    names = findings("typo", patch)
    assert len(set(names)) == len(names) == 2
    assert not set(names) & set(findings("other", patch))
    assert not set(names) & set(findings("typo", diff(FILE, mended(FILE), "b.txt")))


def test_a_finding_is_the_same_after_lines_above_it_came_and_went() -> None:
    """Its line does not count; nor does what else the patch mends."""
    first, second = findings("typo", diff(FILE, mended(FILE)))
    moved = b"a\nlong\nnew\nbeginning\n" + FILE
    assert findings("typo", diff(moved, mended(moved))) == (first, second)
    only = FILE.replace(b"teh", b"the")
    assert findings("typo", diff(FILE, only)) == (first,)


def test_a_finding_is_another_once_its_code_changed() -> None:
    """Another word, or another line next to it, and it is asked about again; the rest of the file does not matter."""
    first, second = findings("typo", diff(FILE, mended(FILE)))
    beside = FILE.replace(b"three", b"drei")
    assert findings("typo", diff(beside, mended(beside)))[0] != first
    assert findings("typo", diff(beside, mended(beside)))[1] == second
    itself = FILE.replace(b"teh four", b"teh 4")
    assert findings("typo", diff(itself, mended(itself)))[0] != first


def test_the_same_text_twice_is_two_findings() -> None:
    """A no to the one that is there does not hide one that is added."""
    block = b"\n".join([b"x"] * 8 + [b"teh"] + [b"x"] * 8) + b"\n"
    (one,) = findings("typo", diff(block, mended(block)))
    first, second = findings("typo", diff(block * 2, mended(block * 2)))
    assert first == one != second


@given(WORDS, st.data())
def test_a_patch_without_some_findings_does_the_others(words: list[str], data: st.DataObject) -> None:
    """Whatever is left out, the rest still applies to the same base, and has the same names."""
    before = "".join(f"{word}\n" for word in words).encode()
    patch = diff(before, mended(before))
    names = findings("typo", patch) if patch else ()
    gone = data.draw(st.sets(st.sampled_from(names))) if names else set()
    rest = without("typo", patch, gone)
    assert set(findings("typo", rest)) <= set(names) - gone or any("-" in name for name in names)
    files = {b"a.txt": before}
    assert apply(rest, files) is None
    left = files[b"a.txt"]
    # Of the patch itself: another diff of the same two texts may have its lines elsewhere.
    assert len(findings("typo", rest)) == len(names) - len(gone)
    if not gone:
        assert left == mended(before)
    if gone == set(names):
        assert (rest, left) == (b"", before)


@given(WORDS, WORDS)
def test_patches_are_written_as_they_were_read(one: list[str], other: list[str]) -> None:
    """Parsing and writing back changes nothing but the words after a hunk's counts."""
    before, after = ("".join(f"{word}\n" for word in words).encode() for words in (one, other))
    sections = parse(diff(before, after))
    assert parse(render(sections)) == sections
    files = {b"a.txt": before}
    assert apply(render(sections), files) is None
    assert files[b"a.txt"] == after


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"diff --git a/x b/x", b"@@ -1 +1 @@", b"-a", b"+b", b" c",
        b"--- a/x", b"+++ b/x", b"\\ No newline at end of file", b"@@ -0,0 +1,9 @@"])).map(b"\n".join))  # fmt: skip
def test_no_patch_breaks_the_parser(patch: bytes) -> None:
    """It is parsed or refused as a bad patch; what is parsed has findings and can be written."""
    try:
        sections = parse(patch)
    except Unusable as error:
        assert (error.reference, bool(error.remedy)) == ("bad-patch", True)
        return
    assert parse(render(sections)) == sections
    names = findings("r", patch)
    assert len(set(names)) == len(names)
    assert without("r", patch, names) == b"" or not any(section.hunks or section.whole for section in sections)


def test_files_that_come_and_go_are_findings_as_a_whole() -> None:
    """A made, deleted, renamed, re-moded or binary file is one finding; leaving it out leaves all of it out."""
    made = (
        b"diff --git a/n b/n\nnew file mode 100644\nindex 000..111\n--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+a\n+b\n"
    )
    gone = b"diff --git a/d b/d\ndeleted file mode 100644\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    mode = b"diff --git a/m b/m\nold mode 100644\nnew mode 100755\n"
    both = made + gone + mode
    names = findings("r", both)
    assert len(names) == 3
    assert without("r", both, {names[0]}) == render(parse(gone + mode))
    assert paths(parse(both)) == ("n", "d", "m")
    assert findings("r", made.replace(b"111", b"222")) == names[:1]


def test_quoted_paths_are_read_as_git_writes_them() -> None:
    """Names outside ASCII come in C-style quotes."""
    patch = b'diff --git "a/\\303\\244.txt" "b/\\303\\244.txt"\n--- "a/\\303\\244.txt"\n+++ "b/\\303\\244.txt"\n'
    assert paths(parse(patch + b"@@ -1 +1 @@\n-a\n+b\n")) == ("ä.txt",)
    assert paths(parse(b'diff --git "a/t\\tb" "b/t\\tb"\nold mode 100644\nnew mode 100755\n')) == ("t\tb",)


@pytest.mark.parametrize(("until", "holds"), [(None, True), (Instant(11), True), (Instant(10), False)])
def test_a_decision_holds_for_good_or_until_its_time(until: Instant | None, holds: bool) -> None:
    """A no holds; a later ends at the moment it names."""
    said = Decision(finding="f", change=ChangeId("c"), said="deferred" if until else "rejected", until=until)
    assert said.holds(Instant(10)) is holds


@pytest.mark.parametrize("name", [rb"a\8b", rb"a\x", rb"a\9"])
def test_an_odd_escape_in_a_path_is_no_fault_of_ours(name: bytes) -> None:
    """What git never writes is read as it stands, or refused; blank lines between files say nothing."""
    patch = b'diff --git "a/%s" "b/%s"\n--- "a/%s"\n+++ "b/%s"\n@@ -1 +1 @@\n-x\n+y\n\n' % (name, name, name, name)
    (section,) = parse(patch)
    assert section.path.startswith(b"a")
    assert render([section]) == patch.removesuffix(b"\n").replace(b"-1 +1", b"-1,1 +1,1")
