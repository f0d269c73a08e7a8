"""Every command of the command line over a house in memory: what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_door import Door

from greenroom.domain.errors import Exit, Tampered, Unreachable, Unusable
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.entrypoints.cli import app
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding
from greenroom.testing.services import MemoryServices

EVIL = "\x1b[31mred\u202egnirts\u200b\x07"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Door]:
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, path=str(tmp_path / "repo"))
    monkeypatch.setenv("COLUMNS", "200")
    yield Door(MemoryServices(house), monkeypatch, capsys)
    house.close()


def commands() -> list[tuple[str, ...]]:
    """The words of every command."""
    group: Any = typer.main.get_command(app.build(lambda box: None, "0"))  # type: ignore[arg-type,return-value]
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((name,))
        found += [(name, each) for each in getattr(command, "commands", {})]
    return found


ALONE_AND_GROUPS = {words[0] for words in commands()}
GROUPS = (("constitution",), ("config",), ("floor",), ("opt-in",))
ALONE = [words for words in commands() if words not in GROUPS]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_cli_help_of_every_command(door: Door, words: tuple[str, ...]) -> None:
    """--help ends well and, for a command, has an example of itself."""
    assert door(*words, "--help") == Exit.OK
    assert "Usage:" in door.out
    assert re.search(rf"^\s+greenroom {' '.join(words)}\b", door.out, re.MULTILINE), door.out


@pytest.mark.parametrize("words", ALONE, ids=" ".join)
def test_cli_json_is_an_option_of_every_command(door: Door, words: tuple[str, ...]) -> None:
    """A program can read every answer."""
    assert door(*words, "--help") == Exit.OK
    assert "--json" in door.out


def test_cli_exit_codes_are_documented() -> None:
    """docs/exit-codes.md has each code of domain.errors.Exit once, by number and name, and no other."""
    text = (Path(__file__).parents[3] / "docs" / "exit-codes.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| \S", text, re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(int(code), code.name) for code in Exit]


def test_cli_without_words_shows_help(door: Door) -> None:
    """A bare `greenroom` says how to start."""
    door()
    assert "greenroom init" in door.out + door.err


def test_cli_version(door: Door) -> None:
    """--version is one line; with --json, before or after it, one document."""
    assert door("--version") == Exit.OK
    assert door.out == "greenroom 1.2.3\n"
    assert door.json("--version") == {"version": "1.2.3"}
    assert door("--json", "--version") == Exit.OK
    assert json.loads(door.out) == {"version": "1.2.3"}


@pytest.mark.parametrize(
    "words",
    [
        ("nope",),
        ("improve",),
        ("improve", ".", "--nope"),
        ("improve", ".", "--mode", "all"),
        ("show",),
        ("mode", "all"),
        ("approve",),
        ("reject", "a", "b"),
    ],
)
def test_cli_misuse_is_one_sentence_with_a_reference(door: Door, words: tuple[str, ...]) -> None:
    """A mistyped command says what is wrong, its reference and what helps; nothing was asked of the house."""
    assert door(*words) == Exit.USAGE
    assert "[usage]" in door.err
    assert "--help" in door.err
    assert "Traceback" not in door.err
    assert door.out == ""
    assert door.services.asked == []
    body = door.json(*words)
    assert (body["error"]["reference"], body["error"]["exit"], door.code) == ("usage", 2, 2)


@pytest.mark.parametrize("verb", ["show", "diff", "approve", "promote", "reject", "revert"])
def test_cli_unknown_change(door: Door, verb: str) -> None:
    """An id that is not there is NOT_FOUND, by reference, on stderr and as JSON."""
    assert door(verb, "nope") == Exit.NOT_FOUND
    assert "[no-change-by-that-id]" in door.err
    assert "greenroom list" in door.err
    error = door.json(verb, "nope")["error"]
    assert (error["reference"], error["exit"]) == ("no-change-by-that-id", 5)
    assert error["remedy"]


def test_cli_missing_directory(door: Door, tmp_path: Path) -> None:
    """A repository that is not there is NOT_FOUND."""
    assert door("improve", str(tmp_path / "nope")) == Exit.NOT_FOUND
    assert "[no-such-directory]" in door.err


@pytest.mark.parametrize("words", [("log", "check", "--checkpoint"), ("constitution", "edit")])
def test_cli_files_that_cannot_be_used(door: Door, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A missing file is NOT_FOUND, a directory USAGE; no traceback."""
    assert door(*words, str(tmp_path / "nope")) == Exit.NOT_FOUND
    assert "[bad-file]" in door.err
    assert door(*words, str(tmp_path)) == Exit.USAGE
    assert "Traceback" not in door.err


