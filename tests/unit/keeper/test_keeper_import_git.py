from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeper_repository import entry, git, make, put_commit, put_object

import greenroom.tools
from greenroom.keeper import gitdir
from greenroom.tools import import_git_t1

pytestmark = pytest.mark.slow

BODY = Path(greenroom.tools.__path__[0]) / "import_git_t1.py"


def copied(repository: Path, into: Path) -> Path:
    """The raw copy that the keeper makes."""
    fd = os.open(repository / ".git", os.O_RDONLY | os.O_DIRECTORY)
    try:
        gitdir.copy(fd, into)
    finally:
        os.close(fd)
    return into


def run(repository: Path, branch: str | None = None) -> tuple[dict[str, Any], Path]:
    """Copy the repository and run the body on it, without walls."""
    base = repository.parent
    out = base / "out"
    out.mkdir()
    request = {
        "args": {} if branch is None else {"branch": branch},
        "mounts": {"git": str(copied(repository, base / "copy"))},
        "out": str(out),
    }
    argv = ["/usr/bin/python3", "-I", "-B", str(BODY)]
    subprocess.run(argv, input=json.dumps(request).encode(), check=True, env={"PATH": "/usr/bin:/bin"})
    return json.loads((out / "result.json").read_bytes()), out


def rule_of(repository: Path, branch: str | None = None) -> str:
    """The rule of the refusal."""
    return str(run(repository, branch)[0]["refused"]["rule"])


def test_a_branch_becomes_its_tree_and_its_commit_s_bytes(tmp_path: Path) -> None:
    """Contents, executable bits and links are those of the commit, and the commit is byte for byte git's."""
    repository = make(tmp_path / "r", {"a.txt": b"one\r\n", "d/e/run.sh": b"#!/bin/sh\n"})
    (repository / "d" / "e" / "run.sh").chmod(0o755)
    (repository / "link").symlink_to("d/e/run.sh")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "second")
    result, out = run(repository)
    assert result == {
        "branch": "main",
        "commit": git(repository, "rev-parse", "HEAD").decode(),
        "tree": git(repository, "rev-parse", "HEAD^{tree}").decode(),
        "files": 3,
    }
    assert (out / "tree" / "a.txt").read_bytes() == b"one\r\n"
    assert os.access(out / "tree" / "d" / "e" / "run.sh", os.X_OK)
    assert os.readlink(out / "tree" / "link") == "d/e/run.sh"
    assert (out / "artifacts" / "commit").read_bytes().strip() == git(repository, "cat-file", "commit", "HEAD")


def test_packed_objects_and_refs_are_read_as_well(tmp_path: Path) -> None:
    """After `git gc` nothing is loose, and the import is the same."""
    repository = make(tmp_path / "r", {"a.txt": b"one"})
    git(repository, "gc", "-q")
    assert not (repository / ".git" / "refs" / "heads" / "main").exists()
    result, out = run(repository, "main")
    assert result["branch"] == "main"
    assert (out / "tree" / "a.txt").read_bytes() == b"one"


def test_the_repository_s_config_hooks_attributes_and_filters_never_run(tmp_path: Path) -> None:
    """Hostile settings leave no trace, and what they would change is imported unchanged."""
    repository = make(tmp_path / "r", {".gitattributes": b"* filter=evil text eol=crlf\n", "a.txt": b"a\n"})
    trap = tmp_path / "trap"
    config = f"""
[core]
\tfsmonitor = touch {trap}
\tsshCommand = touch {trap}
\thooksPath = {tmp_path}
\tworktree = /etc
[filter "evil"]
\tsmudge = touch {trap}
\tclean = touch {trap}
\trequired = true
[alias]
\trev-parse = !touch {trap}
[include]
\tpath = {tmp_path}/more
"""
    with (repository / ".git" / "config").open("a") as file:
        file.write(config)
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    _, out = run(repository)
    assert (out / "tree" / "a.txt").read_bytes() == b"a\n"
    assert not trap.exists()
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["HEAD", "objects", "refs"]


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        (b"160000", b"sub", "submodule-in-tree"),
        (b"100644", b"..", "bad-path"),
        (b"100644", b".GIT", "bad-path"),
        (b"100644", b"a/b", "bad-path"),
        (b"100644", b"a\x1b[2J", "name-control-characters"),
        (b"100000", b"a", "malformed-tree"),
        (b"040000", b"a", "malformed-tree"),
    ],
)
def test_trees_with_submodules_bad_names_or_bad_modes_are_refused(
    tmp_path: Path, mode: bytes, name: bytes, expected: str
) -> None:
    """What git's own checks would let through or only warn of is refused by name and place."""
    repository = make(tmp_path / "r", {"x": b"1"})
    blob = put_object(repository, b"blob", b"content")
    put_commit(repository, put_object(repository, b"tree", entry(mode, name, blob)))
    assert rule_of(repository) == expected


def test_a_tree_with_one_name_twice_or_out_of_order_is_refused(tmp_path: Path) -> None:
    """A link and a directory of one name could lead a write out of the tree."""
    repository = make(tmp_path / "r", {"x": b"1"})
    blob = put_object(repository, b"blob", b"/etc")
    inner = put_object(repository, b"tree", entry(b"100644", b"passwd", blob))
    twice = entry(b"120000", b"a", blob) + entry(b"100644", b"a.b", blob) + entry(b"40000", b"a", inner)
    put_commit(repository, put_object(repository, b"tree", twice))
    assert rule_of(repository) == "malformed-tree"


def test_an_object_whose_bytes_are_not_its_name_s_is_refused(tmp_path: Path) -> None:
    """Content is what its hash says, all the way from the commit down."""
    repository = make(tmp_path / "r", {"a.txt": b"honest"})
    blob = git(repository, "rev-parse", "HEAD:a.txt").decode()
    put_object(repository, b"blob", b"forged", name=blob)
    assert rule_of(repository) == "damaged-object"


def test_branches_that_cannot_be_had_are_refused_by_their_reason(tmp_path: Path) -> None:
    """Detached, unknown, unborn and malformed are four things."""
    repository = make(tmp_path / "a" / "r", {"a": b"1"})
    assert rule_of(repository, "other") == "branch-unknown"
    hostile = make(tmp_path / "b" / "r", {"a": b"1"})
    assert rule_of(hostile, "--upload-pack=x") == "bad-branch"
    detached = make(tmp_path / "c" / "r", {"a": b"1"})
    git(detached, "checkout", "-q", "--detach")
    assert rule_of(detached) == "detached-head"
    unborn = tmp_path / "d" / "r"
    unborn.mkdir(parents=True)
    git(unborn, "init", "-q", "-b", "main")
    assert rule_of(unborn) == "no-commits"


@given(st.binary(max_size=200))
def test_the_tree_parser_refuses_or_gives_entries_that_spell_the_same_bytes(data: bytes) -> None:
    """No bytes crash it, and what it accepts is exactly what git would have written."""
    try:
        entries = list(import_git_t1.parse_tree(data, b""))
    except import_git_t1._body.Refusal as refusal:
        assert refusal.rule in ("malformed-tree", "bad-path", "submodule-in-tree", "name-control-characters")
        return
    assert b"".join(entry(e.mode, e.path, e.oid.decode()) for e in entries) == data
