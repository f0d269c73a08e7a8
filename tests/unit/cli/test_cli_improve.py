"""`greenroom improve` as a person sees it: proposals, bounds, Ctrl-C, errors, and always the table."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_door import Door

from greenroom.domain.errors import Exit, Unreachable, Unusable
from greenroom.domain.scan import Counts, Scan
from greenroom.domain.verdict import Refused
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, FindingProposer
from greenroom.testing.services import MemoryServices

pytestmark = pytest.mark.slow

FILES = {"README.md": b"teh\n", "a.md": b"teh\nteh\n", "b.md": b"teh\nteh\nteh\n"}


class Scanning(FindingProposer):
    """Tells what it left out, too."""

    scan = Scan(counts=Counts(scanned=3, ignored={"vendored": 2}, findings=4, proposed=3, dropped={"in-code": 1}))


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Door]:
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, path=str(tmp_path / "repo"), files=FILES)
    house.findings[:] = [Finding(path=path, old=b"teh", new=b"the") for path in FILES]
    monkeypatch.setattr(house, "_proposer", lambda golden: Scanning(house.store, house.findings, house.workshop))
    house.house = house.start()
    monkeypatch.setenv("COLUMNS", "200")
    yield Door(MemoryServices(house), monkeypatch, capsys)
    house.close()


def table(text: str) -> bool:
    """The table of the scan is there, with both of its reasons."""
    return "2 vendored" in text and "1 in-code" in text


def at(door: Door, event: str, act: Callable[[], None]) -> None:
    """Do something to the command when it is told of an event."""
    desk = door.services.desk

    def interfering(call: str, *args: Any, progress: Any = None, **kwargs: Any) -> Any:
        def tell(told: Mapping[str, Any]) -> None:
            if progress is not None:
                progress(told)
            if told["event"] == event:
                act()

        return desk(call, *args, progress=tell, **kwargs)

    door.services.desk = interfering  # type: ignore[method-assign]


def interrupt() -> None:
    raise KeyboardInterrupt


def break_off() -> None:
    raise Unreachable("hung-up", "no answer to 'improve'", where="desk", remedy="again")


def test_cli_improve_shows_proposals_progress_and_the_table(door: Door) -> None:
    """On stderr each proposal in two lines and the time of each change; on stdout board, table and next step."""
    assert door("improve", door.repo, "--max", "2", "--budget-time", "1h") == Exit.OK
    assert "  typo  +1 -1  README.md\n        Mend 'teh' in README.md\n" in door.err
    assert re.search(r"^\[\d+\.\d s spent, 1 h 0 min left\] \w{6}, 2 of 2$", door.err, re.MULTILINE)
    assert door.err.index("Mend 'teh' in b.md") < door.err.index(", 1 of 2\n")
    assert door.err.count(" took ") == 2
    assert table(door.out)
    assert "3 proposal(s), 2 wait for approval" in door.out
    assert "1 queued for the next `greenroom improve`: --max is reached" in door.out
    assert "proposed (held: queued)" in door.out


def test_cli_improve_second_run_carries_the_rest(door: Door) -> None:
    """Nothing is shown as new that was shown before."""
    door("improve", door.repo, "--max", "2")
    answer = door.json("improve", door.repo)
    assert (len(answer["changes"]), len(answer["known"]), answer["left"]) == (1, 2, [])


@pytest.mark.parametrize(("event", "finished", "queued"), [("proposal", 0, 1), ("stage", 0, 2), ("carried", 1, 2)])
def test_cli_improve_ctrl_c_keeps_what_is_finished(door: Door, event: str, finished: int, queued: int) -> None:
    """130, with what is finished, what is left, what is under way, and the table."""
    at(door, event, interrupt)
    assert door("improve", door.repo) == Exit.INTERRUPTED
    assert "greenroom: interrupted; nothing is half done" in door.err
    assert table(door.out)
    assert f"{finished + queued} proposal(s), {finished} wait for approval" in door.out
    assert f"{queued} queued for the next `greenroom improve`: the command was interrupted" in door.out
    assert ("under way in the box" in door.out) is (event == "stage")


def test_cli_improve_ctrl_c_writes_what_is_finished(door: Door, tmp_path: Path) -> None:
    """With --out the files of what was verified and of what stays queued are there, and the answer says where."""
    out = tmp_path / "out"
    at(door, "carried", interrupt)
    assert door("improve", door.repo, "--out", str(out)) == Exit.INTERRUPTED
    assert f"cards and patches: {out}" in door.out
    answer = json.loads((out / "answer.json").read_bytes())
    (done,), left = answer["changes"], answer["left"]
    assert (answer["partial"], len(left)) == ("interrupted", 2)
    cards = {path.name for path in out.glob("*.patch")}
    assert cards == {f"{row['id']}.patch" for row in (done, *left)}
    assert json.loads((out / f"{done['id']}.json").read_bytes())["card"]["change"] == done["id"]


def test_cli_improve_ctrl_c_as_json(door: Door) -> None:
    """One document, which says that it is not whole."""
    at(door, "carried", interrupt)
    answer = door.json("improve", door.repo)
    assert (door.code, answer["partial"]) == (Exit.INTERRUPTED, "interrupted")
    assert (len(answer["changes"]), len(answer["left"]), len(answer["scans"])) == (1, 2, 1)


def test_cli_improve_error_shows_what_there_was(door: Door) -> None:
    """When the box dies on the way: the table, then the error with its code; as JSON both in one document."""
    at(door, "carried", break_off)
    assert door("improve", door.repo) == Exit.UNREACHABLE
    assert table(door.out)
    assert "[hung-up]" in door.err
    answer = door.json("improve", door.repo)
    assert (door.code, answer["error"]["reference"]) == (Exit.UNREACHABLE, "hung-up")
    assert answer["scans"]


def test_cli_improve_shows_the_table_under_a_hold(door: Door) -> None:
    """A stop that cuts the run is told, with the table and what is left."""
    at(door, "carried", door.house.stop)
    assert door("improve", door.repo) == Exit.STOPPED
    assert table(door.out)
    assert "held: stopped" in door.out


def test_cli_improve_names_what_nobody_reads(door: Door) -> None:
    """A language without a proposer, and a directory without git, each with a remedy."""
    door.house.commit({"a.rs": b""})
    assert door("improve", door.repo) == Exit.OK
    assert re.search(r"note: no proposer read the 1 file\(s\) in Rust: .*plug-in", door.out)
    assert "git init" not in door.out


def test_cli_improve_names_a_directory_without_git(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """A release is taken in, and told to be one; what is neither is refused, and no file was scanned."""
    house = MemoryHouse(tmp_path, path=str(tmp_path), branch="")
    door = Door(MemoryServices(house), monkeypatch, capsys)
    try:
        assert door("improve", str(tmp_path)) == Exit.OK
        assert "there is no git here" in door.out
        assert "git init" in door.out
        refused = Refused(rule="not-a-repository", where="x", remedy="git init")
        monkeypatch.setattr(house.keeper, "bring", lambda *_: refused)
        assert door("improve", str(tmp_path)) == Exit.REFUSED
        assert "no file was scanned" in door.out
        assert "remedy: git init" in door.out
    finally:
        house.close()


def test_cli_improve_look_only(door: Door) -> None:
    """--max 0 shows and carries nothing; proposals are no failure."""
    assert door("improve", door.repo, "--max", "0") == Exit.OK
    assert "3 proposal(s), 0 wait for approval" in door.out


@pytest.mark.parametrize("text", ["10", "", "m", "-1s", "1m1h", "1d", "8d", "169h", "ten minutes", "٣m"])
def test_cli_improve_takes_no_odd_budget(door: Door, text: str) -> None:
    """A span of time has units in order and is at most a week; nothing is asked of the box otherwise."""
    assert door("improve", door.repo, f"--budget-time={text}") == Exit.USAGE
    assert "[bad-duration]" in door.err
    assert "90s" in door.err
    assert door.services.asked == []


def test_cli_improve_no_input_tells_apart_what_was_found(door: Door) -> None:
    """10 for proposals, queued ones too; 4 when what was carried is held; 3 refused; 0 when nothing waits."""
    assert door("improve", door.repo, "--no-input", "--max", "0") == Exit.PROPOSALS
    assert door("improve", door.repo, "--no-input", "--max", "1") == Exit.PROPOSALS
    door.house.checks["tests"] = "inconclusive"
    for change in door.house.changes():
        door("reject", change.id)
    assert door("improve", door.repo, "--no-input") == Exit.OK
    door.house.findings[:] = [Finding(path=name, old=b"1", new=b"2") for name in ("c.py", "d.py")]
    door.house.commit({"c.py": b"1\n", "d.py": b"1\n"})
    assert door("improve", door.repo, "--no-input", "--max", "1") == Exit.HELD
    assert door("improve", door.repo, "--no-input", "--max", "0") == Exit.PROPOSALS
    assert door("improve", door.repo, "--max", "0") == Exit.OK
    door.house.checks["tests"] = "fail"
    door.house.commit({"e.py": b"1\n"})
    assert door("improve", door.repo, "--no-input", "--max", "10") == Exit.REFUSED


def test_cli_improve_no_input_of_nothing(door: Door) -> None:
    """Nothing found is 0, in both ways to ask."""
    door.house.findings.clear()
    assert door("improve", door.repo) == Exit.OK
    assert door("improve", door.repo, "--no-input") == Exit.OK


def test_cli_improve_without_walls_refuses_before_it_starts_anything(door: Door) -> None:
    """9, the setting and the remedy; the box is asked for nothing."""
    door.services.walls = False
    for words in (("improve", door.repo), ("improve", door.repo, "--no-input")):
        assert door(*words) == Exit.SANDBOX
        assert "[no-sandbox]" in door.err
        assert "where:  x=0" in door.err
        assert "remedy: set x to 1" in door.err
    assert door.services.asked == []


@pytest.mark.parametrize("rule", ["layer-missing", "wall-failed", "cgroup-failed"])
def test_cli_improve_walls_that_are_missed_later_end_alike(door: Door, monkeypatch: Any, rule: str) -> None:
    """Also where the keeper finds out: at the import, or when every proposer was refused its sandbox."""
    refused = Refused(rule=rule, where="seccomp", remedy="greenroom doctor")

    class Refusing:
        def propose(self, *_: Any) -> Any:
            raise Unusable(rule, "the keeper refused to scan")

    door.house.house = dataclasses.replace(door.house.house, proposers=lambda: {"typo": lambda golden: Refusing()})  # type: ignore[dict-item,return-value]
    assert door("improve", door.repo) == Exit.SANDBOX
    monkeypatch.setattr(door.house.keeper, "bring", lambda *_: refused)
    assert door("improve", door.repo, "--no-input") == Exit.SANDBOX


def test_cli_improve_dry_run_asks_the_box_for_nothing(door: Door, tmp_path: Path) -> None:
    """Four lists in words, or as JSON; not even what waits for delivery is tried."""
    words = ("improve", door.repo, "--dry-run", "--only", "typo", "--out", str(tmp_path / "out"))
    assert door(*words) == Exit.OK
    for said in (f"  {door.repo}: all", "from index.example (package index)", "typo, once: python", "/out: cards"):
        assert said in door.out
    for said in ("through the proxy http://proxy.example:3128\n", "from the directory /srv/wheels\n"):
        assert said in door.out
    assert "no sandbox can be made" not in door.out
    assert door.json(*words)["fetches"]["hosts"] == {"index.example": "package index"}
    door.services.walls = False
    assert door(*words) == Exit.OK
    assert "no sandbox can be made here: x=0; set x to 1" in door.out
    assert door.services.asked == []
    assert not (tmp_path / "out").exists()