def test_cli_constitution_that_is_not_text(door: Door, tmp_path: Path) -> None:
    """Bytes that are no UTF-8, or no constitution, are USAGE."""
    (tmp_path / "rules").write_bytes(b"\xff\xfe")
    assert door("constitution", "edit", str(tmp_path / "rules")) == Exit.USAGE
    assert "[bad-file]" in door.err
    (tmp_path / "rules").write_bytes(b"schema: 7\n")
    assert door("constitution", "edit", str(tmp_path / "rules")) == Exit.USAGE
    assert re.search(r"\[[a-z-]+\]", door.err)


def test_cli_our_own_mistake_is_told_as_one(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something unexpected is a BUG with its place and a request to report it, not a traceback."""
    monkeypatch.setattr(door.services, "board", lambda **_: 1 / 0)
    assert door("list") == Exit.BUG
    assert "[bug]" in door.err
    assert "ZeroDivisionError" in door.err
    assert "report" in door.err
    assert door.json("list")["error"]["exit"] == 1


def test_cli_ctrl_c_is_interrupted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and says how to go on."""

    def interrupted(**_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(door.services, "board", interrupted)
    assert door("list") == Exit.INTERRUPTED
    assert door.err == "greenroom: interrupted; nothing is half done\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mode", "supervised"), []),
        (("revert", "k3f9x2"), ["`greenroom list` shows it"]),
        (("improve", "."), ["`greenroom improve` again carries the rest"]),
    ],
)
def test_cli_ctrl_c_says_what_the_command_left(
    door: Door, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: list[str]
) -> None:
    """At a passphrase there is no change under way; a command that carries one says where it is to be seen."""

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    for call in ("set_mode", "desk", "guard"):
        monkeypatch.setattr(door.services, call, interrupted)
    assert door(*words) == Exit.INTERRUPTED
    last = door.err.splitlines()[-1]
    assert last.startswith("greenroom: interrupted; nothing is half done")
    assert [
        each for each in ("`greenroom list` shows it", "`greenroom improve` again carries the rest") if each in last
    ] == said


