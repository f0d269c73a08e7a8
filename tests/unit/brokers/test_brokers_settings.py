"""The person's index settings are honoured; nothing else of a pip configuration is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.brokers.settings import ALLOWED, parse_settings, pip_environment, read_settings


def test_files_then_section_then_variables() -> None:
    """Variables win over the section `download`, which wins over `global`."""
    listing = "global.index-url='a'\nglobal.proxy='p'\ndownload.index-url='b'\n:env:.index-url='c'\ninstall.cert='x'\n"
    assert parse_settings(listing) == {"index-url": "c", "proxy": "p"}


def test_what_could_widen_is_left_behind() -> None:
    """Targets, source builds and requirement files of the person are not used here."""
    assert parse_settings("global.no-binary=':all:'\nglobal.target='/etc'\n:env:.requirement='x'\n") == {}


def test_both_names_of_the_timeout() -> None:
    """pip's two names of one setting are one here."""
    assert parse_settings(":env:.default-timeout='9'\n") == {"timeout": "9"}


def test_the_environment_is_small(tmp_path: Path) -> None:
    """Proxies, certificates and settings are handed on; everything else, and every configuration file, is not."""
    person = {
        "HTTPS_PROXY": "p",
        "HOME": str(tmp_path),
        "PIP_TARGET": "/etc",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PATH": "/x",
    }
    found = pip_environment(person, {"index-url": "https://u:p@host/simple"})
    assert found == {
        "HTTPS_PROXY": "p",
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": "https://u:p@host/simple",
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INPUT": "1",
        "PIP_NO_CACHE_DIR": "1",
    }


@pytest.mark.slow
def test_pips_own_files_are_read(tmp_path: Path) -> None:
    """A configuration file that the person names is honoured."""
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://one.example/simple\nno-binary = :all:\n")
    person = {"PIP_CONFIG_FILE": str(config), "PIP_TIMEOUT": "7", "HOME": str(tmp_path), "PATH": "/usr/bin"}
    found = read_settings(person)
    assert (found["index-url"], found["timeout"]) == ("https://one.example/simple", "7")
    assert set(found) <= ALLOWED


@given(st.text())
def test_any_listing_gives_allowed_names_only(listing: str) -> None:
    """Whatever pip prints, only allowed settings come of it."""
    assert set(parse_settings(listing)) <= ALLOWED
