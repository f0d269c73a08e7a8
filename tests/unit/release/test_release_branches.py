"""A change as a branch of a person's repository: made beside everything, never moved, and followed to its end."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest
from release_bench import AT, Workbench

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.trees import File, manifest_of
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.release.branches import Offer, fate, offer, push, pushable, transport_of
from greenroom.release.trees import StoreTrees

pytestmark = pytest.mark.slow
MENDED = {b"doc/read.md": b"the text\n", b"new/file": b"x\n", b"gone.txt": None}


def offered(bench: Workbench, files: dict[bytes, bytes | None] | None = None, name: str = "k3f9x2") -> Offer:
    """A change of some files on the live tree."""
    base = bench.release.live(bench.subject)
    assert base is not None
    entries = dict(StoreTrees(bench.store).manifest(base).by_path())
    for path, data in (files or MENDED).items():
        entries.pop(path, None)
        if data is not None:
            blob = bench.store.put("blob", data)
            entries[path] = File(path=path, executable=False, size=len(data), blob=blob)
    green: Digest = bench.store.put("tree", manifest_of(entries.values()).encode())
    return Offer(change=name, onto=bench.head(), base=base, green=green, message="Mend\n\nGreenroom-Change: x\n", at=AT)


def made_by(bench: Workbench, wanted: Offer | None = None) -> str:
    made = offer(bench.work, bench.store, wanted or offered(bench))
    assert isinstance(made, str), made
    return made


def at_rest(bench: Workbench) -> tuple[str, ...]:
    index = (bench.work / ".git/index").read_bytes()
    return bench.head(), (bench.work / ".git/HEAD").read_text(), index.hex(), bench.git("status", "--porcelain=v2")


@pytest.mark.parametrize("state", ["clean", "dirty", "detached", "shallow"])
def test_a_branch_is_made_beside_everything(bench: Workbench, state: str, tmp_path: Path) -> None:
    """Worktree, index, HEAD and other branches are as before, whatever state they are in; the commit is Green."""
    if state == "dirty":
        (bench.work / "a.py").write_text("edited\n")
        bench.git("rm", "-q", "--cached", "link")
    if state == "detached":
        bench.git("checkout", "-q", "--detach", "HEAD~1")
    if state == "shallow":
        bench.git("clone", "-q", "--depth", "1", f"file://{bench.work}", str(tmp_path / "shallow"))
        bench = dataclasses.replace(bench, work=tmp_path / "shallow")
    before = at_rest(bench)
    wanted = offered(bench)
    made = made_by(bench, wanted)
    assert at_rest(bench) == before
    assert bench.head("greenroom/k3f9x2") == made
    assert bench.tree_of(made) == wanted.green
    assert bench.git("log", "-1", "--format=%P|%s|%an", made) == f"{wanted.onto}|Mend|Greenroom"
    bench.git("fsck", "--strict")
    assert made_by(bench, wanted) == made
    assert fate(bench.work, wanted.branch, made, wanted.onto, "main") == "open"


def test_a_branch_of_a_bare_repository(bench: Workbench, tmp_path: Path) -> None:
    """It needs no files."""
    bare = tmp_path / "bare.git"
    bench.git("clone", "-q", "--bare", str(bench.work), str(bare))
    made = offer(bare, bench.store, offered(bench))
    assert bench.git("rev-parse", "greenroom/k3f9x2", cwd=bare) == made


def test_a_branch_that_is_there_is_not_moved(bench: Workbench) -> None:
    """One of the person's under the same name, and one named `greenroom`, are in the way; both stay."""
    bench.git("branch", "greenroom/k3f9x2", "HEAD~1")
    held = offer(bench.work, bench.store, offered(bench))
    assert isinstance(held, Held)
    assert (held.rule, bench.head("greenroom/k3f9x2")) == ("branch-exists", bench.git("rev-parse", "HEAD~1"))
    bench.git("branch", "-m", "greenroom/k3f9x2", "mine")
    bench.git("branch", "greenroom")
    held = offer(bench.work, bench.store, offered(bench))
    assert isinstance(held, Held)
    assert held.rule == "branch-name-taken"


def test_a_branch_needs_its_base(bench: Workbench) -> None:
    """A commit that is gone, and one with other files than were taken in, are told; no branch is made."""
    wanted = offered(bench)
    with pytest.raises(NotFound):
        offer(bench.work, bench.store, dataclasses.replace(wanted, onto="1" * 40))
    other = bench.commit({"more.txt": "more\n"})
    with pytest.raises(Unusable) as caught:
        offer(bench.work, bench.store, dataclasses.replace(wanted, onto=other))
    assert (caught.value.reference, "more.txt" in caught.value.where) == ("base-differs", True)
    assert "greenroom" not in bench.git("branch", "--list")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("merge", "merged"),
        ("fast-forward", "merged"),
        ("squash", "squashed"),
        ("rebase", "squashed"),
        ("squash and edit", "squashed"),
        ("delete", "closed"),
        ("merge and delete", "merged"),
        ("squash and delete", "squashed"),
        ("other commits", "open"),
    ],
)
def test_what_became_of_a_branch_is_seen(bench: Workbench, how: str, expected: str) -> None:
    """Merged, squashed, rebased, closed or still open, also after more commits on top."""
    wanted = offered(bench)
    made = made_by(bench, wanted)
    bench.commit({"own.txt": "own\n"})
    if how == "fast-forward":
        bench.git("reset", "-q", "--hard", made)
    if how.startswith("merge"):
        bench.git("merge", "-q", "--no-ff", "-m", "merge", "greenroom/k3f9x2")
    if how.startswith("squash"):
        bench.git("merge", "-q", "--squash", "greenroom/k3f9x2")
        bench.git("commit", "-q", "-m", "squashed")
    if how == "rebase":
        bench.git("cherry-pick", "greenroom/k3f9x2")
        bench.commit({"doc/read.md": "the text, again\n"})
    if how == "squash and edit":
        bench.commit({"new/file": "y\n"})
    if how.endswith("delete"):
        bench.git("branch", "-D", "greenroom/k3f9x2")
        bench.git("reflog", "expire", "--expire=now", "--all")
    bench.commit({"last.txt": "last\n"})
    assert fate(bench.work, wanted.branch, made, wanted.onto, "main") == expected


