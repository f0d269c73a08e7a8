"""A person's git repository seen without its configuration: found, checked, and opened through a git dir of ours."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain.errors import NotFound, Unusable
from greenroom.release.git import GitFailed, commit_id, git

MAX_SMALL_FILE = 64 * 1024
MAX_CONFIG = 1024 * 1024
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
_HEADS = "refs/heads/"
_REFUSED_SETTINGS: Mapping[str, tuple[str, str]] = {
    "extensions.objectformat": ("sha256-repository", "its objects are named by SHA-256"),
    "extensions.refstorage": ("reftable-repository", "its refs are kept in another format"),
    "extensions.partialclone": ("partial-clone", "parts of its history are not on this machine"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where a repository's parts lie. `git_dir` has HEAD and index, `common` objects and refs; bare: no `worktree`."""

    worktree: Path | None
    git_dir: Path
    common: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A repository and the private git dir through which git sees it."""

    repository: Repository
    private: Path

    def git(self, *words: str, data: bytes = b"", index: Path | None = None) -> bytes:
        """Run git on the person's objects, refs, index and files, with our configuration only."""
        return git(self.private, *words, data=data, extra=self.environment(index), cwd=self.cwd)

    @property
    def cwd(self) -> Path:
        """Where git is started."""
        return self.repository.worktree or self.private

    def environment(self, index: Path | None = None) -> Mapping[str, str]:
        """What git must be told besides the private git dir."""
        told = {
            "GIT_OBJECT_DIRECTORY": os.fspath(self.repository.common / "objects"),
            "GIT_INDEX_FILE": os.fspath(index or self.repository.git_dir / "index"),
            "GIT_COMMITTER_NAME": "Greenroom",
            "GIT_COMMITTER_EMAIL": "greenroom@localhost",
        }
        if self.repository.worktree is not None:
            told["GIT_WORK_TREE"] = os.fspath(self.repository.worktree)
        return told

    def current(self) -> str | None:
        """The branch that is checked out here; None when HEAD is detached."""
        return branch_in(self.repository.git_dir / "HEAD")

    def head_of(self, branch: str) -> str:
        """The commit at the end of `branch`; NotFound `no-branch`, Unusable `bad-branch` or `symbolic-branch`."""
        ref = f"{_HEADS}{branch}"
        try:
            git(self.private, "check-ref-format", ref)
        except GitFailed:
            where, remedy = ascii(branch[:200]), "name a branch as `git branch` shows it"
            raise Unusable("bad-branch", "this is not a branch name", where=where, remedy=remedy) from None
        loose = self.repository.common / ref
        if loose.is_symlink() or (loose.is_file() and read_small(loose).startswith("ref:")):
            remedy = "name the branch that it stands for"
            raise Unusable("symbolic-branch", "the branch is another name for a branch", where=branch, remedy=remedy)
        try:
            return commit_id(self.git("show-ref", "--verify", "--hash", ref).decode("ascii").strip())
        except GitFailed:
            message = "the repository has no such branch with a commit"
            remedy = "name one that `git branch` shows, or make a first commit"
            raise NotFound("no-branch", message, where=branch, remedy=remedy) from None


@contextmanager
def opened(directory: Path) -> Iterator[Opened]:
    """The repository at `directory`, seen through a private git dir that is removed afterwards."""
    repository = find(Path(directory))
    with tempfile.TemporaryDirectory(prefix="greenroom-git-") as scratch:
        private = Path(scratch)
        (private / "config").write_text(_CONFIG)
        (private / "HEAD").write_text(read_small(repository.git_dir / "HEAD"))
        (private / "refs").symlink_to(repository.common / "refs")
        for name in ("packed-refs", "logs"):
            if (repository.common / name).exists() and repository.git_dir == repository.common:
                (private / name).symlink_to(repository.common / name)
        if repository.git_dir != repository.common and (repository.common / "packed-refs").exists():
            (private / "packed-refs").symlink_to(repository.common / "packed-refs")
        if (repository.common / "shallow").is_file():
            shutil.copyfile(repository.common / "shallow", private / "shallow")
        yield Opened(repository=repository, private=private)


