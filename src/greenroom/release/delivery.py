"""Delivery: a promoted commit arrives in the person's branch by fast-forward, or nothing moves.

This runs as the person. The repository's configuration, hooks, filters and fsmonitor are never used.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Store
from greenroom.domain.trees import Entry, Link, show_path
from greenroom.domain.verdict import Held, Passed, Verdict
from greenroom.release.git import GitFailed, commit_id, git, start
from greenroom.release.objects import GitObject
from greenroom.release.repository import Opened, branch_in, opened
from greenroom.release.store import sync_file_system
from greenroom.release.trees import MAX_FILE_BYTES, StoreTrees, file_bytes

SHOWN_PATHS = 20
Coming = Mapping[bytes, tuple[bytes, bytes] | None]
"""Mode and blob of every path that a delivery changes, as git names them; None where it takes the path away."""
_NOTE = "greenroom: delivery"
_NEEDS_UPDATE = 1
_MARKS: Mapping[str, str] = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """What stands between a branch and a delivery.

    `dirty` are changed tracked files as shown text; `busy` what git has not finished (`a merge`), or "";
    `elsewhere` another worktree that has the branch checked out, or "".
    """

    branch: str
    head: str
    checked_out: bool
    dirty: tuple[str, ...] = ()
    busy: str = ""
    elsewhere: str = ""

    def ready(self, expect: str) -> Passed | Held:
        """Passed when a delivery on top of the commit `expect` could begin; else Held `branch-moved`,
        `worktree-dirty` or `checked-out-elsewhere`."""
        if self.head != expect:
            return _moved(self.branch, self.head, expect)
        return self.blocked() or Passed()

    def blocked(self) -> Held | None:
        """What forbids a delivery, whichever commit it brings; None when nothing does."""
        if self.elsewhere:
            return Held(
                rule="checked-out-elsewhere",
                where=f"{self.branch} is checked out in {self.elsewhere}",
                remedy="run greenroom on that worktree, or check out another branch there",
            )
        if self.busy:
            return _dirty(f"{self.busy} is not finished", "finish or abort it, then run the command again")
        if self.dirty:
            more = len(self.dirty) - SHOWN_PATHS
            names = ", ".join(self.dirty[:SHOWN_PATHS]) + (f" and {more} more" if more > 0 else "")
            return _dirty(names, "commit, stash or move these files, then run the command again")
        return None


def state(repository: Path, branch: str | None = None, coming: Coming | None = None) -> DeliveryState:
    """How `branch` (default: the checked-out one) stands. Reads only; nothing in the repository is written.

    With `coming`, what a delivery would bring, `dirty` also has the untracked and ignored files that it would write
    over. Raises NotFound `not-a-repository` or `no-branch`, Unusable `detached-head` and what `repository.find`
    refuses.
    """
    with opened(repository) as there:
        found = _state(there, branch)
        if not coming or not found.checked_out:
            return found
        ahead = _untracked(there, coming, _flags(there))
        over = {show_path(path) for path in ahead if path not in coming or _on_disk(there, path) != coming[path]}
        return replace(found, dirty=tuple(sorted({*found.dirty, *over})))


def head(repository: Path, branch: str) -> str:
    """The commit at the end of `branch`; raises as `state` does."""
    with opened(repository) as there:
        return there.head_of(branch)


def coming_between(store: Store, base: Digest, green: Digest) -> Coming:
    """What a delivery of the tree `green` brings to a branch that has the tree `base`."""
    trees = StoreTrees(store)
    before, after = trees.manifest(base).by_path(), trees.manifest(green).by_path()
    gone: dict[bytes, tuple[bytes, bytes] | None] = {path: None for path in before if path not in after}
    return gone | {path: _as_git(store, entry) for path, entry in after.items() if before.get(path) != entry}


def _as_git(store: Store, entry: Entry) -> tuple[bytes, bytes]:
    if isinstance(entry, Link):
        return b"120000", GitObject("blob", entry.target).id.encode()
    mode = b"100755" if entry.executable else b"100644"
    return mode, GitObject("blob", file_bytes(store, entry)).id.encode()


def _no_point(point: str) -> None:
    del point


def deliver(
    repository: Path,
    branch: str,
    expect: str,
    live: Path,
    commit: str,
    *,
    crash_point: Callable[[str], None] = _no_point,
) -> Verdict:
    """Fast-forward `branch` from the commit `expect` to `commit` of the bare repository `live`.

    Passed when the branch is at `commit` (also when it was before). Held, with nothing moved: `branch-moved`,
    `worktree-dirty`, `checked-out-elsewhere`, `repository-locked`, `disk-full`. The branch is locked while the
    files of a checked-out branch are updated, and moves after them, so a delivery that was cut short is
    finished by the next call; `crash_point` is told each place where it may be cut. Raises what `state` raises,
    and GitFailed.
    """
    commit_id(expect)
    commit_id(commit)
    with opened(repository) as there:
        found = _state(there, branch)
        if found.head == commit:
            return Passed()
        if found.head != expect or not _fast_forward(live, expect, commit):
            return _moved(branch, found.head, expect)
        try:
            _transfer(there, live, expect, commit)
            crash_point("delivery.transferred")
            return _clear_the_way(there, found, commit) or _move(there, found, commit, crash_point)
        except GitFailed as error:
            held = _held_by(error)
            if held is None:
                raise
            return held


def _state(there: Opened, branch: str | None) -> DeliveryState:
    current = there.current()
    name = branch if branch is not None else current
    if name is None:
        raise Unusable("detached-head", "no branch is checked out", remedy="name one with --branch")
    head = there.head_of(name)
    checked_out = name == current and there.repository.worktree is not None
    return DeliveryState(
        branch=name,
        head=head,
        checked_out=checked_out,
        dirty=tuple(show_path(path) for path in _changed_files(there, head)) if checked_out else (),
        busy=_busy(there, checked_out),
        elsewhere=_elsewhere(there, name),
    )


def _changed_files(there: Opened, head: str) -> list[bytes]:
    """Tracked files that differ from `head`, in the index or on disk. Works on a copy of the index."""
    copy = there.private / "index"
    real = there.repository.git_dir / "index"
    if real.exists():
        # with its time: git compares it with the files' times to see edits made right after the index
        shutil.copy2(real, copy)
    _refresh(there, copy)
    flags = ("-z", "--name-only", "--no-renames", "--ignore-submodules=all")
    staged = there.git("diff-index", "--cached", *flags, head, "--", index=copy)
    edited = there.git("diff-files", *flags, index=copy)
    return sorted({*staged.split(b"\0"), *edited.split(b"\0")} - {b""})


def _busy(there: Opened, checked_out: bool) -> str:
    for mark, what in _MARKS.items():
        if (checked_out or mark.startswith("rebase")) and os.path.lexists(there.repository.git_dir / mark):
            return what
    return ""


def _elsewhere(there: Opened, branch: str) -> str:
    common = there.repository.common
    for head in [common / "HEAD", *sorted((common / "worktrees").glob("*/HEAD"))]:
        bare = head.parent == common and common.name != ".git"
        if head.parent == there.repository.git_dir or bare or branch_in(head) != branch:
            continue
        return os.fspath(head.parent.parent if head.parent == common else head.parent.name)
    return ""


def _fast_forward(live: Path, expect: str, commit: str) -> bool:
    try:
        git(live, "merge-base", "--is-ancestor", expect, commit)
    except GitFailed as error:
        if error.code != 1:
            raise
        return False
    return True


def _transfer(there: Opened, live: Path, expect: str, commit: str) -> None:
    wanted = f"{commit}\n^{expect}\n".encode()
    pack = git(live, "pack-objects", "--revs", "--stdout", "-q", "--threads=1", data=wanted)
    there.git("unpack-objects", "-q", data=pack)
    there.git("rev-list", "--objects", "--quiet", commit, f"^{expect}")


def _clear_the_way(there: Opened, found: DeliveryState, commit: str) -> Held | None:
    """What holds this delivery; None when git may go ahead.

    A file that already has what `commit` brings is no obstacle: that is how a delivery that was cut short
    looks. The index is then told so; nothing of the person's can be lost by it.
    """
    held = replace(found, dirty=()).blocked()
    if held is not None or not found.checked_out:
        return held
    coming = coming_in(there, found.head, commit)
    flags = _flags(there)
    ahead = {*_changed_files(there, found.head), *_untracked(there, coming, flags)}
    foreign = sorted(path for path in ahead if path not in coming or _on_disk(there, path) != coming[path])
    if foreign:
        return replace(found, dirty=tuple(show_path(path) for path in foreign)).blocked()
    hidden = [path for path in coming if flags.get(path, b"H") == b"S" or flags.get(path, b"H").islower()]
    if hidden:
        told = "git is told not to look at it; use git update-index --no-skip-worktree --no-assume-unchanged"
        return _dirty(show_path(hidden[0]), told)
    if ahead:
        lines = [b"%s %s 0\t%s\0" % (*(coming[path] or (b"0", b"0" * 40)), path) for path in sorted(ahead)]
        there.git("update-index", "-z", "--index-info", data=b"".join(lines))
    _refresh(there)
    return None


def _flags(there: Opened) -> Mapping[bytes, bytes]:
    """The tracked files, with the letter that git gives each."""
    return {line[2:]: line[:1] for line in there.git("ls-files", "-v", "-z").split(b"\0")[:-1]}


def _refresh(there: Opened, index: Path | None = None) -> None:
    """Let the index know the times of files that were touched but not changed; git calls them changed otherwise."""
    try:
        there.git("update-index", "--refresh", "--ignore-submodules", index=index)
    except GitFailed as error:
        if error.code != _NEEDS_UPDATE:
            raise


def _untracked(there: Opened, coming: Mapping[bytes, object], tracked: Mapping[bytes, bytes]) -> set[bytes]:
    """Untracked and ignored files where `coming` brings something; git itself would overwrite the ignored ones."""
    root = os.fsencode(there.cwd)
    found: set[bytes] = set()
    for path in (path for path, entry in coming.items() if entry is not None and path not in tracked):
        full = os.path.join(root, path)
        if os.path.isdir(full) and not os.path.islink(full):
            inner = (os.path.join(at, name) for at, _, names in os.walk(full) for name in names)
            found.update(name for name in (os.path.relpath(item, root) for item in inner) if name not in tracked)
        elif os.path.lexists(full):
            found.add(path)
        parent = os.path.dirname(path)
        while parent:
            at = os.path.join(root, parent)
            if os.path.lexists(at) and (os.path.islink(at) or not os.path.isdir(at)) and parent not in tracked:
                found.add(parent)
            parent = os.path.dirname(parent)
    return found


def coming_in(there: Opened, head: str, commit: str) -> Coming:
    """Mode and blob of every path that differs between two commits, as `commit` has it; None where it has none."""
    fields = there.git("diff-tree", "-r", "-z", "--raw", "--no-renames", head, commit).split(b"\0")
    found: dict[bytes, tuple[bytes, bytes] | None] = {}
    for line, path in zip(fields[0::2], fields[1::2], strict=False):
        _, mode, _, blob, _ = line.split(b" ")
        found[path] = None if mode == b"000000" else (mode, blob)
    return found


def _on_disk(there: Opened, path: bytes) -> tuple[bytes, bytes] | None:
    full = os.path.join(os.fsencode(there.cwd), path)
    try:
        found = os.lstat(full)
        if stat.S_ISLNK(found.st_mode):
            return b"120000", GitObject("blob", os.readlink(full)).id.encode()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            return b"", b""
        with open(full, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return b"", b""
    return (b"100755" if found.st_mode & 0o100 else b"100644"), GitObject("blob", data).id.encode()


def _move(there: Opened, found: DeliveryState, commit: str, crash_point: Callable[[str], None]) -> Verdict:
    ref = f"refs/heads/{found.branch}"
    words = ("update-ref", "-m", _NOTE, "--stdin", "-z")
    with start(there.private, *words, extra=there.environment(), cwd=there.cwd) as pointer:
        update = f"update {ref}\0{commit}\0{found.head}\0".encode()
        if not _tell(pointer, b"start\0", b"start: ok\n") or not _tell(
            pointer, update + b"prepare\0", b"prepare: ok\n"
        ):
            return _lost(there, found)
        crash_point("delivery.branch-locked")
        if found.checked_out:
            there.git("read-tree", "-m", "-u", found.head, commit)
            crash_point("delivery.files-written")
            sync_file_system(there.cwd)
        if not _tell(pointer, b"commit\0", b"commit: ok\n"):
            return _lost(there, found)
    sync_file_system(there.repository.common)
    return Passed()


def _tell(pointer: subprocess.Popen[bytes], words: bytes, answer: bytes) -> bool:
    if pointer.stdin is None or pointer.stdout is None:
        raise TypeError("a git process to talk with has both pipes")
    try:
        pointer.stdin.write(words)
        pointer.stdin.flush()
    except BrokenPipeError:
        return False
    return pointer.stdout.readline(200) == answer


def _lost(there: Opened, found: DeliveryState) -> Held:
    """Why the branch could not be locked: another git moved it, or another git has it locked."""
    head = there.head_of(found.branch)
    if head != found.head:
        return _moved(found.branch, head, found.head)
    return _locked_by_another(f"{there.repository.common}/refs/heads/{found.branch}.lock")


def _held_by(error: GitFailed) -> Held | None:
    if "index.lock" in error.message:
        return _locked_by_another("index.lock")
    if "No space left" in error.message:
        return Held(rule="disk-full", where="the repository", remedy="free some space, then run the command again")
    if any(
        words in error.message
        for words in ("not uptodate", "would be overwritten", "would be removed", "lose untracked")
    ):
        return _dirty(error.message, "move or commit what is in the way, then run the command again")
    return None


def _locked_by_another(where: str) -> Held:
    return Held(
        rule="repository-locked",
        where=where,
        remedy="let the other git command end; if none is running, remove that file, then run the command again",
    )


def _dirty(where: str, remedy: str) -> Held:
    return Held(rule="worktree-dirty", where=where, remedy=remedy)


def _moved(branch: str, head: str, expect: str) -> Held:
    return Held(
        rule="branch-moved",
        where=f"{branch} is at {head[:12]}, expected at {expect[:12]}",
        remedy="run greenroom improve again, which adopts your commits; the change is then made anew on top of them",
    )
