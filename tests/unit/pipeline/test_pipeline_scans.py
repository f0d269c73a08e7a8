"""What improve tells of each scan besides its proposals, and which proposers run unasked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.scan import Counts, Note, Report, Scan
from greenroom.domain.trees import File, Manifest
from greenroom.pipeline import improving
from greenroom.pipeline.languages import suffixes_of, unread
from greenroom.testing.house import MemoryHouse

SCAN = Scan(
    counts=Counts(scanned=2, ignored={"vendored": 1}, findings=1, reported=1),
    reports=(Report(rule="json:syntax", path="a.json", line=1, column=2, message="odd"),),
    notes=(Note(rule="program-missing", where="shfmt", remedy="install it"),),
)


class Looking:
    """Proposes nothing, reports."""

    name = "looking"
    reads: Any = (".md", ".sh")

    def __init__(self) -> None:
        self.scan: Any = SCAN

    def propose(self, subject: object, live: object) -> list[bytes]:
        return []


class Lying(Looking):
    """A plug-in whose `scan` is something else."""

    reads = None

    def __init__(self) -> None:
        self.scan = {"reports": ["x"] * 10}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    good = made.house.proposers()
    more: Any = {"looking": lambda golden: Looking(), "lying": lambda golden: Lying(), **good}
    made.house = dataclasses.replace(made.house, proposers=lambda: more, optional=frozenset({"looking", "lying"}))
    yield made
    made.close()


def test_reports_counts_and_notes_are_in_the_answer(house: MemoryHouse) -> None:
    """Each scan is told once, as plain JSON; proposers that tell nothing are left out."""
    answer = house.improve(only=("looking", "lying", "typo"))
    (scan,) = answer["scans"]
    assert json.loads(json.dumps(scan)) == scan
    assert scan["proposer"] == "looking"
    assert scan["counts"]["ignored"] == {"vendored": 1}
    assert scan["reports"][0]["path"] == "a.json"
    assert scan["notes"][0]["remedy"] == "install it"
    assert len(answer["changes"]) == 1


def test_optional_proposers_run_when_asked_for(house: MemoryHouse) -> None:
    """Without --only they stay out; unknown names are refused with all that there are, optional ones too."""
    assert house.improve()["scans"] == []
    assert len(house.improve(only=("looking",))["scans"]) == 1
    with pytest.raises(Unusable) as caught:
        house.improve(only=("nope",))
    assert "looking" in caught.value.remedy


def test_languages_that_nobody_read_are_named_with_a_remedy(house: MemoryHouse) -> None:
    """By the number of their files; where an installed proposer reads them, the remedy names it."""
    house.commit({"a.rs": b"", "lib/b.RS": b"", "run.sh": b"", "web.js": b"", "page.md": b"", "no": b"", "a.png": b""})
    found = {each["language"]: each for each in house.improve()["unread"]}
    assert {name: each["files"] for name, each in found.items()} == {
        "Rust": 2,
        "shell": 1,
        "JavaScript": 1,
        "Python": 1,
    }
    assert found["shell"]["remedy"] == "`--only looking` reads it"
    assert "plug-in" in found["Rust"]["remedy"]
    assert "shell" not in {each["language"] for each in house.improve(only=("looking",))["unread"]}


def test_files_without_a_suffix_are_told_by_name_or_first_line() -> None:
    """Dockerfiles by their names, executable scripts by their interpreters; a few more suffixes."""
    blobs = {
        "Dockerfile": b"", "api/Dockerfile.dev": b"", "web.Containerfile": b"", "dockerfile.py": b"",
        "bin/a": b"#!/bin/zsh\n", "bin/b": b"#!/usr/bin/env -S bash -e\n", "bin/c": b"#!/usr/bin/perl -w\n",
        "bin/d": b"#!/usr/bin/env python3\n", "bin/e": b"\x7fELF", "x.zsh": b"", "x.fish": b"",
    }  # fmt: skip
    store = {Digest(f"blob:{name}"): data for name, data in blobs.items()}
    entries = tuple(
        File(path=name.encode(), executable=name.startswith("bin/"), size=len(data), blob=Digest(f"blob:{name}"))
        for name, data in sorted(blobs.items())
    )
    found = unread(Manifest(entries=entries), {"shell": (".sh",)}, (), store.__getitem__)
    assert {each["language"]: each["files"] for each in found} == {
        "Dockerfile": 2, "zsh": 2, "shell": 1, "Perl": 1, "fish": 1, "Python": 1
    }  # fmt: skip
    remedies = {each["language"]: each["remedy"] for each in found}
    assert remedies["shell"] == "`--only shell` reads it"
    assert "`greenroom.proposers`" in remedies["zsh"]
    assert "docs/proposers.md" in remedies["zsh"]


def test_an_answer_that_is_too_long_goes_without_reports() -> None:
    """Counts stay, and a note says how to see the reports; a short answer is left as it is."""
    scan = {"counts": {"reported": 9}, "reports": [{"message": "x" * 100_000}] * 9}
    answer = {"scans": [scan], "notes": []}
    cut = improving.fitted(answer)
    assert cut["scans"] == [{**scan, "reports": []}]
    assert "--only" in cut["notes"][0]
    assert improving.fitted(cut) is cut


@pytest.mark.parametrize("said", [None, 7, "py", {"a": 1}])
def test_a_proposer_that_says_nothing_sensible_of_what_it_reads_reads_nothing(said: Any) -> None:
    """A plug-in's word is taken for what it is worth."""
    looking = Looking()
    looking.reads = said
    assert suffixes_of(looking) == frozenset()
    assert suffixes_of(object()) == frozenset()
