"""Workspaces: one bare git repository for each subject, owned by the guard; the live ref is the pointer."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import NotFound, Tampered, Unusable
from greenroom.domain.ports import Store, Trees, UndoRecord
from greenroom.domain.trees import Manifest, show_path
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Subject
from greenroom.release.git import GitFailed, commit_id, git
from greenroom.release.objects import GitObject, LooseObjects, TreeBuilder, bundle, commit, read_commit
from greenroom.release.reading import manifest_of_commit
from greenroom.release.store import sync_directory, sync_file_system

LIVE_REF = "refs/heads/live"
DEFAULT_AUTHOR = "Greenroom <greenroom@localhost>"
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = false\n[gc]\n\tauto = 0\n"
_HEAD = f"ref: {LIVE_REF}\n"
_NO_COMMIT = "0" * 40


def _no_point(point: str) -> None:
    del point


class RefRelease:
    """The Release port for workspaces.

    Commits only go forward: a promote and a revert both add one whose parent is the live commit. Beside each
    commit the repository keeps the tree digest it stands for, so `live` is two small reads; `rehash` does not
    trust that note but reads every object back through git. `crash_point` is told each place between two writes
    of one move. Errors: NotFound `no-subject`, Unusable
    `import-mismatch`, `bad-commit`, `bad-author`, Tampered `live-broken`.
    """

    def __init__(
        self,
        directory: Path,
        store: Store,
        trees: Trees,
        *,
        author: str = DEFAULT_AUTHOR,
        crash_point: Callable[[str], None] = _no_point,
    ) -> None:
        self._directory = Path(directory)
        self._crash_point = crash_point
        self._store = store
        self._trees = trees
        self._author = author
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def live(self, subject: Subject) -> Digest | None:
        """The live tree, or None before `begin`."""
        head = _head(self.git_dir(subject))
        return None if head is None else _tree_of(self.git_dir(subject), head)

    def begin(self, subject: Subject, tree: Digest, origin: Mapping[str, str], parent_bytes: bytes) -> Digest:
        """Make the imported `tree` live: at first, or as an adoption of commits that the owner made.

        `parent_bytes` are the imported commit's own bytes, which keep their name; they are taken only when they
        name exactly this tree, and, where `origin` has a `commit`, hash to it. Without them (an unpacked
        release) a root commit is made, dated by `origin["at"]`. Idempotent.
        """
        folder = self._make(subject)
        with _locked(folder) as lock:
            head = _head(folder)
            if head is not None and not parent_bytes and _tree_of(folder, head) == tree:
                return tree
            builder = TreeBuilder(self._trees.manifest(tree), self._store)
            loose = LooseObjects(folder / "objects")
            loose.write(builder.objects())
            item = self._imported(builder.root, origin, parent_bytes)
            _, parents = read_commit(item.data)
            if not all(loose.has(parent) for parent in parents):
                _graft(folder, item.id)
            loose.write([item])
            _note_tree(folder, item.id, tree)
            self._check(folder, item.id, tree)
            self._crash_point("ref.written")
            if head != item.id:
                self._move(folder, head or _NO_COMMIT, item.id, lock)
        return tree

    def save(self, subject: Subject, at: Instant) -> UndoRecord:
        """Put what takes the next swap back into the store: all files of the live tree, as a git bundle."""
        folder, head = self._repository(subject)
        tree = _tree_of(folder, head)
        builder = TreeBuilder(self._trees.manifest(tree), self._store)
        objects = list(builder.objects())
        root = commit(builder.root, (), self._author, at, f"The files of {subject} at {head}")
        saved = self._store.put("undo", bundle(LIVE_REF, root.id, [root, *objects]))
        return UndoRecord(subject=subject, live=tree, commit=head, bundle=saved, at=at)

    def stage(self, subject: Subject, tree: Digest, message: str, at: Instant, author: str = "") -> str:
        """A durable commit of `tree` on top of the live one, not yet live; the same input gives the same commit.

        `author` is `Name <address>`; empty for Greenroom itself, which is the committer always.

        Every file is read from the store and rehashed here, and the commit is read back through git.
        """
        folder, _ = self._repository(subject)
        with _locked(folder):
            head = _head(folder) or _NO_COMMIT
            builder = TreeBuilder(self._trees.manifest(tree), self._store)
            loose = LooseObjects(folder / "objects")
            loose.write(builder.objects())
            item = commit(builder.root, (head,), author or self._author, at, message, committer=self._author)
            loose.write([item])
            _note_tree(folder, item.id, tree)
            self._check(folder, item.id, tree)
            self._crash_point("ref.written")
        return item.id

    def swap(self, subject: Subject, expect: Digest, to: Digest, staged: str) -> bool:
        """Move the live ref to `staged` if `expect` is live and `staged` stands on it; durable when True."""
        folder, _ = self._repository(subject)
        commit_id(staged)
        with _locked(folder) as lock:
            head = _head(folder) or _NO_COMMIT
            if _tree_of(folder, staged) != to:
                return False
            if head == staged:
                sync_file_system(folder)
                return True
            if _tree_of(folder, head) != expect or head not in _parents(folder, staged):
                return False
            self._move(folder, head, staged, lock)
        return True

    def rehash(self, subject: Subject) -> Digest:
        """The live tree's digest, from every byte that git gives back; Tampered `live-broken` when it cannot."""
        folder, head = self._repository(subject)
        return self._read(folder, head).digest

    def position(self, subject: Subject) -> str:
        """The live commit; NotFound `no-subject`."""
        return self._repository(subject)[1]

    def stands_on(self, subject: Subject, commit: str, earlier: str) -> bool:
        """Whether `commit` is `earlier`, or came after it; False also for what is not in the subject's repository."""
        folder, _ = self._repository(subject)
        try:
            git(folder, "merge-base", "--is-ancestor", commit_id(earlier), commit_id(commit))
        except (GitFailed, Unusable):
            return False
        return True

    def git_dir(self, subject: Subject) -> Path:
        """The bare repository of `subject`; its ref `refs/heads/live` is what delivery takes."""
        return self._directory / f"{hashlib.sha256(str(subject).encode()).hexdigest()[:32]}.git"

    def _repository(self, subject: Subject) -> tuple[Path, str]:
        folder = self.git_dir(subject)
        head = _head(folder)
        if head is None:
            raise NotFound("no-subject", "nothing was imported for this subject", where=str(subject))
        return folder, head

    def _make(self, subject: Subject) -> Path:
        """The subject's repository, made at first. Its HEAD is written last and whole: without it there is none."""
        folder = self.git_dir(subject)
        if _is_made(folder):
            return folder
        for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "greenroom/trees"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "config").write_text(_CONFIG)
        (folder / "description").write_text(show_path(str(subject).encode()) + "\n")
        self._crash_point("ref.laid-out")
        sync_file_system(self._directory)
        _replace(folder / "HEAD", _HEAD)
        self._crash_point("ref.made")
        return folder

    def _imported(self, root: str, origin: Mapping[str, str], parent_bytes: bytes) -> GitObject:
        if not parent_bytes:
            source = origin.get("source", "a source release")
            return commit(root, (), self._author, instant_of(origin), f"Import of {source}")
        item = GitObject("commit", parent_bytes)
        named, _ = read_commit(parent_bytes)
        if named != root or item.id != origin.get("commit", item.id):
            raise Unusable(
                "import-mismatch",
                "the imported commit and the imported files do not belong together",
                where=origin.get("commit", item.id)[:80],
                remedy="import again; if it stays, the repository has files that no tree here can hold",
            )
        return item

    def _move(self, folder: Path, expect: str, to: str, lock: int) -> None:
        (folder / f"{LIVE_REF}.lock").unlink(missing_ok=True)
        git(folder, "update-ref", LIVE_REF, to, expect, keep_open=(lock,))
        self._crash_point("ref.moved")
        sync_file_system(folder)

    def _check(self, folder: Path, head: str, tree: Digest) -> None:
        if self._read(folder, head).digest != tree:
            raise Tampered("live-broken", "what git stores is not the tree that was asked for", where=head)

    def _read(self, folder: Path, head: str) -> Manifest:
        try:
            return manifest_of_commit(folder, head)
        except GitFailed as error:
            raise Tampered("live-broken", error.message, where=head) from None


