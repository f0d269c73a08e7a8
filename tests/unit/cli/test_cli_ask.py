"""`greenroom ask` over a house in memory: the plan first, then the very verbs of the other commands."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from test_cli_commands import Door, door

from greenroom.domain.errors import Exit
from greenroom.domain.outcomes import TestRun
from greenroom.domain.requests import KNOWN
from greenroom.domain.settings import Entry, Read
from greenroom.domain.verdict import Held
from greenroom.entrypoints.cli.ask_command import DOING
from greenroom.pipeline.asking import CARRYING, PREPARING, SCANNING, TAKING_IN, TESTING
from greenroom.policy.manifests import BUILTIN
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

__all__ = ["door"]


class Terminal(io.StringIO):
    """A terminal at which a person types."""

    def isatty(self) -> bool:
        return True


def state(door: Door) -> tuple[object, ...]:
    """All that a request may change: live, changes, deliveries, branch."""
    rows = json.dumps(door.json("list", "--all"), sort_keys=True)
    return door.house.guard.live(door.house.subject), rows, door.house.repository.head


def test_cli_ask_shows_what_was_understood_and_the_plan_and_does_nothing_unasked(door: Door) -> None:
    """Without a terminal and --yes: values with their sources, steps with tools by manifest, level, what is written."""
    door.waiting()
    before = state(door)
    assert door("ask", f"improve {door.repo}, at most 3 proposals") == Exit.HELD
    assert f"I understood: improve {door.repo} with typo, at most 3 proposals, mode propose" in door.out
    assert "your words (trust: person)" in door.out
    assert "codegen_t0 T0 tool:" in door.out
    assert "nothing goes live before you approve it" in door.out
    assert "writes: your repository: nothing" in door.out
    assert "held: not-confirmed" in door.out
    assert f'greenroom ask "improve {door.repo}, at most 3 proposals" --yes' in door.out.replace("\n", " ")
    assert state(door) == before


def test_cli_ask_dry_run_ends_well_and_runs_nothing(door: Door) -> None:
    """Only the plan, also with --yes; as JSON the request with its labels and the plan with its digests."""
    assert door("ask", f"run the tests of {door.repo}", "--dry-run", "--yes") == Exit.OK
    assert "nothing of it was run" in door.out
    assert "run_tests" not in door.services.asked
    said = door.json("ask", f"run the tests of {door.repo}", "--dry-run")
    assert door.code == Exit.OK
    assert said["request"]["args"]["path"] == {"trust": 2, "value": door.repo}
    tools = {tool["name"]: tool["manifest"] for step in said["plan"]["steps"] for tool in step["tools"]}
    assert tools["run_tests_t1"] == door.house.policy.tools["run_tests_t1"]
    assert said["verdict"] == {"is": "passed"}


def test_cli_ask_at_a_terminal_waits_for_a_yes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """No leaves all as it was; yes goes ahead."""
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert door("ask", f"run the tests of {door.repo}") == Exit.OK
    assert "nothing was run" in door.err
    assert "run_tests" not in door.services.asked
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert door("ask", f"run the tests of {door.repo}") == Exit.OK
    assert "Go ahead?" in door.err
    assert "2 tests: 2 passed" in door.out


def test_cli_ask_improve_is_improve(door: Door) -> None:
    """The same change waits for the same yes, and the answer is the same beside request and plan."""
    said = door.json("ask", f"could you improve {door.repo}?", "--yes")
    assert door.code == Exit.OK
    (row,) = said["changes"]
    assert row["held"]["rule"] == "needs-approval"
    assert said["request"]["name"] == "improve"
    again = door.json("improve", door.repo)
    assert again["known"][0]["id"] == row["id"]
    assert {*said} == {*again, "request", "plan"}


def test_cli_ask_improve_carries_at_most_what_was_said(door: Door) -> None:
    """*At most 1* is --max 1."""
    door.house.findings = [
        Finding(path="README.md", old=b"teh", new=b"the"),
        Finding(path="README.md", old=b"words", new=b"word"),
    ]
    said = door.json("ask", f"improve {door.repo}, no more than one", "--yes")
    assert (len(said["changes"]), len(said["left"])) == (1, 1)


def test_cli_ask_fix_refuses_before_anything_runs_where_nothing_can_mend_it(door: Door) -> None:
    """The house in memory has no `ruff`: the plan is not even made."""
    assert door("ask", f"fix the lint in {door.repo}", "--yes") == Exit.REFUSED
    assert "unknown-proposer" in door.out
    assert "improve" not in door.services.asked


def test_cli_ask_runs_tests_and_changes_nothing(door: Door) -> None:
    """Counted by outcome; live, changes and branch are as they were, and a tree never seen is not adopted."""
    door.waiting()
    door.house.repository.files[b"b.py"] = b"y = 2\n"
    door.house.repository.head = "b" * 40
    before = state(door)
    prepare, missing = door.house.house.prepare, "one optional dependency is missing"
    door.house.house = dataclasses.replace(door.house.house, prepare=lambda tree: (prepare(tree)[0], (missing,)))  # type: ignore[index]
    said = door.json("ask", f"run the tests of {door.repo}", "--yes")
    assert door.code == Exit.OK
    assert said["counts"] == {"passed": 2}
    assert said["lacking"] == [missing]
    assert state(door) == before
    assert [entry["about"] for entry in entries(door, "tests.ran")] == ["passed"]


def test_cli_ask_runs_tests_anew_each_time(door: Door) -> None:
    """What is asked for is run; it is of an occasion of its own, so it proves nothing of any change."""
    first, second = (door.json("ask", f"run the tests of {door.repo}", "--yes")["receipt"] for _ in range(2))
    assert first != second


def test_cli_ask_says_why_tests_could_not_be_run(door: Door) -> None:
    """No suite, and a run without a result, are held with the reason; nothing is passed off as a success."""
    door.house.checks["tests"] = "broken-before"
    assert door("ask", f"run the tests of {door.repo}", "--yes") == Exit.HELD
    assert "no-runnable-tests" in door.out
    door.house.checks["tests"] = "inconclusive"
    assert door("ask", f"run the tests of {door.repo}", "--yes") == Exit.HELD
    assert [entry["about"] for entry in entries(door, "tests.ran")] == ["no-runnable-tests", "stuck"]


def ending(door: Door, monkeypatch: pytest.MonkeyPatch, **members: Any) -> dict[str, Any]:
    """Run the tests where the suite ends so; the answer."""
    usual: dict[str, Any] = {
        "framework": "pytest",
        "python": "3.11",
        "outcomes": {"t::a": "passed"},
        "sentinel": "failed",
    }
    monkeypatch.setattr(door.house.keeper, "_results", lambda run: TestRun(**(usual | members)))
    found: dict[str, Any] = door.json("ask", f"run the tests of {door.repo}", "--yes")
    return found


def test_cli_ask_names_the_tests_that_do_not_pass(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed and in error, by name; skipped ones are counted and are no failure."""
    outcomes = {"t::a": "passed", "t::b": "failed", "t::c": "error", "t::d": "skipped", "t::e": "xfailed"}
    said = ending(door, monkeypatch, outcomes=outcomes)
    assert door.code == Exit.REFUSED
    assert said["verdict"]["rule"] == "tests-failed"
    assert said["failing"] == ["t::b", "t::c"]
    assert said["counts"] == {"error": 1, "failed": 1, "passed": 1, "skipped": 1, "xfailed": 1}
    assert ending(door, monkeypatch, outcomes={"t::d": "skipped"})["verdict"] == {"is": "passed"}