def find(directory: Path) -> Repository:
    """The repository at `directory`; NotFound `not-a-repository`, Unusable for one that cannot be worked on."""
    directory = Path(os.path.abspath(directory))
    inner = directory / ".git"
    if inner.is_symlink():
        raise _odd(inner, "a symbolic link stands where a directory should be")
    if inner.is_dir():
        found = Repository(worktree=directory, git_dir=inner, common=inner)
    elif inner.is_file():
        found = _linked(directory, inner)
    elif (directory / "HEAD").is_file() and (directory / "objects").is_dir():
        found = Repository(worktree=None, git_dir=directory, common=directory)
    else:
        raise NotFound("not-a-repository", "there is no git repository here", where=os.fspath(directory))
    _check_owner(found)
    _check_settings(found)
    _check_parts(found)
    return found


def branch_in(head: Path) -> str | None:
    """The branch that a HEAD file names; None when it names none."""
    text = read_small(head).strip()
    return text.removeprefix(f"ref: {_HEADS}") if text.startswith(f"ref: {_HEADS}") else None


def read_small(path: Path) -> str:
    """A small text file of a git dir; Unusable `odd-repository` when it is none."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(MAX_SMALL_FILE + 1)
    except OSError as error:
        raise _odd(path, f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_SMALL_FILE:
        raise _odd(path, "is too large")
    return data.decode("utf-8", "surrogateescape")


def _linked(directory: Path, inner: Path) -> Repository:
    """A linked worktree (gitrepository-layout(5)): `.git` names the git dir, which names the common dir and `.git`."""
    text = read_small(inner).strip()
    if not text.startswith("gitdir: "):
        raise _odd(inner, "names no git directory")
    git_dir = Path(os.path.normpath(directory / text.removeprefix("gitdir: ")))
    if not (git_dir / "commondir").is_file():
        raise Unusable(
            "submodule",
            "this is a submodule, or its git directory lies elsewhere",
            where=os.fspath(directory),
            remedy="make a plain `git clone` of it, and run greenroom there",
        )
    common = Path(os.path.normpath(git_dir / read_small(git_dir / "commondir").strip()))
    back = Path(os.path.normpath(git_dir / read_small(git_dir / "gitdir").strip()))
    if os.path.realpath(back) != os.path.realpath(inner):
        raise _odd(inner, "the git directory belongs to another worktree")
    return Repository(worktree=directory, git_dir=git_dir, common=common)


def _check_owner(found: Repository) -> None:
    for path in (found.common, found.git_dir, found.worktree):
        if path is not None and path.is_dir() and path.stat().st_uid != os.geteuid():
            raise Unusable(
                "foreign-owner",
                "the repository belongs to another user",
                where=os.fspath(path),
                remedy="run greenroom as the user who owns the repository",
            )


def _check_settings(found: Repository) -> None:
    """Read the repository's configuration as data, without includes, for what cannot be worked on."""
    for path in (found.common / "config", found.git_dir / "config.worktree"):
        if not path.exists():
            continue
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_CONFIG:
            raise _odd(path, "is no plain small file")
        try:
            listed = git(
                Path("/nonexistent"), "config", "--no-includes", "-z", "-f", os.fspath(path), "--list", cwd=Path("/")
            )
        except GitFailed as error:
            raise Unusable("bad-repository-config", error.message, where=os.fspath(path)) from None
        for item in listed.decode("utf-8", "replace").split("\0"):
            key, _, value = item.partition("\n")
            _check_setting(key, value, path)


def _check_setting(key: str, value: str, path: Path) -> None:
    reference, why = _REFUSED_SETTINGS.get(key, ("", ""))
    if key.startswith("remote.") and key.endswith(".promisor"):
        reference, why = _REFUSED_SETTINGS["extensions.partialclone"]
    if not reference or value.lower() in ("sha1", "files", "false"):
        return
    raise Unusable(
        reference,
        f"greenroom cannot work on this repository: {why}",
        where=os.fspath(path),
        remedy="use a full clone in git's default format",
    )


def _check_parts(found: Repository) -> None:
    for name in ("objects", "refs", "refs/heads"):
        if not stat.S_ISDIR(_mode(found.common / name)):
            raise _odd(found.common / name, "is no directory")
    if not stat.S_ISREG(_mode(found.git_dir / "HEAD")):
        raise _odd(found.git_dir / "HEAD", "is no plain file")
    if (
        found.worktree is not None
        and _mode(found.git_dir / "index")
        and not stat.S_ISREG(_mode(found.git_dir / "index"))
    ):
        raise _odd(found.git_dir / "index", "is no plain file")


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _odd(path: Path, why: str) -> Unusable:
    message = f"the repository is not laid out as git does it: {why}"
    return Unusable("odd-repository", message, where=os.fspath(path), remedy="make a plain `git clone` of it")
