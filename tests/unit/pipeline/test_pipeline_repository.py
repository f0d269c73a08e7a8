"""A repository's greenroom.toml in the whole house: what it narrows, what it may not, and what it has to ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.ports import CheckRun
from greenroom.domain.settings import Entry, Read
from greenroom.domain.toml_settings import read
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline import desk, lineage
from greenroom.pipeline.queue import Limits
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, patch_of

pytestmark = pytest.mark.slow

NAME = "greenroom.toml"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def write(house: MemoryHouse, text: str) -> None:
    """The person commits a greenroom.toml; the sandbox will read it as it is."""
    house.commit({NAME: text.encode()})
    house.workshop.settings = read(text)


def look(house: MemoryHouse, settings: Mapping[str, Any] | None = None) -> Any:
    """The desk's answer to `settings`."""
    asked = {"path": house.path, "branch": house.branch, "ticket": "t", "settings": settings or {}}
    return desk.handlers(house.house)["settings"](asked, (), lambda _: None, 0)


def notes(answer: Mapping[str, Any]) -> str:
    return "\n".join(answer["notes"])


def test_no_file_asks_no_sandbox(house: MemoryHouse) -> None:
    """A repository without the file costs no run, and its plans carry no terms."""
    change = house.change(house.proposed())
    assert not [call for call in house.keeper.calls if call.startswith("check settings")]
    assert documents.decode(Plan, house.store.get(change.plan or "")).terms is None  # type: ignore[arg-type]


def test_the_file_is_read_from_base_and_not_from_the_worktree(house: MemoryHouse) -> None:
    """The run that reads it has base mounted, once a base."""
    seen: list[CheckRun] = []
    results = house.keeper._results
    house.keeper._results = lambda run: seen.append(run) or results(run)  # type: ignore[func-returns-value]
    write(house, "caps.changes = 1\n")
    live = house.improve()["live"]
    house.improve()
    assert [run.trees for run in seen if run.check == "settings"] == [{"base": live}]


def test_a_mistake_in_the_file_stops_the_scan_with_line_and_nearest_key(house: MemoryHouse) -> None:
    """Nothing is proposed by half of a file."""
    write(house, '\npropsers = ["typo"]\n')
    with pytest.raises(Unusable) as error:
        house.improve()
    assert (error.value.reference, error.value.where) == ("unknown-setting", f"{NAME}:2")
    assert "proposers" in error.value.remedy
    assert house.changes() == []


def test_proposers_are_only_left_out(house: MemoryHouse) -> None:
    """A list without the usual proposer runs none; one with a stranger runs the usual and says so."""
    write(house, "proposers = []\n")
    assert house.improve()["changes"] == []
    write(house, 'proposers = ["typo", "shell"]\n')
    answer = house.improve()
    assert len(answer["changes"]) == 1
    assert 'proposers = ["shell"] is not taken' in notes(answer)


def test_the_command_line_does_not_bring_back_what_the_file_leaves_out(house: MemoryHouse) -> None:
    """--only names what a person wants of it; the repository's list still narrows."""
    write(house, "proposers = []\n")
    assert house.improve(only=("typo",))["changes"] == []


@pytest.mark.parametrize("settings", ['paths.deny = ["*.md"]', 'paths.allow = ["src/**"]'])
def test_proposals_outside_the_paths_are_dropped(house: MemoryHouse, settings: str) -> None:
    """By the repository's word or by the box's own."""
    own = read(settings).entries[0]
    assert house.improve(own={own.key: tuple(own.value)})["changes"] == []
    write(house, settings)
    assert house.improve()["changes"] == []
    write(house, "")
    assert len(house.improve()["changes"]) == 1


