"""Standing consent at the command line: opt-ins as a person types and reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli_commands import Door, door

from greenroom.domain.errors import Exit, Unreachable, Unusable
from greenroom.domain.vocabulary import Mode, State
from greenroom.entrypoints.cli import when
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

__all__ = ["door"]
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def test_cli_opt_in_is_added_listed_and_removed(door: Door) -> None:
    """Each command says what it did; --json has the same."""
    said = door.json("opt-in", "add", "codespell", "--expires", "30d")
    assert (door.code, said["rule"], said["verdict"]["is"]) == (Exit.OK, "codespell", "passed")
    assert 0 <= door.house.clock.now() + 30 * DAY - int(said["until"]) < 10 * SECOND
    assert door("opt-in", "add", "ruff:F401", "--repo", door.repo) == Exit.OK
    assert f"ruff:F401 in {door.repo}, without end" in door.out
    assert door("opt-in", "list") == Exit.OK
    assert "codespell in every repository, until" in door.out
    assert "by person:ada" in door.out
    assert [each["rule"] for each in door.json("opt-in", "list")["opt_ins"]] == ["codespell", "ruff:F401"]
    assert door("opt-in", "remove", "ruff:F401", "--repo", door.repo) == Exit.OK
    assert "removed: ruff:F401" in door.out
    assert [each["rule"] for each in door.json("opt-in", "remove", "codespell")["removed"]] == ["codespell"]
    assert door("opt-in", "list") == Exit.OK
    assert "no opt-in counts" in door.out


def test_cli_tells_what_stays_with_a_person_whatever_the_mode(door: Door) -> None:
    """What was verified in propose: said where a mode is set that asks less, and where an opt-in is added."""
    change = door.waiting()
    assert door.json("mode", "supervised")["of_propose"] == [change]
    assert door("mode", "supervised") == Exit.OK
    assert f"1 verified in mode propose stay with you: `greenroom approve {change}`" in door.out
    assert door("opt-in", "add", "codespell") == Exit.OK
    assert "1 verified in mode propose stay with you" in door.out
    assert door.house.change(change).window is None
    assert door.json("mode", "propose")["of_propose"] == []


def test_cli_opt_in_answers_a_slip(door: Door) -> None:
    """An unknown rule with the nearest, one of code with the way there is, an odd end, one that does not count."""
    assert door("opt-in", "add", "F401") == Exit.USAGE
    assert "ruff:F401" in door.err
    assert door("opt-in", "add", "strings") == Exit.USAGE
    assert "rule-not-low" in door.err
    assert door("opt-in", "add", "codespell", "--expires", "soon") == Exit.USAGE
    assert "bad-time" in door.err
    assert door("opt-in", "add", "codespell", "--repo", "/nowhere") == Exit.NOT_FOUND
    assert door("opt-in", "remove", "codespell") == Exit.NOT_FOUND
    assert "no-such-opt-in" in door.err
    assert door("opt-in", "add", "codespell") == Exit.OK
    assert door("opt-in", "add", "codespell") == Exit.REFUSED
    assert "opt-in-known" in door.out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", 90 * 60 * SECOND + 5),
        ("12h", 12 * 3600 * SECOND + 5),
        ("2w", 14 * DAY + 5),
        ("1970-01-02", 2 * DAY),
        ("1970-01-02T12:00", DAY + DAY // 2),
        ("1970-01-02T12:00+01:00", DAY + DAY // 2 - 3600 * SECOND),
    ],
)
def test_when_reads_points_in_time(text: str, expected: int) -> None:
    """Lengths count from now; a day is its end; a time without a zone is UTC."""
    assert when.instant(text, 5) == expected


@given(st.text(max_size=40))
def test_when_reads_any_text_or_says_that_it_cannot(text: str) -> None:
    """Whatever is typed is a point in time within the calendar, or `bad-time`."""
    try:
        found = when.instant(text, 0)
    except Unusable as error:
        assert error.reference == "bad-time"
    else:
        assert found >= 0
        assert when.said(found)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, ""), (-5, ""), (1, "1 s"), (59.5, "1 min"), (61, "2 min"), (3660, "1 h 1 min"), (90000, "1 d 1 h")],
)
def test_when_says_how_long_it_is(seconds: float, expected: str) -> None:
    """Never less than is left."""
    assert when.left(int(seconds * SECOND), 0) == expected


def test_cli_shows_a_window_cancels_it_and_applies_another(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """`improve`, `list`, `show` and `status` say until when; `cancel` keeps one; `resume --wait` applies one."""
    house = door.house
    house.set_mode(Mode.SUPERVISED)
    house.findings.append(Finding(path="README.md", old=b"words", new=b"Words"))
    door("opt-in", "add", "codespell")
    assert door("improve", door.repo) == Exit.OK
    assert "2 wait in their apply window" in door.out
    first, second = (row["id"] for row in door.json("list")["changes"])
    assert door("list") == Exit.OK
    assert "applied in 1 h 0 min" in door.out or "applied in 60 min" in door.out
    assert door("show", first) == Exit.OK
    assert f"greenroom cancel {first} prevents it" in " ".join(door.out.split())
    assert door("status") == Exit.OK
    assert "in apply windows: 2" in door.out
    assert "waiting: 0" in door.out
    assert door("cancel", first) == Exit.OK
    assert door("cancel", first) == Exit.USAGE
    assert "it is cancelled already" in door.err
    assert len(door.json("status")["windows"]) == 1
    assert door.json("resume")["resumed"] == []
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        house.clock.advance(seconds)

    monkeypatch.setattr("time.sleep", wait)
    (applied,) = door.json("resume", "--wait")["resumed"]
    assert (door.code, applied["id"], applied["state"]) == (Exit.OK, second, "kept")
    assert max(waited) <= 30
    assert house.repository.files == house.live_files()
    assert door("resume", first, "--wait") == Exit.USAGE


def test_cli_applies_nothing_to_a_branch_that_cannot_take_it(door: Door) -> None:
    """A dirty branch keeps the change where it is, held, until it is clean; `improve` applies what is due, too."""
    house = door.house
    house.set_mode(Mode.SUPERVISED)
    door("opt-in", "add", "codespell")
    change = door.json("improve", door.repo)["changes"][0]["id"]
    house.clock.advance(3700)
    house.repository.dirty = True
    (row,) = door.json("resume")["resumed"]
    assert (door.code, row["verdict"]["rule"], row["state"]) == (Exit.HELD, "worktree-dirty", "approved")
    assert "live.promoted" not in house.names()
    house.repository.dirty = False
    assert door.json("improve", door.repo)["changes"] == []
    assert house.change(change).state is State.KEPT
    assert house.repository.files == house.live_files()


def test_cli_resume_names_what_stays_and_why(door: Door) -> None:
    """Of several that are due one goes live and is delivered, the next one is restacked, the rest is named."""
    house = door.house
    house.set_mode(Mode.SUPERVISED)
    house.commit({"b.md": b"an adress\n", "c.md": b"it occured\n"})
    house.findings[:] = [
        Finding(path="README.md", old=b"teh", new=b"the"),
        Finding(path="b.md", old=b"adress", new=b"address"),
        Finding(path="c.md", old=b"occured", new=b"occurred"),
    ]
    door("opt-in", "add", "codespell")
    waiting = {row["id"] for row in door.json("improve", door.repo)["changes"]}
    house.clock.advance(3700)
    answer = door.json("resume")
    assert [row["state"] for row in answer["resumed"]] == ["kept", "approved"]
    (stays,) = answer["stays"]
    assert {answer["resumed"][0]["id"], answer["resumed"][1]["restacked"]["from"], stays["id"]} == waiting
    assert door.code == Exit.OK
    assert "waits in its window" in stays["why"]
    assert house.repository.files == house.live_files()
    assert door("resume") == Exit.OK
    assert "stays: its base moved" in door.out
    house.clock.advance(3700)
    house.repository.dirty = True
    answer = door.json("resume")
    assert (door.code, [row["verdict"]["rule"] for row in answer["resumed"]]) == (Exit.HELD, ["worktree-dirty"])
    assert "is held: worktree-dirty" in answer["stays"][0]["why"]


def test_cli_opt_in_carries_all_that_it_covers(door: Door) -> None:
    """In autonomous each of several goes live in the one command, on what the one before made live; all delivered."""
    house = door.house
    house.commit({"b.md": b"an adress\n"})
    house.findings[:] = [
        Finding(path="README.md", old=b"teh", new=b"the"),
        Finding(path="b.md", old=b"adress", new=b"address"),
    ]
    house.set_mode(Mode.AUTONOMOUS)
    door("improve", door.repo)
    answer = door.json("opt-in", "add", "codespell")
    assert [row["state"] for row in answer["changes"]] == ["kept", "kept"]
    assert answer["stays"] == []
    assert house.repository.files == house.live_files()


def test_cli_autonomous_delivers_what_it_applied(door: Door) -> None:
    """Logic goes live in the same command, and into the branch."""
    house = door.house
    house.set_mode(Mode.AUTONOMOUS)
    house.findings[:] = [Finding(path="a.py", old=b"x = 1", new=b"x = 2")]
    assert door("improve", door.repo) == Exit.OK
    assert "1 applied by themselves" in door.out
    assert house.repository.files == house.live_files()


def test_cli_opt_in_takes_up_what_waits(door: Door) -> None:
    """A change that waited for a person goes to its window when its rule is opted in to, and back when it is not."""
    house = door.house
    house.set_mode(Mode.SUPERVISED)
    change = door.waiting()
    assert door("opt-in", "add", "codespell") == Exit.OK
    assert f"{change} " in door.out
    assert "applied in" in door.out
    assert door("opt-in", "remove", "codespell") == Exit.OK
    assert "counts no longer: a person must agree" in door.out
    assert house.change(change).window is None
    assert door("opt-in", "add", "codespell", "--expires", "1d") == Exit.OK
    assert door("cancel", change) == Exit.OK
    assert door("opt-in", "add", "codespell") == Exit.OK
    assert house.change(change).window is None
    house.reject(change)
    house.findings[:] = [Finding(path="b.md", old=b"wrods", new=b"words")]
    house.commit({"b.md": b"wrods"})
    assert door("opt-in", "remove", "codespell") == Exit.OK
    other = door.waiting()
    assert door("cancel", other) == Exit.USAGE
    assert "nothing runs and nothing is approved" in door.err


@pytest.mark.parametrize("words", [("cancel",), ("reject",)])
def test_cli_tells_the_guard_of_a_cancel_itself(
    door: Door, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """An executor that answers nothing keeps no cancel back: the window is cancelled at the guard all the same."""
    door.house.set_mode(Mode.SUPERVISED)
    door("opt-in", "add", "codespell")
    change = door.waiting()
    assert [each.change for each in door.house.guard.status().windows] == [change]

    def silent(*asked: object, **more: object) -> None:
        raise Unreachable("no-answer", "the executor does not answer", where=str((asked, more)))

    monkeypatch.setattr(door.services, "desk", silent)
    assert door(*words, change) == Exit.UNREACHABLE
    assert door.house.guard.status().windows == ()
    assert door.house.names().count("window.cancelled") == 1