def test_cli_ask_believes_no_run_in_which_a_failure_was_not_told(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test that must fail passed: what the others say counts for nothing."""
    assert ending(door, monkeypatch, sentinel="passed")["verdict"]["rule"] == "tests-forged"
    assert door.code == Exit.REFUSED


def test_cli_ask_holds_a_run_whose_needs_cannot_be_had(door: Door) -> None:
    """What is missing for the dependencies is named, and nothing runs."""
    held = Held(rule="dependency-missing", where="left-pad", remedy="greenroom config set index.url URL")
    door.house.house = dataclasses.replace(door.house.house, prepare=lambda tree: held)
    said = door.json("ask", f"run the tests of {door.repo}", "--yes")
    assert door.code == Exit.HELD
    assert (said["verdict"]["rule"], said["receipt"], said["counts"]) == ("dependency-missing", None, {})


def test_cli_ask_runs_no_command_that_only_the_repository_names(door: Door) -> None:
    """A test command from greenroom.toml waits for the owner's signature, as in `improve`."""
    door.house.repository.files[b"greenroom.toml"] = b"test-command = 'python -m pytest -q x'\n"
    entry = Entry(key="test-command", line=1, value="python -m pytest -q x")
    door.house.workshop.settings = Read(entries=(entry,))
    assert door("ask", f"run the tests of {door.repo}", "--yes") == Exit.HELD
    assert "test-command-not-allowed" in door.out
    assert not any(call.startswith("check tests") for call in door.house.keeper.calls)


def test_cli_ask_reverts_what_was_promoted_last(door: Door) -> None:
    """The change is named before; then it is what `greenroom revert` does. With nothing live it is refused."""
    change = door.waiting()
    assert door("ask", "undo the last change", "--yes") == Exit.REFUSED
    assert "nothing-to-revert" in door.out
    assert door("approve", change, "--yes") == Exit.OK
    assert door("ask", "undo the last change") == Exit.HELD
    assert f"revert the last change of this box: {change}" in door.out
    said = door.json("ask", f"revert the last change of {door.repo}", "--yes")
    assert door.code == Exit.OK
    assert (said["id"], said["state"], said["delivered"]) == (change, "reverted", {"is": "passed"})


def test_cli_ask_reverts_the_change_of_that_repository_only(door: Door, tmp_path: Path) -> None:
    """Another directory has none."""
    change = door.waiting()
    assert door("approve", change, "--yes") == Exit.OK
    (tmp_path / "other").mkdir()
    assert door("ask", f"revert the last change of {tmp_path / 'other'}", "--yes") == Exit.REFUSED
    assert "nothing-to-revert" in door.out


def test_cli_ask_under_a_stop_runs_nothing_and_still_reverts(door: Door) -> None:
    """A stop forbids what runs; taking back works under it, as the command does."""
    change = door.waiting()
    assert door("approve", change, "--yes") == Exit.OK
    door.house.stop()
    assert door("ask", f"run the tests of {door.repo}", "--yes") == Exit.STOPPED
    assert door("ask", "revert the last change", "--yes") == Exit.OK


def test_cli_ask_what_happened_asks_nobody(door: Door) -> None:
    """It only reads, so it needs no yes; the answer is the briefing."""
    door.waiting()
    assert door("ask", "what happened today") == Exit.OK
    assert "needs you:" in door.out
    assert door.json("ask", "what happened since yesterday")["briefing"]["counts"]["changes"] == 1


def test_cli_ask_logs_what_was_agreed_to_and_not_the_words(door: Door) -> None:
    """The log has the kind of the request and the digest of the plan that was shown."""
    said = door.json("ask", f"please, run the tests of {door.repo}", "--yes")
    (entry,) = entries(door, "request.confirmed")
    assert entry["about"] == "tests"
    assert json.loads(door.services.read(entry["digests"]["request"])) == said["plan"]


def entries(door: Door, name: str) -> list[dict[str, object]]:
    found = door.services.log_entries(0, door.house.log.size())
    return [dict(entry) for entry in found if entry["name"] == name]


@pytest.mark.parametrize(
    ("words", "reference"),
    [
        ("fix the link in lib", "not-understood"),
        ("check lib", "ambiguous-request"),
        ("improve a1 and run the tests of b1", "several-requests"),
        ("fix the lint in https://example.org/x", "url-not-taken"),
        ("", "bad-request"),
        ("x" * 401, "request-too-long"),
    ],
)
def test_cli_ask_refuses_what_it_does_not_understand(door: Door, words: str, reference: str) -> None:
    """One sentence, the reference, what helps; 2; the house is not asked anything."""
    assert door("ask", words, "--yes") == Exit.USAGE
    assert f"[{reference}]" in door.err
    assert "remedy:" in door.err
    assert door.services.asked == []
    said = door.json("ask", words, "--yes")
    assert (said["error"]["reference"], door.code) == (reference, Exit.USAGE)


def test_cli_ask_answers_with_the_nearest_requests_as_json(door: Door) -> None:
    """A program can offer them."""
    assert door.json("ask", "fix the link in lib")["nearest"] == ["fix the lint in ./lib"]


def test_cli_ask_names_a_directory_that_is_not_there(door: Door) -> None:
    """A bare word after a preposition is a directory's name: 5, as with `improve`."""
    assert door("ask", "run the tests of nowhere", "--yes") == Exit.NOT_FOUND
    assert "no-such-directory" in door.err


def test_cli_ask_takes_words_without_quotes_around_them(door: Door) -> None:
    """Words that the shell parted are one sentence."""
    assert door("ask", "run", "the", "tests", "of", door.repo, "--yes") == Exit.OK


def test_every_request_has_a_verb_and_every_tool_of_a_plan_is_one() -> None:
    """The table of what is known, that of what is done, and the tools that are named fit each other."""
    assert set(DOING) == set(KNOWN)
    assert {*TAKING_IN, *SCANNING, *PREPARING, *CARRYING, *TESTING} <= set(BUILTIN)
