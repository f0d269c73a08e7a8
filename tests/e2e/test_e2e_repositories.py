"""Hostile and awkward repositories: nothing of theirs runs or leaves the tree; nothing of the person's is lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from e2e_box import CALM, Answer, Evidence, House, commit, git, patch_of

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit",
    "post-index-change", "post-merge", "post-receive", "post-rewrite", "post-update", "pre-applypatch",
    "pre-auto-gc", "pre-commit", "pre-merge-commit", "pre-push", "pre-rebase", "pre-receive", "prepare-commit-msg",
    "proc-receive", "push-to-checkout", "reference-transaction", "sendemail-validate", "update",
)  # fmt: skip
SETTINGS = {
    "core.fsmonitor": "{trap}",
    "core.pager": "{trap}",
    "core.editor": "{trap}",
    "core.askPass": "{trap}",
    "core.sshCommand": "{trap}",
    "core.gitProxy": "{trap}",
    "core.alternateRefsCommand": "{trap}",
    "core.hooksPath": "{hooks}",
    "core.attributesFile": "{attributes}",
    "diff.external": "{trap}",
    "diff.evil.textconv": "{trap}",
    "diff.evil.command": "{trap}",
    "merge.evil.driver": "{trap}",
    "filter.evil.clean": "{trap}",
    "filter.evil.smudge": "{trap}",
    "filter.evil.process": "{trap}",
    "filter.evil.required": "true",
    "gpg.program": "{trap}",
    "commit.gpgSign": "true",
    "credential.helper": "{trap}",
    "uploadpack.packObjectsHook": "{trap}",
    "gc.recentObjectsHook": "{trap}",
    "protocol.ext.allow": "always",
    "remote.origin.url": "ext::{trap}",
    "include.path": "{included}",
}


@pytest.fixture
def trapped(house: House) -> tuple[Path, Path]:
    """A repository all of whose settings, hooks and filters leave a mark when they run; and the mark."""
    place = house.repository("trapped", dict(CALM) | {".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    mark = house.home / f"{place.name}-mark"
    trap = place / ".git" / "trap"
    trap.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{mark}'\ncat\n")
    trap.chmod(0o755)
    hooks = place / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    included = place / ".git" / "included"
    included.write_text(f'[alias]\n\tapply = "!{trap}"\n[core]\n\tfsmonitor = "{trap}"\n')
    (place / ".git" / "info").mkdir(exist_ok=True)
    (place / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    words = {"trap": trap, "hooks": hooks, "included": included, "attributes": place / ".git" / "info" / "attributes"}
    for name, value in SETTINGS.items():
        git(place, "config", name, value.format(**words))
    return place, mark


def test_e2e_hostile_configuration(house: House, evidence: Evidence, trapped: tuple[Path, Path]) -> None:
    """Import, delivery and revert of a repository full of traps run none of them; plain git would."""
    place, mark = trapped
    git(place, "status", check=False)
    assert mark.exists(), "the traps must work, or this test shows nothing"
    mark.unlink()
    start = house.take_in(place)
    assert not mark.exists()
    change = house.good(place)
    done = house.ok("approve", change["id"], "--yes")
    assert done["delivered"]["is"] == "passed"
    assert "small and calm" in (place / "README.md").read_text()
    assert house.ok("revert", change["id"])["delivered"]["is"] == "passed"
    assert house.live(place) == start
    assert (place / "README.md").read_text() == CALM["README.md"]
    assert not mark.exists(), mark.read_text()
    house.log_is_whole()
    case = "hostile configuration, hooks and filters"
    evidence.note(case, [f"{len(SETTINGS)} settings and {len(HOOKS)} hooks, none of which ran, and the change arrived"])


def test_e2e_submodule(house: House, evidence: Evidence) -> None:
    """A repository with a submodule is refused by name of the submodule; nothing is fetched."""
    place = house.repository("submodule")
    git(place, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub/module")
    git(place, "commit", "-q", "-m", "submodule")
    answer = house.json("improve", str(place), "--only", "wished")
    assert answer.code == 3
    assert evidence.add("submodule in the tree", answer.said, answer.code) == "submodule-in-tree"
    assert "sub/module" in answer.said["where"]
    house.log_is_whole()


@pytest.mark.parametrize(("name", "target"), [("up.md", "../../../../etc/passwd"), ("away", "/etc")])
def test_e2e_links_that_leave_the_tree(house: House, evidence: Evidence, name: str, target: str) -> None:
    """A repository with a link out of the tree is refused by name of the link; nothing is read there."""
    place = house.repository("links")
    os.symlink(target, place / name)
    commit(place, "links")
    answer = house.json("improve", str(place), "--only", "wished")
    assert answer.code == 3
    assert evidence.add(f"a link that leaves the tree, to {target}", answer.said, answer.code) == "link-leaves-tree"
    assert name in answer.said["where"]
    assert f"workspace:{place}#main" not in house.guard.status().live


def test_e2e_patch_through_a_link(house: House, evidence: Evidence) -> None:
    """A link inside the tree is taken in as a link, and no patch goes through it."""
    place = house.repository("inner")
    os.symlink("tests", place / "alias")
    commit(place, "links")
    house.take_in(place)
    patch = patch_of(place, {"tests/test_calm.py": "import calm\n"}).replace(b"tests/", b"alias/")
    with house.unmoved(place):
        change = house.propose(place, patch, "alias/test_calm.py")
        assert change["state"] == "aborted"
        assert evidence.add("a patch through a link", change["verdict"], 3) == "patch-does-not-apply"


def test_e2e_git_directory_is_a_link(house: House, evidence: Evidence) -> None:
    """A repository whose .git is a link to somewhere else is refused."""
    real = house.repository("real")
    place = house.home / "src" / "linked"
    place.mkdir()
    os.symlink(real / ".git", place / ".git")
    answer = house.json("improve", str(place))
    assert answer.code == 2
    evidence.add("a .git that is a link", answer.said, answer.code)


def test_e2e_objects_elsewhere(house: House, evidence: Evidence) -> None:
    """A repository that borrows objects from elsewhere on the machine is refused; nothing is read there."""
    real = house.repository("lender")
    place = house.home / "src" / "borrower"
    git(house.home, "clone", "-q", "--shared", str(real), str(place))
    answer = house.json("improve", str(place), "--only", "wished")
    assert answer.code in (2, 3), answer
    evidence.add("a repository that borrows objects", answer.said, answer.code)


@pytest.mark.parametrize("name", ["red\x1b[31m.md", "title\x1b]0;owned\x07.md", "line\nbreak.md", "tab\t.md"])
def test_e2e_names_with_control_characters(house: House, evidence: Evidence, name: str) -> None:
    """A repository with a name that would drive a terminal is refused, and the name is shown spelled out."""
    place = house.repository("names", dict(CALM) | {name: "# Plain\n"})
    answer = house.json("improve", str(place), "--only", "wished")
    assert answer.code == 3
    evidence.add("a name with control characters", answer.said, answer.code)
    assert answer.said["rule"] == "name-control-characters"
    shown = house.run("improve", str(place), "--only", "wished")
    assert "name-control-characters" in shown.out
    _harmless(shown)


def test_e2e_names_that_reorder_what_is_seen(house: House) -> None:
    """Names with characters that turn or hide text are spelled out wherever they are shown, and can be worked on."""
    name = "gnp\u202etxt\u200b\u00e9.md"
    place = house.repository("names", dict(CALM) | {name: "# Plain\n\nWe recieve it.\n"})
    start = house.take_in(place)
    change = house.edit(place, {name: "# Plain\n\nWe receive it.\n"})["id"]
    shown = [house.run("improve", str(place), "--only", "codespell", "--only", "ruff")]
    shown += [house.run(*words) for words in (("list",), ("status",), ("log",), ("show", change), ("diff", change))]
    shown += [house.run("approve", change, "--yes")]
    for answer in shown:
        assert answer.code == 0, answer
        _harmless(answer)
    assert any("\\u{202e}" in answer.out for answer in shown)
    assert "receive" in (place / name).read_text()
    assert house.run("revert", change).code == 0
    assert house.live(place) == start
    house.log_is_whole()


def _harmless(answer: Answer) -> None:
    for char in ("\x1b", "\x07", "\u202e", "\u200b", "\t"):
        assert char not in answer.out + answer.err, ascii(answer.out + answer.err)


@pytest.mark.parametrize("kind", ["bare", "shallow"])
def test_e2e_clones_without_a_worktree_or_without_history(house: House, kind: str) -> None:
    """A bare repository and a shallow clone are subjects like any other: what is promoted arrives on their branch."""
    source = house.repository("source", dict(CALM) | {"README.md": "# Calm\n\nYou will recieve it.\n"})
    git(source, "commit", "-q", "--allow-empty", "-m", "second")
    place = house.home / "src" / f"{source.name}-{kind}"
    how = ("--bare", str(source)) if kind == "bare" else ("--depth", "1", f"file://{source}")
    git(house.home, "clone", "-q", *how, str(place))
    (change,) = house.ok("improve", str(place), "--only", "codespell")["changes"]
    done = house.ok("approve", change["id"], "--yes")
    assert (done["state"], done["delivered"]["is"]) == ("kept", "passed")
    assert git(place, "show", "main:README.md") == "# Calm\n\nYou will receive it."
    assert git(place, "rev-parse", "main") == done["commit"]
    assert kind == "bare" or git(place, "status", "--porcelain") == ""
    house.log_is_whole()


def test_e2e_dirty_worktree(house: House, evidence: Evidence) -> None:
    """A change of the person's that is not committed holds the approval before anybody is asked."""
    place = house.repository("dirty")
    house.take_in(place)
    change = house.good(place)
    (place / "calm.py").write_text(CALM["calm.py"] + "# mine\n")
    with house.unmoved(place):
        answer = house.json("approve", change["id"])  # without --yes: nobody may be asked
        assert answer.code == 4
        assert evidence.add("dirty worktree", answer.said, answer.code) == "worktree-dirty"
        assert "calm.py" in answer.said["where"]
    git(place, "checkout", "-q", "calm.py")
    house.ok("approve", change["id"], "--yes", "--no-promote")
    (place / "calm.py").write_text(CALM["calm.py"] + "# mine\n")
    with house.unmoved(place):
        answer = house.json("promote", change["id"])
        assert answer.code == 4
        assert evidence.add("dirty worktree, before the swap", answer.said, answer.code) == "worktree-dirty"
    git(place, "checkout", "-q", "calm.py")
    assert house.ok("promote", change["id"])["state"] == "kept"