def instant_of(origin: Mapping[str, str]) -> Instant:
    """The import's time, `origin["at"]`, a decimal string of nanoseconds; 0 without one, Unusable `bad-origin`."""
    text = origin.get("at", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise Unusable("bad-origin", "the import's time is not a decimal string", where=text[:80])
    return Instant(int(text))


def _is_made(folder: Path) -> bool:
    try:
        return (folder / "HEAD").read_text("ascii") == _HEAD
    except (OSError, ValueError):
        return False


def _head(folder: Path) -> str | None:
    try:
        return commit_id((folder / LIVE_REF).read_text("ascii").removesuffix("\n"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, Unusable):
        raise Tampered("live-broken", "the live ref cannot be read", where=str(folder)) from None


def _tree_of(folder: Path, head: str) -> Digest:
    try:
        return parse_digest((folder / "greenroom" / "trees" / head).read_text("ascii"))
    except (OSError, ValueError, Unusable):
        raise Tampered("live-broken", "no tree is noted for this commit", where=head) from None


def _note_tree(folder: Path, head: str, tree: Digest) -> None:
    _replace(folder / "greenroom" / "trees" / head, tree)


def _parents(folder: Path, head: str) -> tuple[str, ...]:
    return read_commit(git(folder, "cat-file", "commit", head))[1]


def _graft(folder: Path, head: str) -> None:
    """Tell git that the history before `head` is not here, as in a shallow clone."""
    path = folder / "shallow"
    known = set(path.read_text("ascii").split()) if path.is_file() else set()
    _replace(path, "".join(f"{name}\n" for name in sorted({*known, head})))


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f".{secrets.token_hex(8)}")
    with open(scratch, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    sync_directory(path.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """The repository's lock; the git that moves the ref inherits it, so a killed guard's git is waited for."""
    fd = os.open(folder / "greenroom" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        for leftover in (folder / "objects").glob("tmp_obj_*"):
            leftover.unlink(missing_ok=True)
        yield fd
    finally:
        os.close(fd)
