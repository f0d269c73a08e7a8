from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from keeper_house import SUBJECT, House, Sight, rule
from keeper_repository import git, make

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.verdict import Refused
from greenroom.testing.keeper import files_of


def bring(house: House, directory: Path, branch: str | None = None) -> Digest | Refused:
    """Show the keeper `directory`, and have it read."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return house.keeper.bring(SUBJECT, house.keeper.present(str(directory), branch or "", fd), branch)
    finally:
        os.close(fd)


def importer(house: House) -> None:
    """A tool that plays the importer."""

    def tool(sight: Sight) -> None:
        tree = sight.path("/out") / "tree"
        tree.mkdir()
        (tree / "a").write_bytes((sight.path("/mnt/git") / "HEAD").read_bytes())
        sight.artifact("commit", b"tree 1\n\nfirst\n")
        sight.result(
            {"branch": sight.request["args"].get("branch", "main"), "commit": "c" * 40, "tree": "d" * 40, "files": 1}
        )

    house.tool("import_git_t1", args={"branch": rule(required=False)})
    house.walls.tool = tool


def test_a_repository_becomes_a_signed_import_of_the_owner_s_trust(house: House, tmp_path: Path) -> None:
    """The cell gets the raw copy read-only; the import names branch, commit, its bytes and the sealed tree."""
    importer(house)
    repository = make(tmp_path / "r", {"a": b"1"})
    record = house.opened(Import, bring(house, repository, "topic"), Predicate.IMPORT)
    assert (record.subject, record.branch, record.commit, record.trust) == (SUBJECT, "topic", "c" * 40, 2)
    assert house.store.get(record.commit_bytes) == b"tree 1\n\nfirst\n"
    assert files_of(house.store, record.tree) == {b"a": b"ref: refs/heads/main\n"}
    assert record.source == str(repository)
    cell = house.walls.cells[0]
    assert [m.writable for m in cell.mounts if m.target == "/mnt/git"] == [False]


def test_an_import_waits_for_a_key_that_can_sign(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard's trouble says nothing about the repository."""

    def unready() -> None:
        raise Unusable("log-unwritable", "the disk is full")

    importer(house)
    monkeypatch.setattr(house.attestor, "ready", unready)
    with pytest.raises(Unreachable, match="log-unwritable"):
        bring(house, make(tmp_path / "r", {"a": b"1"}))
    assert house.walls.cells == []


def test_a_bare_repository_is_brought_too(house: House, tmp_path: Path) -> None:
    """The directory may be the git directory itself."""
    importer(house)
    repository = make(tmp_path / "r", {"a": b"1"})
    assert isinstance(bring(house, repository / ".git"), str)


def test_an_unpacked_release_is_sealed_without_running_anything(house: House, tmp_path: Path) -> None:
    """No commit, no branch, no trust, and no cell."""
    release = tmp_path / "pkg-1.0"
    release.mkdir()
    (release / "pyproject.toml").write_bytes(b"[project]\n")
    (release / "a.py").write_bytes(b"x\n")
    house.tool("import_git_t1")
    record = house.opened(Import, bring(house, release), Predicate.IMPORT)
    assert (record.commit, record.branch, record.trust) == ("", "", 0)
    assert files_of(house.store, record.tree) == {b"pyproject.toml": b"[project]\n", b"a.py": b"x\n"}
    assert house.walls.cells == []
    refused = bring(house, release, "main")
    assert isinstance(refused, Refused)
    assert refused.rule == "no-branch"


def _alternates(repository: Path) -> None:
    (repository / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "objects" / "info" / "alternates").write_text("/somewhere/else\n")


def _promisor(repository: Path) -> None:
    (repository / ".git" / "objects" / "pack" / ("pack-" + "0" * 40 + ".promisor")).write_bytes(b"")


def _partial(repository: Path) -> None:
    git(repository, "config", "remote.origin.promisor", "true")


def _reftable(repository: Path) -> None:
    (repository / ".git" / "reftable").mkdir()


def _sha256(repository: Path) -> None:
    with (repository / ".git" / "config").open("a") as file:
        file.write("[extensions]\n\tobjectFormat = sha256\n")


def _worktree(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    (repository / ".git").write_text("gitdir: /root/secret/.git\n")


def _linked(repository: Path) -> None:
    (repository / ".git").rename(repository.parent / "elsewhere")
    (repository / ".git").symlink_to(repository.parent / "elsewhere")


def _linked_head(repository: Path) -> None:
    (repository / ".git" / "HEAD").unlink()
    (repository / ".git" / "HEAD").symlink_to("/etc/passwd")


def _linked_objects(repository: Path) -> None:
    (repository / ".git" / "objects").rename(repository.parent / "objects")
    (repository / ".git" / "objects").symlink_to(repository.parent / "objects")


def _nothing(repository: Path) -> None:
    shutil.rmtree(repository / ".git")


def _common(repository: Path) -> None:
    (repository / ".git" / "commondir").write_text("/root/secret/.git\n")


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "alternates": (_alternates, "linked-storage"),
    "commondir": (_common, "linked-storage"),
    "promisor pack": (_promisor, "partial-clone"),
    "partial clone": (_partial, "partial-clone"),
    "reftable": (_reftable, "reftable"),
    "sha256": (_sha256, "sha256-repository"),
    "linked worktree": (_worktree, "linked-worktree"),
    "link to git": (_linked, "git-directory-is-link"),
    "link for HEAD": (_linked_head, "unreadable"),
    "link for objects": (_linked_objects, "not-a-repository"),
    "no repository": (_nothing, "not-a-repository"),
}


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_storage_that_reaches_elsewhere_or_is_not_supported_is_refused(house: House, tmp_path: Path, case: str) -> None:
    """Each has its rule and a remedy, and no cell starts."""
    importer(house)
    repository = make(tmp_path / "r", {"a": b"1"})
    spoil, expected = HOSTILE[case]
    spoil(repository)
    refused = bring(house, repository)
    assert isinstance(refused, Refused)
    assert refused.rule == expected
    assert refused.remedy
    assert house.walls.cells == []


def test_a_release_with_a_link_out_of_it_or_a_nested_repository_is_refused(house: House, tmp_path: Path) -> None:
    """A release obeys the same rules as any tree."""
    house.tool("import_git_t1")
    for name, expected in (("link", "link-leaves-tree"), ("nested", "git-directory-in-tree")):
        release = tmp_path / name
        release.mkdir()
        (release / "setup.py").write_bytes(b"")
        if name == "link":
            (release / "l").symlink_to("/etc/passwd")
        else:
            (release / "sub" / ".git").mkdir(parents=True)
        refused = bring(house, release)
        assert isinstance(refused, Refused)
        assert refused.rule == expected


def test_what_the_importer_refuses_is_the_refusal_and_nothing_is_imported(house: House, tmp_path: Path) -> None:
    """A submodule, for one, reaches the person with its place."""
    house.tool("import_git_t1", args={"branch": rule(required=False)})
    said = {"rule": "submodule-in-tree", "where": "vendor/x", "remedy": "remove it"}
    house.walls.tool = lambda sight: sight.result({"refused": said})
    assert bring(house, make(tmp_path / "r", {"a": b"1"})) == Refused(**said)


def test_nothing_is_brought_while_stopped(house: House, tmp_path: Path) -> None:
    """Also a release is not read."""
    house.tool("import_git_t1")
    house.stop[0] = True
    refused = bring(house, tmp_path)
    assert isinstance(refused, Refused)
    assert refused.rule == "stopped"
