"""Settings: which keys there are, what they may say, and that a repository only ever narrows the box's own."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.constitution import DayCaps
from greenroom.domain.errors import Unusable
from greenroom.domain.settings import KEYS, Entry, Merged, Read, Values, checked, merge, nearest, shown, value_of
from greenroom.domain.terms import Terms, author_fault, lowered, terms_fault, trailer_fault
from greenroom.domain.toml_settings import plain_of, read, with_key

FILE = "greenroom.toml"
CAPS = DayCaps(changes=50, lines=5000, risk=1500, spend_micro=0)
GLOB = st.lists(st.text("abc*?", min_size=1, max_size=4).filter(lambda w: "**" not in w), min_size=1, max_size=3).map(
    "/".join
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "test-command": st.sampled_from(["pytest", "python -m pytest -q x", "python -m unittest"]),
        "proposers": st.lists(st.sampled_from(["ruff", "data", "shell"]), unique=True).map(tuple),
        "paths.allow": st.lists(GLOB, max_size=3, unique=True).map(tuple),
        "paths.deny": st.lists(GLOB, max_size=3, unique=True).map(tuple),
        "caps.changes": st.integers(0, 100),
        "caps.lines": st.integers(0, 10_000),
        "commit.author": st.sampled_from(["Ada <ada@example.org>", "Bob <bob@example.org>"]),
    },
)


def said(text: str, *, repository: bool = True) -> Values:
    return checked(read(text), FILE, repository=repository)


def refusal(text: str, *, repository: bool = True) -> Unusable:
    with pytest.raises(Unusable) as found:
        said(text, repository=repository)
    return found.value


def test_settings_are_read_by_dotted_key() -> None:
    """Tables, dotted keys and quoted names come to the same."""
    assert said('test-command = "pytest -q"\n[paths]\ndeny = ["a/**", "a/**"]\n[caps]\nlines = 3\n') == {
        "test-command": "pytest -q",
        "paths.deny": ("a/**",),
        "caps.lines": 3,
    }
    assert said('paths.deny = ["x"]\n"caps".lines = 3\n') == {"paths.deny": ("x",), "caps.lines": 3}


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_key() -> None:
    """A mistyped word is an error, never a rule that is quietly left out."""
    error = refusal('# mine\n\npropsers = ["ruff"]\n')
    assert (error.reference, error.where) == ("unknown-setting", f"{FILE}:3")
    assert "`proposers`" in error.remedy
    inside = refusal('[commit]\nauthr = "Ada <ada@example.org>"\n')
    assert (inside.where, inside.remedy) == (f"{FILE}:2", "did you mean `commit.author`?")
    assert "the keys are" in refusal("zzzzzz = 1\n").remedy
    assert nearest("author", KEYS) == "commit.author"


def test_what_is_no_toml_is_refused_with_its_line() -> None:
    """The parser's own words, and where."""
    error = refusal("proposers = [\n1 = 2\n")
    assert (error.reference, error.where.startswith(f"{FILE}:")) == ("bad-settings", True)
    assert refusal("a = 1\na = 2\n").reference == "bad-settings"
    assert refusal("a = " + "[" * 5000).reference == "bad-settings"
    assert refusal("#" * 70_000).reference == "bad-settings"


@pytest.mark.parametrize(
    "text",
    [
        "test-command = 3",
        'test-command = "-x"',
        'test-command = "a\\nb"',
        'test-command = "pytest \\u202e"',
        "test-command = ''",
        'proposers = "ruff"',
        'proposers = ["../x"]',
        'paths.deny = ["../x"]',
        'paths.deny = ["!x"]',
        "caps.lines = -1",
        "caps.lines = true",
        "caps.lines = 1.5",
        'commit.author = "Ada"',
        'commit.author = "Ada <a@b>\\u0000"',
        'commit.author = "Ada \\u001b[31m <a@b>"',
        'commit.author = "Ada <a@b> <c@d>"',
        'commit.trailers = ["no trailer"]',
        'commit.trailers = ["Signed-off-by: x\\nGreenroom-Change: y"]',
        'commit.trailers = ["greenroom-warrant: x"]',
        "commit = 3",
        'environment = ["LD_PRELOAD"]',
        'environment = ["PATH"]',
        'environment = ["A B"]',
        "paths = {}",
    ],
)
def test_values_of_another_shape_are_refused_with_their_line(text: str) -> None:
    """Type, form and characters are checked; the message names line and key."""
    error = refusal(f"\n{text}\n")
    assert error.where == f"{FILE}:2"
    assert error.remedy


