"""Bring: a person's repository, or an unpacked source release, read into the store as a tree and a signed Import."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Subject, Trust
from greenroom.keeper import gitdir
from greenroom.keeper.presented import Place
from greenroom.keeper.runs import Job, Ran, Runner, refusal_of

IMPORT_TOOL = "import_git_t1"
RELEASE_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO")
COMMIT = "commit"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The result document of `import_git_t1`: the branch, its commit and the commit's git tree (hex)."""

    branch: str
    commit: str
    tree: str
    files: int


NO_GIT = (
    "name the top of a git repository, make one of it (`git init`, `git add`, `git commit`), or name an unpacked "
    "source release with a pyproject.toml or setup.py"
)


class Bringer:
    """Imports what is in a directory that was presented. Nothing in it is run; git sees a raw copy, between walls."""

    def __init__(self, runner: Runner, *, tool: Digest) -> None:
        self._runner = runner
        self._tool = tool

    def bring(self, subject: Subject, place: Place, branch: str | None, golden: Digest) -> Digest | Refused:
        """The digest of the signed Import of `place`, which stays open and the caller's.

        A git repository is trusted like its owner (the checked-out branch unless `branch`); a directory without git
        that has one of RELEASE_FILES is a release: no commit, no branch, not trusted.
        """
        if (refused := self._runner.gate.refusal()) is not None:
            return refused
        try:
            git = _git_directory(place)
            if git is None:
                return self._release(subject, place, branch)
            try:
                return self._repository(subject, place, git, branch, golden)
            finally:
                os.close(git)
        except (NotFound, Tampered, Unreachable):
            raise
        except (Unusable, OSError) as error:
            return refusal_of(error)

    def _release(self, subject: Subject, place: Place, branch: str | None) -> Digest | Refused:
        if not any(_kind(place.fd, name) == stat.S_IFREG for name in RELEASE_FILES):
            return Refused(rule="not-a-repository", where=place.source, remedy=NO_GIT)
        if branch is not None:
            return Refused(
                rule="no-branch", where=branch[:80], remedy="an unpacked release has no branches; leave the branch out"
            )
        tree = self._runner.trees.seal(f"/proc/self/fd/{place.fd}/.")
        return self._sign(subject, place, Imported(branch="", commit="", tree="", files=0), b"", tree)

    def _repository(
        self, subject: Subject, place: Place, git: int, branch: str | None, golden: Digest
    ) -> Digest | Refused:
        with self._runner.drafts.open() as draft:
            copied = draft / "git"
            gitdir.copy(git, copied)
            _readable(copied)
            ran = self._runner.run(
                Job(
                    check="import",
                    role="import",
                    tool=self._tool,
                    golden=golden,
                    args={"branch": branch} if branch is not None else {},
                    directories={"git": copied},
                    sealed="tree",
                )
            )
        if isinstance(ran, Refused):
            return ran
        return ran.refused or self._imported(subject, place, ran)

    def _imported(self, subject: Subject, place: Place, ran: Ran) -> Digest | Refused:
        commit = ran.output.artifacts.get(COMMIT)
        if ran.result is None or ran.sealed is None or commit is None:
            raise Unusable("bad-result", "the importer left no result, no tree or no commit")
        found = documents.decode(Imported, ran.result)
        return self._sign(subject, place, found, self._runner.store.get(commit), ran.sealed)

    def _sign(self, subject: Subject, place: Place, found: Imported, commit: bytes, tree: Digest) -> Digest:
        runner = self._runner
        record = Import(
            subject=subject,
            source=place.source,
            branch=found.branch,
            commit=found.commit,
            commit_bytes=runner.store.put("blob", commit),
            tree=tree,
            trust=int(Trust.PERSON if found.commit else Trust.UNTRUSTED),
            at=runner.clock.now(),
        )
        runner.crash_point("bring.read")
        signed = runner.store.put("statement", runner.attestor.sign(Predicate.IMPORT, tree, documents.encode(record)))
        runner.crash_point("bring.signed")
        return signed


def _git_directory(place: Place) -> int | None:
    """A descriptor of the git directory: `.git`, or `place` itself when it is a bare repository."""
    directory = place.fd
    kind = _kind(directory, ".git")
    if kind is None:
        bare = _kind(directory, "HEAD") == stat.S_IFREG and _kind(directory, "objects") == stat.S_IFDIR
        return os.dup(directory) if bare and _kind(directory, "refs") == stat.S_IFDIR else None
    if kind == stat.S_IFDIR:
        return os.open(".git", _FOLDER, dir_fd=directory)
    if kind == stat.S_IFREG:
        raise Unusable(
            "linked-worktree",
            "the repository's data lies outside this directory",
            where=place.source,
            remedy="name the main working tree, or a clone of it",
        )
    raise Unusable(
        "git-directory-is-link", ".git is a link", where=place.source, remedy="name the directory that it links to"
    )


def _kind(directory: int, name: str) -> int | None:
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return None


def _readable(top: Path) -> None:
    for folder, _, _ in os.walk(top):
        Path(folder).chmod(0o755)
