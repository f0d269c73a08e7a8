"""Bad input to the command line: a clear error with a stable reference, a place, a remedy and the documented code."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_box import Evidence, House, git, patch_of

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


@pytest.mark.parametrize(
    ("case", "words", "code", "rule"),
    [
        ("not a repository", ("improve", "{empty}"), 3, "not-a-repository"),
        ("no such directory", ("improve", "{empty}/none"), 5, "no-such-directory"),
        ("a file, not a directory", ("improve", "{file}"), 5, "no-such-directory"),
        ("no such branch", ("improve", "{calm}", "--branch", "none"), 5, "no-branch"),
        ("no branch name", ("improve", "{calm}", "--branch", "..//@{{"), 2, "bad-branch"),
        ("no such proposer", ("improve", "{calm}", "--only", "nobody"), 2, "unknown-proposer"),
        ("no such mode", ("improve", "{calm}", "--mode", "wild"), 2, "usage"),
        ("no such change", ("show", "zzzzzz"), 5, "no-change-by-that-id"),
        ("no such change to approve", ("approve", "zzzzzz", "--yes"), 5, "no-change-by-that-id"),
        ("no such change to revert", ("revert", "../../etc"), 5, "no-change-by-that-id"),
        ("unknown option", ("list", "--nonsense"), 2, "usage"),
        ("unknown command", ("frobnicate",), 2, "usage"),
        ("missing argument", ("show",), 2, "usage"),
        ("no box", ("--box", "{empty}/none", "list"), 5, "no-box"),
        ("no constitution file", ("constitution", "edit", "{empty}/none.yaml"), 5, "bad-file"),
        ("constitution that is not text", ("constitution", "edit", "{file}"), 2, "bad-file"),
        ("constitution with a mistyped word", ("constitution", "edit", "{typo}"), 2, "bad-constitution"),
        ("no editor", ("constitution", "edit"), 2, "no-editor"),
        ("no checkpoint file", ("log", "check", "--checkpoint", "{empty}/none"), 5, "bad-file"),
        ("checkpoint that is none", ("log", "check", "--checkpoint", "{typo}"), 2, "bad-note"),
        ("no keys", ("log", "check", "{empty}", "--keys", "{empty}"), 5, "log-file-missing"),
    ],
)
def test_e2e_bad_input(
    house: House, evidence: Evidence, calm: Path, case: str, words: tuple[str, ...], code: int, rule: str
) -> None:
    """The input is named as what it is, with the documented exit code, and the box stays as it was."""
    empty = house.home / "empty"
    empty.mkdir(exist_ok=True)
    file = house.home / "bytes"
    file.write_bytes(b"\xff\xfe\x00")
    typo = house.home / "typo.yaml"
    typo.write_text(house.constitution({"protected_paths:": "protectd_paths:"}))
    places = {"empty": empty, "file": file, "typo": typo, "calm": calm}
    policy = house.guard.policy()
    with house.unmoved(calm):
        answer = house.json(*(word.format(**places) for word in words))
    assert answer.code == code, answer
    found = evidence.add(f"input: {case}", answer.said, answer.code)
    assert found == rule
    assert "\ngreenroom: " in "\n" + answer.err or answer.data["verdict"]["is"] == "refused"
    assert house.guard.policy() == policy


def test_e2e_wrong_state(house: House, evidence: Evidence) -> None:
    """Each verb says what state it needs; nothing moves."""
    place = house.repository("states")
    house.take_in(place)
    change = house.good(place)
    with house.unmoved(place):
        promote = house.json("promote", change["id"])
        assert promote.code == 2
        assert evidence.add("promote before approve", promote.said, promote.code) == "wrong-state"
        assert f"greenroom approve {change['id']}" in promote.said["remedy"]
        revert = house.json("revert", change["id"])
        assert (revert.code, revert.said["rule"]) == (2, "wrong-state")
        evidence.add("revert of what is not live", revert.said, revert.code)
        asked = house.json("approve", change["id"])
        assert asked.code == 2
        assert evidence.add("approve without a person", asked.said, asked.code) == "no-terminal"
        assert house.ok("reject", change["id"], "--why", "no")["state"] == "aborted"
        again = house.json("approve", change["id"], "--yes")
        assert again.code == 2
        evidence.add("approve after reject", again.said, again.code)


def test_e2e_mode_can_only_be_lowered(house: House, calm: Path) -> None:
    """`--mode autonomous` on a box in mode propose asks a person all the same."""
    with house.unmoved(calm):
        house.wish(house.proposal(patch_of(calm, {"README.md": "# Calmer\n"}), "README.md"))
        answer = house.ok("improve", str(calm), "--only", "wished", "--mode", "autonomous")
        assert answer["changes"][0]["verdict"]["rule"] == "needs-approval"
        assert house.ok("show", answer["changes"][0]["id"])["change"]["mode"] == "propose"


def test_e2e_empty_and_detached_repositories(house: House, evidence: Evidence) -> None:
    """A repository without a commit, or with no branch checked out, is named as such."""
    bare = house.home / "src" / "nothing"
    bare.mkdir()
    git(bare, "init", "-q", "-b", "main")
    none = house.json("improve", str(bare))
    assert none.code == 5
    evidence.add("repository without a commit", none.said, none.code)
    loose = house.repository("loose")
    git(loose, "checkout", "-q", "--detach")
    detached = house.json("improve", str(loose))
    assert detached.code == 2
    assert evidence.add("no branch checked out", detached.said, detached.code) == "detached-head"