def unread() -> int:
    """A pipe whose reader went away."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@contextlib.contextmanager
def stdout_is(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, stdout goes to `descriptor`, line by line."""
    file = os.fdopen(descriptor, "w", buffering=1)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", file)
        yield
    with contextlib.suppress(OSError):
        file.close()


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("log",), ("status",), ("show",), ("diff",)])
def test_cli_a_reader_that_went_away_is_no_failure(
    door: Door, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """`greenroom ... | head -1` ends quietly and well."""
    change = door.waiting()
    if words[0] in ("show", "diff"):
        words = (words[0], change, *words[1:])
    with stdout_is(unread(), monkeypatch):
        code = door(*words)
    assert (code, door.err) == (Exit.OK, "")


def test_cli_a_verdict_is_told_though_the_reader_went_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is that of what was done, whoever read the answer."""
    door.house.checks["tests"] = "fail"
    with stdout_is(unread(), monkeypatch):
        assert door("improve", door.repo) == Exit.REFUSED


def test_cli_what_was_not_shown_is_not_approved(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the card cannot be shown to its end, nobody agreed to it, though --yes was given."""
    change = door.waiting()
    before = door.house.live()
    with stdout_is(unread(), monkeypatch):
        assert door("approve", change, "--yes") == Exit.USAGE
    assert "[card-not-shown]" in door.err
    assert door.house.live() == before
    assert door("approve", change, "--yes") == Exit.OK


@pytest.mark.parametrize("words", [("list",), ("list", "--json")])
def test_cli_a_full_disk_under_stdout_is_told(
    door: Door, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """An answer that cannot be written is neither a traceback nor called our mistake."""
    door.waiting()
    with stdout_is(os.open("/dev/full", os.O_WRONLY), monkeypatch):
        assert door(*words) == Exit.USAGE
    assert "[disk-full]" in door.err
    assert "remedy:" in door.err


@pytest.mark.parametrize("words", [("show", "\udcff"), ("reject", "x", "--why", "\udcff"), ("improve", "r\udcff")])
def test_cli_words_that_are_no_text(door: Door, words: tuple[str, ...]) -> None:
    """A word that is not UTF-8 is named, spelled out; nothing was asked of the house."""
    assert door(*words) == Exit.USAGE
    assert "[not-utf8]" in door.err
    assert "\\udcff" in door.err
    assert door.services.asked == []


def test_cli_a_user_without_a_name(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that the machine has no name for is named by number."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert door("stop") == Exit.OK
    assert door.house.guard.status().stopped_by == f"person:uid-{os.getuid()}"


def test_cli_a_checkpoint_without_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that never ends is read no further than a checkpoint is long."""
    seen: list[int] = []

    def check(log: str | None, keys: str | None, kept: bytes | None) -> Any:
        seen.append(len(kept or b""))
        return door.services.report

    monkeypatch.setattr(door.services, "log_check", check)
    assert door("log", "check", "--checkpoint", "/dev/zero") == Exit.OK
    assert seen == [64 * 1024]


def test_cli_a_bad_checkpoint_is_named_with_its_file(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and, where the error has one, the place in it; an error of anything else stays as it is."""
    refused = Unusable("bad-note", "the signatures are missing", remedy="give a checkpoint")

    def check(log: str | None, keys: str | None, kept: bytes | None) -> Any:
        raise refused

    monkeypatch.setattr(door.services, "log_check", check)
    assert door.json("log", "check", "--checkpoint", "/dev/null")["error"]["where"] == "/dev/null"
    assert door.code == Exit.USAGE
    refused = Unusable("log-unreadable", "cannot read", where="log/tile")
    assert door.json("log", "check", "--checkpoint", "/dev/null")["error"]["where"] == "log/tile"


def test_cli_a_box_that_cannot_be_made(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place where no box can be made is named, and that a directory is wanted."""

    def denied(*about: Any, **more: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/x")

    monkeypatch.setattr(door.services, "init", denied)
    assert door("init", "/srv/x", "--no-input") == Exit.USAGE
    assert "[bad-place]" in door.err
    assert "/srv/x" in door.err
    assert "directory" in door.err


def test_cli_unreachable_process(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not answer is UNREACHABLE."""

    def gone(*args: Any, **kwargs: Any) -> Any:
        raise Unreachable("guard-gone", "the guard does not answer", remedy="greenroom doctor")

    monkeypatch.setattr(door.services, "guard", gone)
    assert door("status") == Exit.UNREACHABLE
    assert "greenroom doctor" in door.err


def test_cli_improve_lists_what_waits(door: Door) -> None:
    """Progress on stderr, the board and the next command on stdout; live is unchanged."""
    assert door("improve", door.repo) == Exit.OK
    (change,) = door.house.changes()
    assert change.id in door.out
    assert f"next: greenroom approve {change.id}" in door.out
    assert "live is unchanged" in door.out
    assert "importing" in door.err
    assert "verify" in door.err
    assert door("improve", door.repo) == Exit.OK
    assert change.id in door.out


def test_cli_list_show_diff(door: Door) -> None:
    """The board, the whole card, and the patch, which can be had bare."""
    assert door("list") == Exit.OK
    assert "greenroom improve" in door.out
    change = door.waiting()
    assert door("list") == Exit.OK
    assert change in door.out
    assert [row["id"] for row in door.json("list", "--all")["changes"]] == [change]
    assert door("show", change) == Exit.OK
    for said in ("who must agree", "a person (level 1 low)", "Mend 'teh' in README.md", "tests", "plan", "golden"):
        assert said in door.out
    stored = door.house.change(change)
    for digest in (stored.plan, stored.base, stored.green, stored.card):
        assert str(digest) in door.out.replace("\n", "")
    assert "-teh words\n+the words" in door.out
    assert door("diff", change) == Exit.OK
    assert "-teh words" in door.out
    assert door("diff", change, "--patch") == Exit.OK
    assert door.out.startswith("diff --git a/README.md b/README.md\n")


@pytest.mark.parametrize(("behaviour", "ended"), [("fail", "exit 0"), ("inconclusive", "by wall, exit 137")])
def test_cli_show_runs_prints_why_a_test_failed(door: Door, behaviour: Any, ended: str) -> None:
    """Of a refused or held change: each run, and what those printed that did not end well, nothing of it raw."""
    door.house.checks["tests"] = behaviour
    door.house.keeper.prints["tests"] = f"E assert 1 == 2{EVIL}\r\n".encode()
    (row,) = door.json("improve", door.repo)["changes"]
    assert "greenroom show ID --runs" in (row["refused"] or {"remedy": "greenroom show ID --runs"})["remedy"]
    assert door("show", row["id"]) == Exit.OK
    assert re.search(rf"tests +base-on-green +{ended} +0\.\d +1\b" if behaviour == "fail" else ended, door.out)
    assert "1 == 2" not in door.out
    assert door("show", row["id"], "--runs") == Exit.OK
    assert "E assert 1 == 2\\u{001b}[31mred" in door.out
    assert not set("\x1b\u202e\u200b\x07\r") & set(door.out)
    said = door.json("show", row["id"], "--runs")["runs"]
    told = [run for run in said if "printed" in run]
    assert {run["check"] for run in told} == {"tests"}
    assert all("1 == 2" in run["printed"]["stdout"]["text"] for run in told)
    assert [run["check"] for run in said if "printed" not in run][:2] == ["build", "build"]
    assert all({"role", "exit", "ended_by", "seconds", "attempt"} <= run.keys() for run in said)


def test_cli_show_runs_after_the_attempts_are_used_up(door: Door) -> None:
    """When the keeper makes a run no more, the last attempt's output is still what is shown."""
    door.house.checks["tests"] = "inconclusive"
    door.house.keeper.prints["tests"] = b"hangs here"
    (row,) = door.json("improve", door.repo)["changes"]
    for _ in range(4):
        assert door("resume", row["id"]) == Exit.HELD
    shown = door.json("show", row["id"], "--runs")
    assert "runs-exhausted" in shown["held"]["where"]
    told = [run for run in shown["runs"] if "printed" in run]
    assert max(run["attempt"] for run in told) == 3
    assert "hangs here" in told[-1]["printed"]["stdout"]["text"]


def test_cli_show_runs_of_a_promotion_that_was_taken_back(door: Door) -> None:
    """The runs of the watch are the change's too."""
    change = door.waiting()
    door.house.checks["live-tests"] = "fail"
    door.house.keeper.prints["live-tests"] = b"broke when live"
    answer = door.json("approve", change, "--yes")
    assert "greenroom show ID --runs" in answer["verdict"]["remedy"]
    assert door("show", change, "--runs") == Exit.OK
    assert "broke when live" in door.out


def test_cli_show_of_a_receipt_that_cannot_be_believed(door: Door) -> None:
    """A receipt whose bytes were changed is named with its problem; the change is shown all the same."""
    change = door.waiting()
    store = door.house.store
    evidence = json.loads(store.get(door.house.change(change).evidence[-1]))
    store.spoil(evidence["receipts"][0], b"other bytes")
    assert door("show", change) == Exit.OK
    assert "cannot be read" in door.out
    assert door("show", change, "--runs") == Exit.OK
    assert "every run ended well" not in door.out


def test_cli_show_prints_the_debate_that_rejected(door: Door) -> None:
    """A change without a card shows each reviewer, round, axis, points and reason, as its remedy says."""
    bad = b"the \xe2\x80\x8b os.system(x)  # noqa"
    door.house.findings[:] = [Finding(path="README.md", old=b"teh", new=bad)]
    (row,) = door.json("improve", door.repo)["changes"]
    assert row["refused"]["rule"] == "debate-rejected"
    assert f"greenroom show {row['id']}" in row["refused"]["remedy"]
    shown = door.json("show", row["id"])
    assert shown["card"] is None
    assert door("show", row["id"]) == Exit.OK
    lines = [re.sub(r"\s+", " ", line) for line in door.out.splitlines()]
    for each in shown["debate"]["rounds"]:
        for review in each["reviews"]:
            for score in review["scores"]:
                start = (
                    f"{each['round']} {review['reviewer']} {review['version']} {score['axis']} {score['points']} of 100"
                )
                assert any(start in line and score["why"][:20] in line for line in lines), start
        assert any(f"{each['round']} the judge {each['ruling']}" in line for line in lines)


def test_cli_approve_shows_the_card_and_promotes(door: Door) -> None:
    """With --yes the card and the diff are shown all the same; the branch gets what is live."""
    change = door.waiting()
    assert door("approve", change, "--yes") == Exit.OK
    assert "who must agree" in door.out
    assert "+the words" in door.out
    assert "delivered to your branch" in door.out
    assert door.house.change(change).state is State.KEPT
    assert door.house.repository.files == door.house.live_files()


@pytest.mark.parametrize("words", [("--no-input",), (), ("--json",)])
def test_cli_approve_without_a_person_is_never_a_yes(door: Door, words: tuple[str, ...]) -> None:
    """No terminal and no --yes: unusable, and nothing was signed."""
    change = door.waiting()
    assert door("approve", change, *words) == Exit.USAGE
    assert "[no-terminal]" in door.err
    assert door.house.change(change).consents == ()


@pytest.mark.parametrize(
    ("answer", "state"), [("y\n", "kept"), ("yes\n", "kept"), ("\n", "verified"), ("n\n", "verified")]
)
def test_cli_approve_asks(door: Door, monkeypatch: pytest.MonkeyPatch, answer: str, state: str) -> None:
    """At a terminal only a y is a yes; the default is no, and a no ends well."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    change = door.waiting()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    door.services.locked = True
    asked: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "secret")
    assert door("approve", change) == Exit.OK
    assert door.house.change(change).state.value == state
    assert len(asked) == (state == "kept")


def test_cli_approve_later(door: Door) -> None:
    """--no-promote stops at approved; promote goes on; promote of what is not approved names the step."""
    change = door.waiting()
    assert door("promote", change) == Exit.USAGE
    assert f"greenroom approve {change}" in door.err
    assert door.json("approve", change, "--yes", "--no-promote")["state"] == "approved"
    assert door.json("promote", change)["state"] == "kept"


@pytest.mark.parametrize("verb", ["approve", "promote"])
def test_cli_finds_a_dirty_or_moved_branch_before_anybody_agrees(door: Door, verb: str) -> None:
    """A branch that cannot be delivered to is HELD, with the rule and what helps; nothing is signed or swapped."""
    change = door.waiting()
    if verb == "promote":
        door("approve", change, "--yes", "--no-promote")
    words = (verb, change, "--yes") if verb == "approve" else (verb, change)
    before = door.house.live()
    door.house.repository.dirty = True
    assert door(*words) == Exit.HELD
    assert "worktree-dirty" in door.out
    door.house.repository.dirty = False
    door.house.commit({"b.py": b"1\n"})
    answer = door.json(*words)
    assert (door.code, answer["verdict"]["rule"]) == (Exit.HELD, "branch-moved")
    assert door.house.live() == before


@pytest.mark.parametrize("verb", ["approve", "promote", "resume"])
def test_cli_finds_a_file_in_the_way_before_anything_is_swapped(door: Door, verb: str) -> None:
    """An untracked file that a change would write over holds it as worktree-dirty before anybody agrees."""
    change = door.waiting()
    if verb != "approve":
        door("approve", change, "--yes", "--no-promote")
    before = door.house.live()
    door.house.repository.in_the_way = True
    assert door(verb, change) == Exit.HELD
    assert "worktree-dirty" in door.out
    assert door.house.live() == before


@pytest.mark.parametrize("verb", ["approve", "revert"])
def test_cli_a_delivery_that_waits_is_held(door: Door, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became live and could not be delivered ends with HELD, says what holds the branch, and is tried again."""
    change = door.waiting()
    sign = MemoryServices.consents

    def sign_and_edit(services: MemoryServices, *about: Any) -> Any:
        services.house.repository.dirty = True
        return sign(services, *about)

    if verb == "approve":
        monkeypatch.setattr(MemoryServices, "consents", sign_and_edit)
    else:
        door("approve", change, "--yes")
        door.house.repository.dirty = True
    answer = door.json(verb, change, *(("--yes",) if verb == "approve" else ()))
    assert (door.code, answer["verdict"]) == (Exit.HELD, {"is": "passed"})
    assert answer["delivered"]["rule"] == "worktree-dirty"
    again = door.json("resume")
    assert (door.code, again["delivered"][0]["rule"]) == (Exit.HELD, "worktree-dirty")
    assert "delivery-pending" in door.err
    assert "remedy:" in door.err
    door.house.repository.dirty = False
    assert door("resume") == Exit.OK
    assert door.services.desk("pending") == []


def test_cli_improve_ends_as_refused_when_every_proposal_was(door: Door) -> None:
    """REFUSED, with the remedy, and again REFUSED: the runs are made once, and their answer stays."""
    door.house.checks["tests"] = "fail"
    assert door("improve", door.repo) == Exit.REFUSED
    assert "remedy:" in door.out
    del door.house.checks["tests"]
    assert door("improve", door.repo) == Exit.REFUSED


def test_cli_improve_ends_with_what_became_of_the_proposals(door: Door) -> None:
    """HELD when a proposal is only held, OK when one waits for a yes."""
    door.house.checks["tests"] = "inconclusive"
    answer = door.json("improve", door.repo)
    (row,) = answer["changes"]
    assert (door.code, row["held"]["rule"]) == (Exit.HELD, "stuck")
    assert door("resume", row["id"]) == Exit.HELD
    assert f"greenroom resume {row['id']}" in door.out
    del door.house.checks["tests"]
    assert door("resume", row["id"]) == Exit.OK
    assert door("improve", door.repo) == Exit.OK
    assert door("resume", row["id"]) == Exit.USAGE
    assert f"greenroom approve {row['id']}" in door.err


def test_cli_improve_with_nothing_found_is_well(door: Door) -> None:
    """A clean repository is no failure."""
    door.house.findings.clear()
    assert door("improve", door.repo) == Exit.OK


def test_cli_reject(door: Door) -> None:
    """A no is done; a second one is a wrong state."""
    change = door.waiting()
    assert door.json("reject", change, "--why", "no")["ended"] == "rejected"
    assert door("reject", change) == Exit.USAGE
    assert "[wrong-state]" in door.err


def test_cli_revert_delivers(door: Door) -> None:
    """A revert reaches the branch too; a change that others stand on is REFUSED."""
    first = door.waiting()
    door("approve", first, "--yes")
    door.house.findings.append(Finding(path="README.md", old=b"words", new=b"word"))
    second = door.waiting()
    door("approve", second, "--yes")
    assert door("revert", first) == Exit.REFUSED
    assert "not-last" in door.out
    assert door("revert", second) == Exit.OK
    assert door("revert", first) == Exit.OK
    assert b"teh words" in door.house.repository.files[b"README.md"]


def test_cli_reverted_by_the_watch_is_refused(door: Door) -> None:
    """A promotion that the live tests took back ends REFUSED, with the test's name."""
    change = door.waiting()
    door.house.checks["live-tests"] = "fail"
    answer = door.json("approve", change, "--yes")
    assert (door.code, answer["state"], answer["verdict"]["rule"]) == (Exit.REFUSED, "reverted", "test-broken")


def test_cli_stop_and_lift(door: Door) -> None:
    """Under a stop commands end STOPPED; status still answers; after the lift what was cut goes on."""
    change = door.waiting()
    assert door("stop") == Exit.OK
    assert door("improve", door.repo) == Exit.STOPPED
    assert door("approve", change, "--yes") == Exit.STOPPED
    assert door("status") == Exit.OK
    assert "SET by person:" in door.out
    assert door.json("lift")["stopped_before"] is True
    assert door.code == Exit.OK
    assert door.house.change(change).state is State.KEPT
    assert isinstance(door.house.lift(), Passed)


def test_cli_lift_without_a_stop_says_so(door: Door) -> None:
    """It is no success of anything."""
    assert door("lift") == Exit.OK
    assert door.out == "no stop was set: nothing was lifted or signed\n"
    assert door.json("lift")["stopped_before"] is False


def test_cli_status(door: Door) -> None:
    """Stop, mode, live, what waits."""
    change = door.waiting()
    assert door("status") == Exit.OK
    for said in ("stop: not set", "mode: propose", "waiting: 1", change, "live: workspace:"):
        assert said in door.out
    said = door.json("status")
    assert said["counts"] == {"held": {"needs-approval": 1}, "moving": 0, "live": 0, "ended": 0}
    assert said["mode"] == "propose"
    assert [row["id"] for row in said["changes"]] == [change]


def test_cli_list_within_a_bound_says_how_many_more_there_are(door: Door) -> None:
    """The newest of what waits; the rest is counted, in text and in JSON, and --all has all of it."""
    change = door.waiting()
    other = door.house.house.changes.save(
        dataclasses.replace(door.house.change(change), id=ChangeId("zzzzzz"), version=0)
    )
    assert [row["id"] for row in door.json("list")["changes"]] == [change, other.id]
    assert door.json("list")["more"] == 0
    assert door("list", "--limit", "1") == Exit.OK
    assert other.id in door.out
    assert change not in door.out
    assert "1 more; `greenroom list --limit N`" in door.out
    assert [row["id"] for row in door.json("list", "--all", "--limit", "1")["changes"]] == [other.id]
    assert len(door.json("list", "--all")["changes"]) == 2
    assert door("list", "--limit", "0") == Exit.USAGE


def test_cli_makes_only_the_command_that_is_named() -> None:
    """The table of commands is true, and a command line that names none of them gets every one."""
    made: Any = lambda box: None  # noqa: E731
    for module, names in app.COMMANDS.items():
        typed: Any = typer.main.get_command(app.build(made, "0", ["--box", "list", "--json", names[0]]))
        assert set(typed.commands) == set(ALONE_AND_GROUPS if module == "manual" else names)
    for words in ([], ["--help"], ["lisst"], ["--box"], ["--nonsense", "list"]):
        typed = typer.main.get_command(app.build(made, "0", words))
        assert set(typed.commands) == ALONE_AND_GROUPS, words


def test_cli_mode(door: Door) -> None:
    """Shown without a word; set with one."""
    assert door("mode") == Exit.OK
    assert door.out == "propose\n"
    assert door("mode", "supervised") == Exit.OK
    assert door.json("mode") == {"mode": "supervised"}


def test_cli_constitution(door: Door, tmp_path: Path) -> None:
    """What is shown can be edited and put in force."""
    assert door("constitution", "show") == Exit.OK
    (tmp_path / "rules.yaml").write_text(door.out.replace("changes: 50", "changes: 7"))
    assert door("constitution", "edit", str(tmp_path / "rules.yaml")) == Exit.OK
    assert door.house.policy.constitution.caps.changes == 7
    assert "schema" in door.json("constitution", "show")["text"]
    asking = door.json("constitution", "show")["text"].replace(
        "workspace: [live-tests]", "workspace: [live-tests, probe]"
    )
    (tmp_path / "rules.yaml").write_text(asking)
    assert door("constitution", "edit", str(tmp_path / "rules.yaml")) == Exit.USAGE
    assert "postconditions.workspace" in door.err
    assert "has no probe" in door.err
    assert door("constitution", "edit") == Exit.USAGE
    assert "[no-editor]" in door.err


def test_cli_log(door: Door) -> None:
    """One line an entry; as JSON one document a line; export is JSON lines; the checkpoint is as signed."""
    change = door.waiting()
    assert door("log") == Exit.OK
    lines = door.out.splitlines()
    assert len(lines) == door.house.log.size()
    assert "box.created" in lines[0]
    assert any(change in line and "verify.result" in line for line in lines)
    for words in (("log", "--json"), ("log", "export")):
        assert door(*words) == Exit.OK
        assert len([json.loads(line) for line in door.out.splitlines()]) == door.house.log.size()
    assert door("log", "checkpoint") == Exit.OK
    assert door.out == "checkpoint\n"
    assert door.json("log", "checkpoint") == {"checkpoint": "checkpoint\n"}


def test_cli_log_check(door: Door) -> None:
    """A whole log is OK, another is TAMPERED and names the first entry."""
    assert door("log", "check") == Exit.OK
    assert "no outside witness" in door.out
    door.services.report |= {"ok": False, "problem": "entry-changed at entry 3", "remedy": "compare with a copy"}
    assert door("log", "check") == Exit.TAMPERED
    assert "entry 3" in door.out
    assert "other keys" not in door.out
    assert door.json("log", "check")["ok"] is False
    door.services.report |= {"foreign": True}
    assert door("log", "check") == Exit.TAMPERED
    assert "TAMPERED, or signed with other keys" in door.out


def test_cli_doctor(door: Door) -> None:
    """What is missing is named with what helps, and the exit code says so."""
    assert door("doctor") == Exit.OK
    problem = {"message": "no user namespaces", "remedy": "sysctl kernel.unprivileged_userns_clone=1"}
    door.services.health |= {"ok": False, "problems": [problem]}
    assert door("doctor") == Exit.SANDBOX
    assert "sysctl" in door.out


def test_cli_init_and_down(door: Door) -> None:
    """Init says where the key is and to keep a copy; down ends the processes."""
    assert door("init", "--no-input") == Exit.OK
    assert "owner.key" in door.out
    assert "Keep a copy" in door.out
    assert "next: greenroom improve REPO" in door.out
    assert door.json("init", "--no-input")["owner_key"] == "not protected"
    assert door("down") == Exit.OK
    assert door.services.asked[-1] == "down"
    assert door.json("down") == {"down": True}


def test_cli_resume(door: Door) -> None:
    """Resume says how many went on."""
    assert door("resume") == Exit.OK
    assert door.out == "resumed 0 change(s)\n"
    assert door.json("resume")["resumed"] == []


@pytest.mark.parametrize("words", [("list",), ("show",), ("improve",), ("approve", "--yes"), ("status",), ("diff",)])
def test_cli_text_from_outside_cannot_forge_the_screen(door: Door, words: tuple[str, ...]) -> None:
    """Control, bidirectional and zero-width characters of a proposal are spelled out wherever they are shown."""
    hidden = EVIL if words == ("diff",) else ""
    door.house.commit({"README.md": f"teh {hidden}\n".encode()})
    found = Finding(
        path="README.md",
        old=f"teh {hidden}".encode(),
        new=f"the {hidden}".encode(),
        rule=f"typo{EVIL}",
        summary=f"Mend{EVIL}",
    )
    door.house.findings[:] = [found]
    if words[0] != "improve":
        door("improve", door.repo)
    (subject,) = [door.repo] if words[0] == "improve" else [change.id for change in door.house.changes()]
    alone = words[0] in ("list", "status")
    assert door(words[0], *([] if alone else [subject]), *words[1:]) == Exit.OK
    shown = door.out + door.err
    for character in "\x1b\u202e\u200b\x07":
        assert character not in shown
    assert "\\u{202e}" in shown
    assert "\\u{001b}" in shown


def test_cli_refuses_a_card_of_another_change(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be believed is TAMPERED, and nothing is signed."""
    change = door.waiting()

    def other(change: str, offer: Any) -> Any:
        raise Tampered("card-of-another-change", "not that card", remedy="do not approve")

    monkeypatch.setattr(door.services, "card", other)
    assert door("approve", change, "--yes") == Exit.TAMPERED
    assert door.house.change(change).consents == ()


def test_cli_help_shows_examples_as_lines(door: Door) -> None:
    """Examples can be copied: one command a line."""
    door("improve", "--help")
    assert "\n    greenroom improve .\n    greenroom improve ~/src" in door.out