def test_a_test_command_waits_for_the_owners_key_and_is_asked_once(house: MemoryHouse) -> None:
    """Held, nothing proposed and nothing run, until exactly that command is signed for; another one asks again."""
    write(house, 'test-command = "pytest -q checks"\n')
    answer = house.improve()
    assert (answer["verdict"]["rule"], answer["verdict"]["where"]) == ("test-command-not-allowed", "pytest -q checks")
    assert "greenroom config approve" in answer["verdict"]["remedy"]
    assert not [call for call in house.keeper.calls if call.startswith("check tests")]
    house.allow_command("pytest -q checks", stranger=True)
    assert house.improve()["verdict"]["rule"] == "test-command-not-allowed"
    house.allow_command("pytest -q checks")
    change = house.proposed()
    assert house.show(change)["card"]["environment"]["test-command"] == "pytest -q checks"
    assert house.approve(change)["state"] == "kept"
    house.deliver()
    write(house, 'test-command = "pytest -q elsewhere"\n')
    assert house.improve()["verdict"]["rule"] == "test-command-not-allowed"
    write(house, 'test-command = "pytest -q checks"\n# back again\n')
    assert house.improve()["verdict"]["is"] == "passed"


def test_the_persons_own_command_wins_and_needs_no_further_word(house: MemoryHouse) -> None:
    """What the box sets is what runs; the note has key and both values."""
    write(house, 'test-command = "pytest -q checks"\n')
    answer = house.improve(own={"test-command": "python -m pytest"})
    assert 'test-command = "pytest -q checks" is not taken' in notes(answer)
    assert 'stays: "python -m pytest"' in notes(answer)
    assert house.show(answer["changes"][0]["id"])["card"]["environment"]["test-command"] == "python -m pytest"


def test_author_trailers_and_caps_are_on_the_card_and_bind_the_promotion(house: MemoryHouse) -> None:
    """A person sees them before approval; a cap below the constitution's holds the change in the guard."""
    write(house, 'caps.changes = 0\ncommit.author = "Ada <ada@b.org>"\ncommit.trailers = ["Reviewed-by: Ada <a@b>"]\n')
    change = house.proposed()
    shown = house.show(change)["card"]["environment"]
    assert shown["commit author"] == "Ada <ada@b.org>"
    assert shown["commit trailers"] == "Reviewed-by: Ada <a@b>"
    assert shown["day caps"] == "changes 0"
    verdict = house.approve(change)["verdict"]
    assert (verdict["rule"], "greenroom.toml" in verdict["remedy"]) == ("day-cap-changes", True)


def test_variables_for_tests_are_on_the_card_and_in_each_run_of_tests(house: MemoryHouse) -> None:
    """Those that the box allows and the repository asks for; the guard finds them in the receipts and promotes."""
    seen: list[CheckRun] = []
    results = house.keeper._results
    house.keeper._results = lambda run: seen.append(run) or results(run)  # type: ignore[func-returns-value]
    write(house, 'environment = ["TOKEN", "OTHER"]\n')
    answer = house.improve(own={"environment": ("TOKEN", "DATABASE_URL")})
    assert 'environment = ["OTHER"] is not taken' in notes(answer)
    change = answer["changes"][0]["id"]
    assert house.show(change)["card"]["environment"]["test environment"] == "TOKEN"
    assert house.approve(change)["state"] == "kept"
    tests = [run.args for run in seen if run.check.endswith("tests")]
    assert tests
    assert all(args == {"environment": "TOKEN"} for args in tests)


def test_looking_says_each_value_and_its_source_and_adopts_nothing(house: MemoryHouse) -> None:
    """`config show REPO` changes nothing: no subject, no run of tests, no setting."""
    write(house, 'test-command = "pytest -q checks"\ncaps.changes = 3\ncaps.lines = 9000\n')
    said = look(house, {"caps.risk": 7})
    assert {key: said["sources"][key] for key in ("test-command", "caps.changes", "caps.lines", "caps.risk")} == {
        "test-command": "repository",
        "caps.changes": "repository",
        "caps.lines": "box",
        "caps.risk": "box",
    }
    assert (said["values"]["caps.changes"], said["values"]["caps.lines"], said["values"]["caps.risk"]) == (3, 5000, 7)
    assert "caps.lines = 9000 is not taken" in "\n".join(said["notes"])
    assert said["allowed"] is False
    assert (house.live(), house.changes()) == (None, [])
    house.allow_command("pytest -q checks")
    assert look(house)["allowed"] is True


