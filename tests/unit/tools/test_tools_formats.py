"""INI and TOML from hostile hands: read as the standard library reads them, in a time that grows with their size."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.tools import _data, _formats, _projects, _suites

MEGABYTE = 1024 * 1024 - 200
"""What a reader takes of one file, about. Its square, in steps, is more than any test waits for."""
INI = st.lists(
    st.sampled_from(["[a]", "[b]", " ", "\t", "\r", "\x0b", "\n", "k", "K", "=", ":", " = ", "#", ";", "é", "]", "["]),
    max_size=40,
).map("".join)
PART = st.sampled_from(["a", "b-1", "'c'", '"d.e"', " . ", ".", "=", " ", "\n", "[", "]", "1"])


def standard(text: str, parser: configparser.RawConfigParser) -> object:
    """What a parser makes of `text`: its sections, or its kind of error."""
    try:
        parser.read_string(text)
    except configparser.Error as error:
        return type(error)
    return {name: dict(parser.items(name)) for name in parser.sections()}


@given(text=INI)
def test_the_lenient_reader_reads_as_the_standard_one(text: str) -> None:
    """Names, values, sections and errors are the same."""
    usual = configparser.RawConfigParser(strict=False, allow_no_value=True)
    assert standard(text, _formats.Lenient()) == standard(text, usual)


@given(text=INI)
def test_the_strict_reader_reads_as_the_standard_one(text: str) -> None:
    """A name or a section given twice is an error, as is a name without a value."""
    usual = configparser.ConfigParser(interpolation=None, strict=True)
    assert standard(text, _formats.Strict()) == standard(text, usual)


@given(parts=st.lists(PART, max_size=30))
def test_toml_is_read_as_the_standard_library_reads_it(parts: list[str]) -> None:
    """Below the bound nothing is another."""
    text = "".join(parts)
    try:
        expected: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        with pytest.raises(tomllib.TOMLDecodeError, match=re.escape(str(error))):
            _formats.toml(text)
    else:
        assert _formats.toml(text) == expected


@pytest.mark.parametrize("part", ["a", "'a'", '"a b"', "a "])
@pytest.mark.parametrize("form", ["{}x = 1", "[{}x]", "k = {{{}x = 1}}"])
def test_a_dotted_name_has_a_bounded_number_of_parts(part: str, form: str) -> None:
    """So many are read; one more is not TOML that this house reads, and no fault of the file either."""
    most = form.format(f"{part}." * (_formats.MAX_PARTS - 1))
    assert _formats.toml(most) == tomllib.loads(most)
    with pytest.raises(_formats.Beyond):
        _formats.toml(form.format(f"{part}." * _formats.MAX_PARTS))
    with pytest.raises(_formats.Beyond):
        _formats.toml(form.format(f"{part}." * (MEGABYTE // 8)))


@pytest.mark.parametrize("blank", [" ", "\t", "\x0b", "\r"])
@pytest.mark.parametrize("line", ["a{}b", "a{}", "a{}= x", "a ={}x"])
def test_a_megabyte_of_blanks_in_an_ini_line_is_read(tmp_path: Path, blank: str, line: str) -> None:
    """A run of blanks costs its length."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n" + line.format(blank * MEGABYTE), "utf-8", newline="")
    assert _suites.detect(tmp_path).framework == "pytest"
    assert _projects.ini(tmp_path, "pytest.ini").sections() == ["pytest"]


@pytest.mark.parametrize("text", ["\n", "\r\n", " \n", "\x0c\n", "import\n", 'x = """' + "\n" * 1000])
def test_a_megabyte_of_blank_lines_in_a_test_file_is_read(tmp_path: Path, text: str) -> None:
    """The search for imports costs the length of the file, not its square."""
    (tmp_path / "test_a.py").write_text("import os\n" + text * (500_000 // len(text)), "utf-8", newline="")
    assert _suites.detect(tmp_path).framework in ("none", "pytest", "unittest")


def test_an_import_of_pytest_is_found_below_blank_lines(tmp_path: Path) -> None:
    """Blank lines, indents and a form feed before it change nothing."""
    (tmp_path / "test_a.py").write_text("import unittest\n\n \n\x0c\ntry:\n    import pytest\nfinally:\n    pass\n")
    assert _suites.detect(tmp_path).framework == "pytest"


def test_a_json_file_of_blank_lines_is_read() -> None:
    """The look for comments in a file that is no JSON costs the file's length."""
    fault = _data._json("\n" * 500_000 + "x")
    assert fault is not None
    assert fault.rule == ""


@pytest.mark.parametrize("word", ["**/" * 50 + "x", "*a" * 200, "a" * 100_000, "*/" * 5])
def test_a_pattern_of_paths_that_would_take_long_is_left_out(tmp_path: Path, word: str) -> None:
    """The suite is run as where no paths are named."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\ntestpaths = {word}\n")
    (tmp_path / ("d/" * 12)).mkdir(parents=True)
    assert _suites.detect(tmp_path).args == (".",)


def test_options_of_a_length_that_nobody_writes_are_left_out_with_a_note(tmp_path: Path) -> None:
    """Splitting them would take long."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --{'x' * 500_000}\n")
    found = _suites.detect(tmp_path)
    assert found.args == (".",)
    assert found.notes[0].startswith("left out of addopts: --xxx")