def test_e2e_untracked_file_in_the_way(house: House, evidence: Evidence) -> None:
    """A file of the person's that lies where a change brings one holds the approval before anybody is asked."""
    place = house.repository("untracked")
    house.take_in(place)
    change = house.edit(place, {"notes.md": "# Notes\n"})
    (place / "notes.md").write_text("mine\n")
    with house.unmoved(place):
        answer = house.json("approve", change["id"])  # without --yes: nobody may be asked
        assert answer.code == 4
        assert evidence.add("an untracked file in the way", answer.said, answer.code) == "worktree-dirty"
        assert answer.said["where"] == "notes.md"
    late = house.json("approve", change["id"], "--yes", before=BLIND)
    assert late.code == 4
    assert late.data["verdict"] == {"is": "passed"}
    assert evidence.add("a file that comes into the way after the swap", late.data["delivered"], 4) == "worktree-dirty"
    assert (place / "notes.md").read_text() == "mine\n"
    waits = house.ok("status")["pending"]
    assert [item["subject"] for item in waits if item["repository"] == str(place)] == [f"workspace:{place}#main"]
    assert house.json("resume").code == 4
    (place / "notes.md").unlink()
    house.ok("resume")
    assert (place / "notes.md").read_text() == "# Notes\n"
    assert git(place, "status", "--porcelain") == ""
    house.log_is_whole()


