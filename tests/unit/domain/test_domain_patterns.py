from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.patterns import MAX_PATTERN_CHARS, Pattern

_ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", "\\d", "\\w", "\\.", "\\-", "[\\w.]"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,3}"])).map(lambda p: f"({p[0]}){p[1]}"),
    ),
    max_leaves=8,
)


@given(_PATTERNS, st.text("abc1.-\n ", max_size=12))
def test_patterns_agree_with_the_standard_library(text: str, value: str) -> None:
    """Every pattern of the dialect matches whole values and parts exactly as `re` does."""
    pattern, known = Pattern(text), re.compile(text, re.ASCII)
    assert pattern.matches(value) == (known.fullmatch(value) is not None)
    assert pattern.found_in(value) == (known.search(value) is not None)


@given(st.text(max_size=40))
def test_any_text_is_a_pattern_or_unusable(text: str) -> None:
    """Whatever the text, it compiles to a pattern that answers, or raises Unusable."""
    try:
        pattern = Pattern(text)
    except Unusable:
        return
    assert pattern.matches("a") in (True, False)


@pytest.mark.parametrize(
    "text",
    ["(", ")", "[", "[]", "a**", "a{2,1}", "a{x}", "a{1", "*", "^a", "a$", "(?:a)", "\\1", "\\b", "[b-a]", "[a", "\\"],
)
def test_what_the_dialect_lacks_is_unusable(text: str) -> None:
    """Anchors, look-around, back-references and malformed patterns are refused when the policy is loaded."""
    with pytest.raises(Unusable) as raised:
        Pattern(text)
    assert raised.value.reference == "bad-pattern"


@pytest.mark.parametrize("text", ["a" * (MAX_PATTERN_CHARS + 1), "((a{500}){500}){500}"])
def test_a_pattern_that_would_grow_is_too_large(text: str) -> None:
    """The size of what a pattern compiles to is bounded."""
    with pytest.raises(TooLarge):
        Pattern(text)


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*b", "a*a*a*a*a*b", "(a|aa)+c"])
def test_patterns_that_make_others_backtrack_take_linear_time(text: str) -> None:
    """Classic bombs answer at once, since nothing backtracks."""
    began = time.perf_counter()
    assert not Pattern(text).matches("a" * 20_000)
    assert time.perf_counter() - began < 1


def test_many_distinct_characters_do_not_grow_the_cache_without_bound() -> None:
    """Cached moves are dropped at their limit and answers stay right."""
    pattern = Pattern(".*z")
    value = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    assert pattern.matches(value + "z")
    assert not pattern.matches(value)