def test_a_repository_may_not_name_an_index() -> None:
    """Where packages come from is the box's alone; the remedy says how to set it there."""
    error = refusal('[index]\nurl = "https://example.org/simple"\n')
    assert (error.reference, error.where) == ("setting-of-the-box", f"{FILE}:2")
    assert "greenroom config set index.url" in error.remedy
    assert said('index.url = "https://example.org/simple"', repository=False)
    routes = said('[index.names]\n"corp-*" = "https://corp.example.org/simple"\n', repository=False)
    assert routes == {"index.names": {"corp-*": "https://corp.example.org/simple"}}


def test_a_wish_beyond_the_box_is_a_note_with_key_and_both_values() -> None:
    """The box's own wins; whoever reads the note knows which key, what was asked, what stays."""
    own: Values = {"caps.lines": 100, "proposers": ("ruff",), "test-command": "pytest"}
    merged = merge(own, {"caps.lines": 500, "proposers": ("ruff", "shell"), "test-command": "pytest -x"})
    assert merged.values == own
    assert {note.key: (note.asked, note.kept) for note in merged.notes} == {
        "caps.lines": ("500", "100"),
        "proposers": ('["shell"]', '["ruff"]'),
        "test-command": ('"pytest -x"', '"pytest"'),
    }
    assert set(merged.sources.values()) == {"box"}
    assert all(note.key in str(note) and note.kept in str(note) for note in merged.notes)


def test_a_repository_gets_no_variable_that_the_box_does_not_name() -> None:
    """Without a list in the box there is none to have; with one, some of them."""
    none = merge({}, {"environment": ("TOKEN",)})
    assert (none.list("environment"), [note.key for note in none.notes]) == ((), ["environment"])
    some = merge({"environment": ("A", "B")}, {"environment": ("B", "TOKEN")})
    assert (some.list("environment"), [note.asked for note in some.notes]) == (("B",), ['["TOKEN"]'])
    assert merge({"environment": ("A",)}, {}).terms(CAPS) == Terms(environment=("A",))


def test_a_list_of_variables_of_which_none_is_taken_is_not_the_repositorys() -> None:
    """What holds is the box's own, none; so that is where it is from."""
    merged = merge({}, {"environment": ("TOKEN",)})
    assert (merged.values["environment"], merged.sources["environment"]) == ((), "box")
    assert merge({"environment": ("TOKEN", "MORE")}, {"environment": ("TOKEN",)}).sources == {
        "environment": "repository"
    }


def test_a_wish_within_the_box_is_taken() -> None:
    """Fewer proposers, lower caps, a command where the box has none."""
    own: Values = {"caps.lines": 100, "proposers": ("data", "ruff")}
    merged = merge(own, {"caps.lines": 5, "proposers": ("ruff",), "test-command": "pytest"})
    assert merged.values == {"caps.lines": 5, "proposers": ("ruff",), "test-command": "pytest"}
    assert (merged.notes, set(merged.sources.values())) == ((), {"repository"})
    assert merged.command == "pytest"


@given(SETTINGS, SETTINGS, st.lists(GLOB.map(lambda glob: glob.replace("*", "a").replace("?", "b")), max_size=4))
def test_merging_never_widens(own: dict[str, Any], wished: dict[str, Any], paths: list[str]) -> None:
    """Caps, proposers and paths are never more than the box's own; what the box sets itself stays."""
    alone, merged = merge(own, {}), merge(own, wished)
    for key in ("caps.changes", "caps.lines"):
        if key in own:
            assert int(str(merged.values[key])) <= own[key]
    if "proposers" in own:
        assert set(merged.list("proposers")) <= set(own["proposers"])
    for path in paths:
        assert merged.permits([path]) or not alone.permits([path])
    for key in ("test-command", "commit.author"):
        assert merged.values.get(key) == own.get(key, wished.get(key))
    assert lowered(CAPS, merged.terms(CAPS)).changes <= CAPS.changes