@pytest.mark.parametrize("bad", [3, {"proposers": "ruff"}, {"nothing": 1}, {str(n): 1 for n in range(70)}])
def test_a_doors_settings_are_checked_like_any_other(house: MemoryHouse, bad: Any) -> None:
    """The executor takes nothing from a door that it could not have read in a file."""
    with pytest.raises(Unusable):
        desk.handlers(house.house)["settings"](
            {"path": house.path, "branch": house.branch, "ticket": "t", "settings": bad}, (), lambda _: None, 0
        )


def test_a_reader_that_breaks_down_refuses_the_scan(house: MemoryHouse) -> None:
    """Without a result nothing is assumed."""
    write(house, "caps.changes = 3\n")
    house.workshop.settings = None  # type: ignore[assignment]
    answer = house.improve()
    assert (answer["verdict"]["is"], answer["verdict"]["rule"]) == ("refused", "settings-unread")


def test_what_the_sandbox_hands_over_is_not_believed(house: MemoryHouse) -> None:
    """An entry that no file could have is refused like a mistake in the file."""
    write(house, "")
    house.workshop.settings = Read(entries=(Entry(key="proposers", line=1, value={"a": [1]}),))
    with pytest.raises(Unusable, match="bad-settings"):
        house.improve()
    assert isinstance(house.subject, Subject)


def two_waiting(house: MemoryHouse) -> tuple[str, str]:
    """A change that waits for approval, and one that is queued."""
    house.repository.files[b"other.txt"] = b"one wrod\n"
    house.findings.append(Finding(path="other.txt", old=b"wrod", new=b"word"))
    answer = house.improve(limits=Limits(most=1))
    return answer["changes"][0]["id"], answer["left"][0]["id"]


def test_what_goes_on_upon_another_base_stays_within_its_file(house: MemoryHouse) -> None:
    """Cap, author and trailers of the file that came with the base are in the child's plan; the guard keeps them."""
    change, _ = two_waiting(house)
    write(house, 'caps.lines = 1\ncommit.author = "Ada <ada@b.org>"\ncommit.trailers = ["Reviewed-by: Ada <a@b>"]\n')
    house.findings.clear()
    house.improve()
    child = house.restack(change)
    shown = house.show(child["id"])["card"]["environment"]
    assert (shown["commit author"], shown["day caps"]) == ("Ada <ada@b.org>", "lines 1")
    assert shown["commit trailers"] == "Reviewed-by: Ada <a@b>"
    assert house.approve(child["id"])["verdict"]["rule"] == "day-cap-lines"


def test_nothing_goes_on_upon_a_base_whose_test_command_is_not_signed_for(house: MemoryHouse) -> None:
    """Neither what waited nor what was queued: `improve` adopted the base, and held; the owner's word lets them."""
    change, queued = two_waiting(house)
    write(house, 'test-command = "pytest -q checks"\ncommit.author = "Ada <ada@b.org>"\n')
    assert house.improve()["verdict"]["rule"] == "test-command-not-allowed"
    count = len(house.changes())
    for each in (change, queued):
        assert house.restack(each)["verdict"]["rule"] == "test-command-not-allowed"
        assert (
            desk.handlers(house.house)["resume"]({"change": each}, (), house.tell, 0)["resumed"][0]["state"] != "kept"
        )
    assert len(house.changes()) == count
    house.allow_command("pytest -q checks")
    child = house.restack(change)
    assert house.show(child["id"])["card"]["environment"]["test-command"] == "pytest -q checks"
    assert house.show(child["id"])["card"]["environment"]["commit author"] == "Ada <ada@b.org>"