def remote_of(bench: Workbench, tmp_path: Path) -> Path:
    place = tmp_path / "remote.git"
    bench.git("init", "-q", "--bare", str(place))
    return place


def test_a_push_goes_where_it_is_told_and_runs_nothing(bench: Workbench, tmp_path: Path) -> None:
    """The branch arrives; hooks and programs that the repository's configuration names do not run; twice is once."""
    place, mark = remote_of(bench, tmp_path), tmp_path / "mark"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho ran >> '{mark}'\nexit 1\n")
    trap.chmod(0o755)
    hook = bench.work / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes(trap.read_bytes())
    hook.chmod(0o755)
    for name in ("core.sshCommand", "credential.helper", "core.askPass", "core.fsmonitor"):
        bench.git("config", name, str(trap))
    bench.git("config", f"url.{tmp_path}/elsewhere.insteadOf", str(place))
    made = made_by(bench)
    for _ in range(2):
        assert push(bench.work, "greenroom/k3f9x2", made, str(place), ask=False) == Passed()
    assert bench.git("rev-parse", "greenroom/k3f9x2", cwd=place) == made
    assert not mark.exists()


def test_a_push_is_never_forced(bench: Workbench, tmp_path: Path) -> None:
    """Another commit under the same name at the remote stays; what git says is told."""
    place = remote_of(bench, tmp_path)
    other = bench.commit({"other.txt": "other\n"})
    bench.git("push", "-q", str(place), f"{other}:refs/heads/greenroom/k3f9x2")
    bench.git("reset", "-q", "--hard", "HEAD~1")
    held = push(bench.work, "greenroom/k3f9x2", made_by(bench), str(place), ask=False)
    assert isinstance(held, Held)
    assert (held.rule, "rejected" in held.where) == ("push-refused", True)
    assert bench.git("rev-parse", "greenroom/k3f9x2", cwd=place) == other


@pytest.mark.parametrize("address", ["ext::sh -c true", "http://h/r", "git://h/r", "/tmp/r", "file:///tmp/r", "fd::0"])
def test_a_push_to_what_the_repository_names_is_encrypted_and_runs_nothing_here(bench: Workbench, address: str) -> None:
    """Only https and ssh: other transports run programs or send passwords in the clear."""
    bench.git("config", "remote.origin.url", address)
    refused = push(bench.work, "greenroom/x", made_by(bench), "origin", ask=False)
    assert isinstance(refused, Refused)
    assert refused.rule == "push-transport"
    assert pushable(bench.work, "origin") == refused
    assert ("type its path" in refused.remedy) is address.endswith("/tmp/r")
    assert isinstance(pushable(bench.work, "https://h/r"), Passed)
    with pytest.raises(NotFound) as caught:
        push(bench.work, "greenroom/x", bench.head(), "upstream", ask=False)
    assert caught.value.reference == "no-remote"


@pytest.mark.parametrize(
    ("address", "transport"),
    [
        ("https://h/r.git", "https"),
        ("HTTPS://h/r.git", "https"),
        ("git@h:r.git", "ssh"),
        ("ssh://h/r", "ssh"),
        ("h:r", "ssh"),
        ("./a:b", "file"),
        ("../r.git", "file"),
        ("ext::sh -c x", "ext"),
        ("a+b://h", ""),
    ],
)
def test_the_transport_of_an_address(address: str, transport: str) -> None:
    """As git reads it."""
    assert transport_of(address) == transport


def test_a_push_takes_the_person_s_own_configuration(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address of the person's own configuration is followed: credentials and rewrites live there."""
    place = remote_of(bench, tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    text = f'[url "{place}"]\n\tinsteadOf = https://example.org/r.git\n'
    (home / ".gitconfig").write_text(text)
    monkeypatch.setenv("HOME", str(home))
    bench.git("config", "remote.origin.url", "https://example.org/r.git")
    made = made_by(bench)
    assert push(bench.work, "greenroom/k3f9x2", made, "origin", ask=False) == Passed()
    listed = subprocess.run(
        ["git", "for-each-ref", "--format=%(objectname)"], cwd=place, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip
    assert listed.stdout.strip() == made