@given(SETTINGS, SETTINGS)
def test_each_wish_that_is_not_granted_whole_is_noted(own: dict[str, Any], wished: dict[str, Any]) -> None:
    """A repository never gets less than it wrote without being told, but for the two kinds of path lists."""
    merged = merge(own, wished)
    noted = {note.key for note in merged.notes}
    for key, wish in wished.items():
        if not key.startswith("paths."):
            granted = merged.values[key]
            same = set(granted) == set(wish) if isinstance(granted, tuple) else granted == wish
            assert same != (key in noted)


@given(st.text(max_size=60), st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=5)) | st.none())
def test_any_entry_is_checked_or_refused(key: str, value: Any) -> None:
    """Whatever a tool hands over is a setting of a known key or Unusable."""
    entries = Read(entries=(Entry(key=key, line=1, value=value),))
    try:
        found = checked(entries, FILE, repository=True)
    except Unusable as error:
        assert error.reference in ("unknown-setting", "bad-settings", "setting-of-the-box")
    else:
        assert set(found) <= set(KEYS)


@given(
    st.text(max_size=200) | st.from_regex(r'([a-z.-]{1,9} ?= ?("[^"\\\n]*"|[0-9]{1,3}|\[\])\n|\[[a-z]{1,6}\]\n){0,5}')
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """The parser of settings knows no other end; what it reads is what TOML says."""
    found = read(text)
    if not found.fault:
        assert len(found.entries) <= len(re.findall("=|\\[", text))
        tomllib.loads(text)


@given(SETTINGS, st.sampled_from(sorted(KEYS)), st.sampled_from(["pytest", '["ruff"]', "3", "x"]))
def test_setting_a_key_leaves_all_else(own: dict[str, Any], key: str, words: str) -> None:
    """A comment stays, other keys stay, and the key says what was set."""
    text = "# a comment of mine\n"
    for name, value in own.items():
        text = with_key(text, name, value)
    try:
        value = value_of(key, plain_of(key, words), "here")
    except Unusable:
        return
    after = with_key(text, key, value)
    assert after.startswith("# a comment of mine\n")
    assert checked(read(after), FILE, repository=False) == {**own, key: value}
    assert checked(read(f"{key} = {shown(value)}"), FILE, repository=False) == {key: value}


def test_a_key_in_a_form_of_its_own_is_left_to_its_writer() -> None:
    """A value over several lines is not rewritten by guess."""
    with pytest.raises(Unusable, match="cannot-edit"):
        with_key('proposers = [\n  "ruff",\n]\n', "proposers", ("data",))


def test_paths_are_in_when_every_list_has_them_and_none_denies_them() -> None:
    """Allow lists of box and repository must both match; either may deny."""
    merged = merge({"paths.allow": ("src/**",), "paths.deny": ("src/old",)}, {"paths.allow": ("src/a/**", "docs/**")})
    assert merged.permits(["src/a/x.py"]) == ""
    assert [merged.permits([path]) for path in ("src/b.py", "docs/a.md", "src/old/a.py")] == [
        "src/b.py",
        "docs/a.md",
        "src/old/a.py",
    ]


def test_terms_hold_what_a_commit_says_and_caps_below_the_constitution() -> None:
    """A cap that does not lower anything is not in the plan, nor is an empty setting."""
    assert Merged(values={"caps.changes": 50}, sources={}, notes=()).terms(CAPS) is None
    lower = Merged(values={"caps.changes": 3}, sources={}, notes=()).terms(CAPS)
    assert lower == Terms(changes=3)
    assert lowered(CAPS, lower) == DayCaps(changes=3, lines=5000, risk=1500, spend_micro=0)
    assert lowered(CAPS, Terms(changes=99)) == CAPS
    assert (Terms(author="Ada <a@b>").signs, Terms(changes=1).signs) == (True, False)


@given(st.text(max_size=40))
def test_no_author_or_trailer_carries_a_line_end_or_control_character(text: str) -> None:
    """What goes into a commit is one printable line, and never one of the guard's own trailers."""
    for line, fault in ((f"{text} <a@b>", author_fault), (f"A: {text}", trailer_fault)):
        assert fault(line) or (line.isprintable() and "\n" not in line)
    assert trailer_fault(f"Greenroom-{text}: x")
    assert terms_fault(Terms(trailers=(f"greenroom-a: {text}",)))
