import pytest

from tidywords import wrap


@pytest.mark.parametrize("width", [1, 3, 5, 12, 80])
def test_no_line_is_longer_than_the_width(width):
    text = "the quick brown fox jumps over the lazy dog"
    lines = wrap(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_words_stay_whole_where_they_fit():
    assert wrap("one two three", 7) == ["one two", "three"]


def test_width_is_positive():
    with pytest.raises(ValueError):
        wrap("x", 0)
