"""Greenroom's own repository in the whole house in memory: every change of it is for a person, in any mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from greenroom.domain.proof import Contribution, Risk
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ConsentLevel, Mode, State
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

OWN: Mapping[str, bytes] = {
    "README.md": b"# Greenroom\n\nteh words\n",
    "Makefile": b"check:\n\techo chekc\n",
    "pyproject.toml": b'[project]\nname = "greenroom"\n',
    "src/greenroom/rescue.py": b"x = 1\n",
}
TYPO = Finding(path="README.md", old=b"teh", new=b"the")
Make = Callable[..., MemoryHouse]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a box in mode autonomous over a repository of `files`, with an opt-in to codespell."""
    made: list[MemoryHouse] = []

    def start(files: Mapping[str, bytes] = OWN, branch: str = "main") -> MemoryHouse:
        (tmp_path / str(len(made))).mkdir()
        house = MemoryHouse(tmp_path / str(len(made)), files=files, branch=branch)
        made.append(house)
        house.set_mode(Mode.AUTONOMOUS)
        assert isinstance(house.opt_in("codespell"), Passed)
        house.findings[:] = [TYPO]
        return house

    yield start
    for house in made:
        house.close()


def reason(house: MemoryHouse, change: str) -> Contribution:
    """The contribution that says that Greenroom itself changes."""
    risk = house.change(change).risk
    assert risk is not None
    (found,) = (part for part in risk.contributions if part.name == "greenroom-itself")
    return found


@pytest.mark.parametrize("mode", list(Mode))
def test_house_asks_a_person_for_every_change_of_greenroom_itself(make: Make, mode: Mode) -> None:
    """A typo in its README and a line of its Makefile: level 3 with the reason; a person's yes carries it through."""
    house = make()
    house.findings.append(Finding(path="Makefile", old=b"chekc", new=b"check"))
    rows = house.improve(mode=mode)["changes"]
    assert [(row["state"], row["level"], row["held"]["rule"]) for row in rows] == [
        ("verified", 3, "needs-approval")
    ] * 2
    assert all(row["held"]["remedy"] == f"greenroom approve {row['id']}" for row in rows)
    assert ("nobody is asked in line" in rows[0]["held"]["where"]) is (mode is Mode.AUTONOMOUS)
    for row in rows:
        assert reason(house, row["id"]).why.startswith("Greenroom itself, by pyproject.toml")
    house.clock.advance(7 * 24 * 3600)
    assert house.apply_windows() == []
    assert "live.promoted" not in house.names()
    assert house.approve(rows[0]["id"])["state"] == "kept"


def test_house_carries_the_same_alone_in_any_other_repository(make: Make) -> None:
    """What is held here for the marks alone goes live by itself where they are not."""
    house = make({"README.md": OWN["README.md"], "pyproject.toml": b'[project]\nname = "greenroom-shell"\n'})
    (row,) = house.improve()["changes"]
    assert (row["state"], row["level"]) == ("kept", 1)
    assert "greenroom-itself" not in str(house.show(row["id"]))


def test_house_guard_weighs_by_itself_whose_repository_it_is(make: Make) -> None:
    """An executor that calls the change low and approved gets no warrant: the level is the guard's own."""
    house = make()
    (row,) = house.improve()["changes"]
    found = house.change(row["id"])
    assert found.risk is not None
    parts = tuple(part for part in found.risk.contributions if part.name != "greenroom-itself")
    low = Risk(contributions=parts, level=ConsentLevel.OPT_IN)
    house.house.changes.save(dataclasses.replace(found, state=State.APPROVED, hold=None, risk=low))
    held = house.promote(row["id"])["held"]
    assert (held["rule"], held["remedy"]) == ("needs-approval", f"greenroom approve {row['id']}")
    assert "warrant.issued" not in house.names()


def test_house_is_told_when_the_marks_move_come_or_go(make: Make) -> None:
    """Each such change is for a person: by the marks of base, or by those that it brings."""
    house = make({"README.md": b"teh\n", "setup.cfg": b"[metadata]\nname = house\n"})
    house.findings[:] = [Finding(path="setup.cfg", old=b"house", new=b"greenroom")]
    (row,) = house.improve()["changes"]
    assert (row["level"], "makes the repository one of" in reason(house, row["id"]).why) == (3, True)
    assert house.approve(row["id"])["state"] == "kept"
    house.deliver()
    house.findings[:] = [Finding(path="setup.cfg", old=b"greenroom", new=b"house")]
    (row,) = house.improve()["changes"]
    assert (row["level"], row["held"]["rule"]) == (3, "needs-approval")
    assert "takes the last mark away" in reason(house, row["id"]).why


def test_house_weighs_a_moved_base_anew(make: Make) -> None:
    """The person's own commit makes the repository Greenroom's: what waited on the base before is for a person then."""
    house = make({"README.md": OWN["README.md"]})
    house.set_mode(Mode.SUPERVISED)
    (row,) = house.improve()["changes"]
    assert (row["state"], row["level"]) == ("approved", 1)
    house.commit({"src/greenroom/__init__.py": b""})
    house.clock.advance(2 * 3600)
    (again,) = house.improve()["changes"]
    assert (again["level"], again["held"]["rule"]) == (3, "needs-approval")
    house.clock.advance(2 * 3600)
    assert house.apply_windows() == []
    assert "live.promoted" not in house.names()


def test_house_refuses_to_change_a_release_of_greenroom(make: Make) -> None:
    """An unpacked release is an untrusted place: refused with the rule, the mark and the remedy, whatever the mode."""
    house = make(branch="")
    (row,) = house.improve()["changes"]
    assert (row["state"], row["verdict"]["rule"], row["verdict"]["where"]) == (
        "aborted",
        "greenroom-itself",
        "Greenroom itself, by pyproject.toml",
    )
    assert "git repository" in row["verdict"]["remedy"]