@pytest.mark.parametrize("text", ['paths.deny = ["*.md", "*.txt"]\n', "proposers = []\n"])
def test_improve_ends_what_the_file_of_the_base_leaves_out(house: MemoryHouse, text: str) -> None:
    """By path or by proposer, also what is queued; each says why, and comes back when the file lets it."""
    ids = two_waiting(house)
    write(house, text)
    answer = house.improve()
    assert {row["id"] for row in answer["ended"]} == set(ids)
    assert [house.change(each).ended for each in ids] == ["outside-paths", "outside-paths"]
    assert house.names().count("change.left-out") == 2
    assert "settings leave out" in house.show(ids[0])["refused"]["where"]
    with pytest.raises(Unusable):
        house.approve(ids[0])
    write(house, "")
    assert len(house.improve()["changes"]) == 2


def test_what_a_person_agreed_to_is_held_where_the_file_leaves_it_out(house: MemoryHouse) -> None:
    """It is not ended over their head, and does not go live either, until the settings are others."""
    change = house.proposed()
    house.approve(change, promote=False)
    write(house, 'paths.deny = ["*.md"]\n')
    assert house.improve()["ended"] == []
    assert house.change(change).hold.rule == "outside-paths"  # type: ignore[union-attr]
    for answer in (house.promote(change), house.restack(change)):
        assert (answer["id"], answer["verdict"]["rule"]) == (change, "outside-paths")
    assert "README.md" in answer["verdict"]["where"]
    write(house, "")
    house.findings.clear()
    house.improve()
    assert house.change(change).hold.rule == "base-moved"  # type: ignore[union-attr]
    assert house.promote(change)["state"] == "kept"


def test_an_edit_and_a_retry_stay_within_the_file_of_what_is_live(house: MemoryHouse) -> None:
    """A person's own patch keeps to the paths, too; the parent is not spent for it."""
    change = house.proposed()
    house.commit({"b.py": b"y = 1\n"})
    house.improve(own={"paths.deny": ("*.md",)})
    assert house.change(change).ended == "outside-paths"
    count = len(house.changes())
    assert lineage.retry(house.house, change, tell=house.tell)["verdict"]["rule"] == "outside-paths"
    patch = patch_of("README.md", house.live_files()[b"README.md"], b"# Project\n\nmy words\n")
    edited = lineage.edit(
        house.house, change, patch=house.store.put("blob", patch), actor="person:ada", tell=house.tell
    )
    assert (edited["verdict"]["rule"], len(house.changes())) == ("outside-paths", count)


@pytest.mark.parametrize(
    "text", ['paths.deny = ["*"]\nproposers = []\n', 'test-command = "pytest -q checks"\n', "propsers = 1\n"]
)
def test_taking_back_is_never_left_out(house: MemoryHouse, text: str) -> None:
    """The opposite of a live change goes through the gate, whatever the file of live denies, asks for or gets wrong."""
    house.repository.files[b"other.txt"] = b"one wrod\n"
    house.findings.append(Finding(path="other.txt", old=b"wrod", new=b"word"))
    first, second = (row["id"] for row in house.improve()["changes"])
    house.approve(first)
    house.deliver()
    house.approve(house.restack(second)["id"])
    house.deliver()
    write(house, text)
    with contextlib.suppress(Unusable):
        house.improve()
    undo = house.undo(first)
    assert undo["held"]["rule"] == "needs-approval"
    assert house.approve(undo["id"])["state"] == "kept"


def test_the_same_file_is_read_once_however_often_the_base_moves(house: MemoryHouse) -> None:
    """A base whose file is as it was costs no run of the sandbox."""
    write(house, "caps.changes = 9\n")
    change, _ = two_waiting(house)
    house.commit({"b.py": b"y = 1\n"})
    house.findings.clear()
    house.improve()
    house.restack(change)
    assert len([call for call in house.keeper.calls if call.startswith("check settings")]) == 1
