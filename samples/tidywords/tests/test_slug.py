import pytest

from tidywords import slug


@pytest.mark.parametrize(("text", "expected"), [("Hello, World!", "hello-world"), ("  a  b ", "a-b"), ("A1", "a1")])
def test_slug(text, expected):
    assert slug(text) == expected


def test_nothing_left():
    with pytest.raises(ValueError):
        slug("!!!")
