"""A repository's greenroom.toml as the sandbox reads it: bounded, as data, and by the same rules as the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.globs import Globs
from greenroom.domain.settings import Read
from greenroom.domain.toml_settings import read as read_own
from greenroom.tools import _settings
from greenroom.tools._scope import Scope

TEXT = """# settings
test-command = "python -m pytest -q"
proposers = ["ruff"]

[paths]
deny = ["src/**"]
[index.names]
"a-*" = "https://x/simple"
"""


def test_the_tool_gives_keys_with_their_lines(body: object) -> None:
    """Dotted keys, JSON values, lines from 1; the result is a document that the domain reads."""
    ran = body("read_settings_t0", base={"greenroom.toml": TEXT})  # type: ignore[operator]
    found = documents.from_plain(Read, ran.result)
    assert {entry.key: entry.line for entry in found.entries} == {
        "test-command": 2,
        "proposers": 3,
        "paths.deny": 6,
        "index.names": 7,
    }
    assert found.entries[3].value == {"a-*": "https://x/simple"}


def test_no_file_is_no_settings_and_no_fault(body: object) -> None:
    """A tree without the file sets nothing."""
    assert body("read_settings_t0", base={"a.py": ""}).result == {"entries": [], "fault": "", "line": 0}  # type: ignore[operator]


def test_a_link_or_a_directory_of_that_name_is_told(body: object, tmp_path: Path) -> None:
    """Nothing is followed, and nothing is passed over in silence."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "greenroom.toml").symlink_to("/etc/passwd")
    assert "no plain file" in body("read_settings_t0", base=tree).result["fault"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "UTF-8"),
        (b"a = ", "value"),
        (b"a = 1979-05-27", "dates"),
        (b"a = 1.5", "fractions"),
        (b"a = 9007199254740993", "fractions"),
        (b"a = [[[[1]]]]", "deep"),
        (b"a = " + b"[" * 20_000, ""),
        (b"#" * 70_000, "bytes"),
        (b"".join(b"a%d = 1\n" % n for n in range(300)), "keys"),
    ],
)
def test_what_cannot_be_taken_is_a_fault_with_a_reason(data: bytes, why: str) -> None:
    """Size, depth, count and types are bounded."""
    found = _settings.read(data)
    assert found["entries"] == []
    assert why in found["fault"]
    assert found["fault"]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_a_fault(data: bytes) -> None:
    """The reader always ends with a document of its form."""
    found = documents.from_plain(Read, _settings.read(data))
    assert not (found.entries and found.fault)


@given(st.from_regex(r'\A([a-z]{1,4} = ("[a-z]*"|[0-9]{1,3}|\["a", "b"\])\n|\[[a-z]{1,4}\]\n){0,6}\Z'))
def test_the_box_and_the_sandbox_read_one_language(text: str) -> None:
    """A file means the same in the box as in a repository: keys, lines and values."""
    mine, theirs = read_own(text), documents.from_plain(Read, _settings.read(text.encode()))
    assert bool(mine.fault) == bool(theirs.fault)
    assert mine.entries == theirs.entries


@given(
    st.lists(st.text("ab*?.", min_size=1, max_size=4) | st.just("**"), min_size=1, max_size=3).map("/".join),
    st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join),
)
def test_globs_match_as_those_of_the_constitution(glob: str, path: str) -> None:
    """One glob language: what the sandbox leaves out is what the executor would."""
    try:
        own = Globs([glob])
    except Unusable:
        assume(False)
    assert bool(re.fullmatch(_settings.pattern(glob), path)) == own.match(path)


def test_scans_leave_out_what_the_file_leaves_out(tmp_path: Path) -> None:
    """The rule is counted by the file's name; a file that cannot be read leaves nothing out."""
    for name in ("src/a.py", "docs/b.py", "c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "greenroom.toml").write_text('paths.allow = ["src/**", "docs"]\npaths.deny = ["docs/**"]\n')
    scope = Scope(tmp_path)
    assert [path for path, _ in scope.files(lambda path: path.endswith(".py"))] == ["src/a.py"]
    assert scope.ignored == {"greenroom.toml": 2}
    (tmp_path / "greenroom.toml").write_text("paths.allow = [")
    assert len(list(Scope(tmp_path).files(lambda path: path.endswith(".py")))) == 3
