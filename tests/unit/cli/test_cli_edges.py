"""What the command line says at its edges: a time that is past, a file for a directory, a branch that follows."""

from __future__ import annotations

from pathlib import Path

from test_cli_commands import Door, door

from greenroom.domain.errors import Exit

__all__ = ["door"]


def test_cli_answers_with_the_delivery_as_it_is_by_then(door: Door) -> None:
    """Delivered, none waits any more; held by a dirty branch, the one that waits says by which rule."""
    answer = door.json("approve", door.waiting(), "--yes")
    assert (door.code, answer["delivered"]["is"], answer["delivery"]) == (Exit.OK, "passed", None)
    door.house.repository.dirty = True
    answer = door.json("revert", answer["id"])
    assert (door.code, answer["delivery"]["pending"]) == (Exit.HELD, "worktree-dirty")
    assert answer["delivered"]["rule"] == "worktree-dirty"


def test_cli_opt_in_that_is_over_already_is_not_signed(door: Door) -> None:
    """Said in words, with the time that was meant, before the key is asked for."""
    assert door("opt-in", "add", "codespell", "--expires", "2020-01-01") == Exit.USAGE
    assert "time-is-past" in door.err
    assert "2020-01-02 00:00 UTC" in door.err
    assert door.house.guard.status().opt_ins == ()


def test_cli_manual_wants_a_directory(door: Door, tmp_path: Path) -> None:
    """A file of that name is named as what it is, and stays."""
    (tmp_path / "page").write_text("mine")
    assert door("manual", str(tmp_path / "page")) == Exit.USAGE
    assert "not-a-directory" in door.err
    assert (tmp_path / "page").read_text() == "mine"


def test_cli_constitution_that_cannot_be_read_is_named_by_its_file(door: Door, tmp_path: Path) -> None:
    """The file that the person named, and the member in it, where one is at fault."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("watch_seconds: 3\n")
    assert door("constitution", "edit", str(rules)) == Exit.USAGE
    assert f"where:  {rules}" in door.err
    assert "$" not in door.err


def test_cli_table_and_sum_are_told_apart(door: Door) -> None:
    """The table counts findings, the sum proposals: where they differ the answer says so."""
    house = door.house
    row = {"proposer": "ruff", "notes": [], "reports": []}
    counts = {"scanned": 3, "ignored": {}, "findings": 3, "proposed": 3, "reported": 0, "dropped": {}}
    answer = house.improve()
    answer["scans"] = [{**row, "counts": counts}]
    real = door.services.desk
    door.services.desk = (  # type: ignore[method-assign]
        lambda call, *a, **k: answer if call == "improve" else real(call, *a, **k)
    )
    assert door("improve", door.repo) == Exit.OK
    assert "one proposal may mend several, here 3 in 1" in door.out
