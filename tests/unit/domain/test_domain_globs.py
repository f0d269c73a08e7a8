from __future__ import annotations

import itertools

import pathspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.globs import MAX_GLOBS, Globs

_NAMES = st.sampled_from(["a", "b", "*", "?", "a*", "*.py", "a?c", ".env"])
_GLOBS = st.lists(st.one_of(_NAMES, st.just("**")), min_size=1, max_size=4).filter(
    lambda parts: not any(a == b == "**" for a, b in itertools.pairwise(parts))
)
_PATHS = st.lists(st.sampled_from(["a", "b", "abc", "x.py", ".env", "a.py"]), min_size=1, max_size=4).map("/".join)


@given(_GLOBS.map("/".join), _PATHS)
def test_globs_agree_with_gitignore(glob: str, path: str) -> None:
    """Matching is that of gitignore, files below a matched directory included."""
    known = pathspec.GitIgnoreSpec.from_lines([glob])
    assert Globs([glob]).match(path) == known.match_file(path)


@pytest.mark.parametrize("glob", ["", "/a", "a//b", "../a", "a/./b", "!a", "a\\b", "[ab]", "a**", "a\x00", "x" * 300])
def test_a_glob_of_another_shape_is_unusable(glob: str) -> None:
    """What a person may have meant otherwise is refused when the constitution is read."""
    with pytest.raises(Unusable) as raised:
        Globs([glob])
    assert raised.value.reference == "bad-glob"


def test_too_many_globs_are_refused() -> None:
    """The number of globs is bounded."""
    with pytest.raises(TooLarge):
        Globs(["a"] * (MAX_GLOBS + 1))


def test_no_globs_match_nothing() -> None:
    """An empty list of allowed paths allows none."""
    assert not Globs([]).match("a")


@given(st.text(min_size=1, max_size=20))
def test_everything_matches_every_path(path: str) -> None:
    """`**` covers any path, whatever characters it has."""
    assert Globs(["**"]).match(path)
