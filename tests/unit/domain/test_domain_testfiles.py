"""The one list of test files: names, what settings choose, and what a run told."""

from __future__ import annotations

import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.testfiles import SuiteFiles, chosen, doubtful, is_test, laid_over, named, root_of, shown

SPEC = SuiteFiles(tests=("specs/spec_a.py", "testa.py", "guide.rst", "code.py"), patterns=("spec_*.py",))


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("tests/a/x.txt", "tests"),
        ("src/pkg/testing/api.py", "src/pkg/testing"),
        ("Tests/test_a.py", "Tests/test_a.py"),
        ("tests.py", None),
        ("management/commands/test.py", None),
        ("a/calc_tests.py", None),
        ("Testing/helper.py", None),
        ("a/conftest.py", "a/conftest.py"),
        ("a/pytest.ini", "a/pytest.ini"),
        (".pytest.toml", ".pytest.toml"),
        ("testcalc.py", None),
        ("testimonials.py", None),
        ("Conftest.py", None),
        ("contest/x.py", None),
        ("tests.txt", None),
    ],
)
def test_names_that_are_tests_wherever_they_stand(path: str, root: str | None) -> None:
    """Directories and files as pytest spells them; what only may be one is none."""
    assert root_of(path) == root


@pytest.mark.parametrize("path", ["app/tests.py", "commands/test.py", "a/calc_tests.py", "Testing/x.py", "a/spec_x.py"])
def test_what_only_may_be_a_test_is_one_where_base_s_run_collected_from_it(path: str) -> None:
    """Product code has such names too: it is never base's in Green's place, and a change of it is no proof."""
    patterns = ("spec_*.py",)
    collected = SuiteFiles(tests=(path,), patterns=patterns)
    assert is_test(path, patterns)
    assert not named(path)
    assert laid_over(path, collected)
    assert not doubtful(path, collected)
    for other in (SuiteFiles(patterns=patterns), SuiteFiles(tests=(path,), others=(path,), patterns=patterns)):
        assert not laid_over(path, other)
        assert doubtful(path, other)


def test_settings_are_laid_over_and_are_no_tests() -> None:
    """A change of pyproject.toml is configuration, not a test; conftest.py is both."""
    assert [is_test(path) for path in ("pyproject.toml", "tox.ini", "conftest.py", "tests/a.txt")] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("spec_*.py", "a/spec_x.py", True),
        ("spec_*.py", "a/spec_x.txt", False),
        ("*_spec.py", "x_spec.py", True),
        ("specs/s*.py", "a/specs/sx.py", True),
        ("specs/s*.py", "aspecs/sx.py", False),
        ("src/*.py", "src/x.py", False),
        ("check_[a-c].py", "check_b.py", True),
        ("*.py", "x.py", False),
        ("*", "x.py", False),
        ("[a-z]*.py", "x.py", False),
        ("specs/*.py" + "x" * 300, "specs/x.py", False),
    ],
)
def test_a_pattern_names_tests_where_it_says_something(pattern: str, path: str, expected: bool) -> None:
    """A pattern that fits every file would call all code a test; then base's code would be tested for Green's."""
    assert chosen(path, (pattern,)) is expected


def test_what_a_run_told_is_laid_over_only_where_its_name_agrees() -> None:
    """By the settings' pattern, by unittest's, or as text; code that tests stand in is Green's own, and doubtful.

    So is a text of examples, which nothing compares.
    """
    laid = [path for path in SPEC.tests if laid_over(path, SPEC)]
    assert laid == ["specs/spec_a.py", "testa.py", "guide.rst"]
    assert [path for path in SPEC.tests if doubtful(path, SPEC)] == ["guide.rst", "code.py"]
    assert not laid_over("specs/spec_b.py", SPEC), "a pattern alone is no proof that tests stand there"


def test_what_serves_tests_is_doubtful_whatever_its_name() -> None:
    """A plugin, code with examples, a helper beside tests, and what is named like a test but used by code."""
    suite = SuiteFiles(others=("plugin.py", "pkg/testing/api.py"), places=("specs",))
    assert [path for path in ("plugin.py", "pkg/testing/api.py", "specs/helper.py") if doubtful(path, suite)] == [
        "plugin.py",
        "pkg/testing/api.py",
        "specs/helper.py",
    ]
    assert not any(doubtful(path, suite) for path in ("pkg/api.py", "specs2/a.py", "tests/helper.py"))


_PATH = st.text(st.sampled_from(string.ascii_letters + "/._*-é\x01"), max_size=40)


@given(_PATH, st.lists(_PATH, max_size=4))
def test_every_file_has_one_place(path: str, patterns: list[str]) -> None:
    """No path and no pattern breaks the list; what tests came from is laid over or doubtful, no Python file both."""
    suite = SuiteFiles(tests=(path,), patterns=tuple(patterns))
    assert laid_over(path, suite) or doubtful(path, suite)
    assert not (path.endswith(".py") and laid_over(path, suite) and doubtful(path, suite))


@given(st.binary(max_size=30).map(os.fsdecode))
def test_a_shown_path_is_printable_and_travels(path: str) -> None:
    """Whatever bytes a name has, JSON and a screen can carry what is shown."""
    assert shown(path).isprintable() or not path
    shown(path).encode("utf-8")
