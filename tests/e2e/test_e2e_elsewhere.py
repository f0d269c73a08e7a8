"""A box whose database was lost, and a box that was moved: both go on, and say what they lack."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator

import pytest
from e2e_box import House, git, open_house

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A box of its own: it is taken apart."""
    home = tmp_path_factory.mktemp("elsewhere")
    home.chmod(0o755)
    made = open_house(home)
    yield made
    made.run("down")


def test_a_lost_database_and_another_machine(house: House) -> None:
    """Lost: rebuilt, and approve, promote and revert go on. Moved: the same, but for a repository that is missing."""
    place = house.repository("moved")
    first = house.good(place)
    house.ok("approve", first["id"], "--yes")
    second = house.edit(place, {"calm.py": '"""Calm, and quiet."""\n\n\ndef double(number):\n    return number * 2\n'})
    before = house.ok("list", "--all")

    up = house.json("doctor", "--rebuild")
    assert (up.code, up.said["rule"]) == (2, "processes-up")
    house.run("down")
    for path in house.box.db.glob("*.db*"):
        path.unlink()
    foreseen = house.ok("doctor", "--rebuild")
    assert (foreseen["needed"], foreseen["rebuilt"]) == (True, False)
    assert not (house.box.db / "box.db").exists()
    made = house.ok("doctor", "--rebuild", "--yes")
    assert {row["id"] for row in made["changes"]} == {first["id"], second["id"]}
    rows = {row["id"]: row for row in house.ok("list", "--all")["changes"]}
    assert {name: row["state"] for name, row in rows.items()} == {row["id"]: row["state"] for row in before["changes"]}
    assert house.ok("show", second["id"])["card"]["change"] == second["id"]
    assert house.ok("approve", second["id"], "--yes")["state"] == "kept"
    assert house.ok("revert", second["id"])["state"] == "reverted"
    head = git(place, "rev-parse", "HEAD")
    house.log_is_whole()

    file = house.home / "box.backup"
    saved = house.ok("backup", str(file))
    house.run("down")
    shutil.move(place, house.home / "gone")
    moved = dataclasses.replace(house, home=house.home / "other")
    there = moved.home / "box"
    moved.home.mkdir(mode=0o755)
    moved.environment = {**house.environment, "GREENROOM_HOME": str(there), "HOME": str(moved.home)}
    try:
        restored = moved.ok("restore", str(file), "--sha256", saved["sha256"])
        assert [each["repository"] for each in restored["lacks"]] == [str(place)]
        assert restored["lacks"][0]["remedy"]
        assert moved.json("doctor").data["ok"] is True
        problems = json.dumps(moved.json("doctor").data["problems"])
        assert str(place) in problems
        assert {row["id"] for row in moved.ok("list", "--all")["changes"]} == set(rows)
        taken_back = moved.json("revert", first["id"])
        assert taken_back.code == 4
        assert taken_back.data["verdict"]["is"] == "passed"
        assert taken_back.data["delivered"]["rule"] == "repository-missing"
        assert str(place) in taken_back.data["delivered"]["where"]
        moved.log_is_whole()
        shutil.move(house.home / "gone", place)
        moved.ok("status")
        assert git(place, "rev-parse", "HEAD^") == head
        moved.log_is_whole()
    finally:
        moved.run("down")
