"""Each built-in proposer on a small repository, between real walls: what it finds, and what the gate makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from e2e_box import CALM, House

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

REPOSITORY: Mapping[str, str] = {
    **CALM,
    "pyproject.toml": CALM["pyproject.toml"].replace('version = "1"', 'version = "1"\nrequires-python = ">=3.9"'),
    "calm.py": (
        '"""Calm."""\n\n\nclass Number(object):\n    """A number."""\n\n    pass\n\n\n'
        'def double(number):\n    """Twice `number`."""\n    if number is None:\n'
        '        raise ValueError("could not recieve a number")\n    return number * 2\n'
    ),
    "settings.json": '{"a": 1,\n "b" 2}\n',
    ".gitignore": "build/\n",
    "vendor/other.json": "{",
    "run.sh": '#!/bin/sh\ncd "$1"\nif true; then\n    echo one\n    echo two\n    echo   three\nfi\n',
}


@pytest.fixture(scope="module")
def place(house: House) -> Path:
    """The repository, taken in once by each test."""
    return house.repository("proposers", REPOSITORY)


@pytest.mark.parametrize(
    ("proposer", "rules"),
    [("modernise", ["modernise:UP004"]), ("unused", ["unused:PIE790"]), ("strings", ["strings"])],
)
def test_e2e_changes_of_code_wait_for_a_person(house: House, place: Path, proposer: str, rules: list[str]) -> None:
    """What may change what the code means is verified and needs a person's review, level 2."""
    answer = house.ok("improve", str(place), "--only", proposer)
    assert answer["failed"] == []
    assert [row["rule"] for row in answer["changes"]] == rules
    for row in answer["changes"]:
        assert (row["state"], row["held"]["rule"]) == ("verified", "needs-approval"), row
        assert row["level"] == 2
    (scan,) = answer["scans"]
    assert (scan["proposer"], scan["counts"]["proposed"]) == (proposer, 1)


def test_e2e_data_that_does_not_parse_is_reported(house: House, place: Path) -> None:
    """The report has the place; the command shows it, and the table of what was left out."""
    answer = house.ok("improve", str(place), "--only", "data")
    assert answer["changes"] == []
    (scan,) = answer["scans"]
    assert [(item["rule"], item["path"], item["line"]) for item in scan["reports"]] == [
        ("json:syntax", "settings.json", 2)
    ]
    assert scan["counts"]["ignored"] == {"vendored": 1}
    text = house.run("improve", str(place), "--only", "data").out
    assert "settings.json:2:" in text
    assert "1 vendored" in text


@pytest.mark.skipif(
    not all(shutil.which(name, path="/usr/bin:/bin") for name in ("shellcheck", "shfmt")),
    reason="apt-get install shellcheck shfmt",
)
def test_e2e_shell_scripts_are_laid_out_and_checked(house: House, place: Path) -> None:
    """Both programs of the host run between the walls."""
    answer = house.ok("improve", str(place), "--only", "shell")
    assert answer["failed"] == []
    (scan,) = answer["scans"]
    assert scan["notes"] == []
    assert [(item["rule"], item["line"]) for item in scan["reports"]] == [("shellcheck:SC2164", 2)]
    assert [row["rule"] for row in answer["changes"]] == ["shell:shfmt"]
    assert [(row["held"]["rule"], row["level"]) for row in answer["changes"]] == [("needs-approval", 2)]


def test_e2e_optional_proposers_stay_out_by_default(house: House, place: Path) -> None:
    """Without --only, what is a matter of taste is not run."""
    answer = house.ok("improve", str(place))
    ran = {scan["proposer"] for scan in answer["scans"]}
    assert ran == {"codespell", "data", "ruff", "strings", "unused"}