BLIND = """
from greenroom.bootstrap.local import LocalServices
LOOK = LocalServices.repository
LocalServices.repository = lambda self, path, branch, trees=None: LOOK(self, path, branch)
"""
"""The command as it is when the file comes after it looked."""


def test_e2e_branch_moved(house: House, evidence: Evidence) -> None:
    """The person's own commit holds the approval; improve takes it in, and the old change goes on above it."""
    place = house.repository("moved")
    house.take_in(place)
    change = house.good(place)
    (place / "more.md").write_text("# More\n")
    head = commit(place, "mine")
    with house.unmoved(place):
        answer = house.json("approve", change["id"], "--yes")
        assert answer.code == 4
        assert evidence.add("branch moved", answer.said, answer.code) == "branch-moved"
    house.take_in(place)
    assert git(place, "rev-parse", "HEAD") == head
    held = next(row for row in house.ok("list")["changes"] if row["id"] == change["id"])["held"]
    assert evidence.add("base moved", held, 0) == "base-moved"
    with house.unmoved(place):
        again = house.json("approve", change["id"])
        assert again.said["rule"] == "no-terminal"
    (waiting,) = (row for row in house.ok("list")["changes"] if row["parent"] == change["id"])
    assert waiting["held"]["rule"] == "needs-approval"
    moved = house.ok("approve", waiting["id"], "--yes")
    assert moved["state"] == "kept"
    assert git(place, "rev-parse", "HEAD~") == head


def test_e2e_special_files(house: House) -> None:
    """Pipes and devices in the worktree neither block nor get read."""
    place = house.repository("special")
    os.mkfifo(place / "pipe.py")
    assert stat.S_ISFIFO((place / "pipe.py").lstat().st_mode)
    house.take_in(place)
    found = house.ok("improve", str(place), "--only", "ruff", "--only", "codespell")
    assert found["changes"] == []
