"""Delivery into a person's repository: a fast-forward, or nothing moves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from release_bench import Workbench

from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.verdict import Held, Passed
from greenroom.release.delivery import coming_between, deliver, state

pytestmark = pytest.mark.slow


def _snapshot(bench: Workbench) -> tuple[str, str, str]:
    return bench.git("for-each-ref"), bench.git("status", "--porcelain=v2"), bench.git("stash", "create")


def _rule(verdict: object) -> str:
    assert isinstance(verdict, Held), verdict
    return verdict.rule


def test_a_clean_checked_out_branch_is_forwarded(bench: Workbench) -> None:
    """Branch, index and files move together: changed, added and removed files, and nothing is left to commit."""
    base = bench.head()
    commit = bench.promote({b"a.py": b"import sys\nprint(sys)\n", b"new/file": b"x", b"gone.txt": None}, "Fix F401")
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert bench.head() == commit
    assert bench.git("status", "--porcelain") == ""
    assert (bench.work / "a.py").read_text() == "import sys\nprint(sys)\n"
    assert (bench.work / "new/file").read_text() == "x"
    assert not (bench.work / "gone.txt").exists()
    assert bench.git("log", "-1", "--format=%s|%an|%P") == f"Fix F401|Greenroom|{base}"
    assert "greenroom: delivery" in bench.git("reflog", "show", "main")
    bench.git("fsck", "--strict")


def test_delivery_may_be_repeated(bench: Workbench) -> None:
    """A second delivery of the same commit passes and moves nothing."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    before = _snapshot(bench)
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert _snapshot(bench) == before


class Killed(BaseException):
    """Ends a delivery as a signal would: nothing is tidied up on the way that git does not tidy itself."""


@pytest.mark.parametrize(
    ("point", "files"),
    [("delivery.transferred", "old"), ("delivery.branch-locked", "old"), ("delivery.files-written", "new")],
)
def test_a_delivery_that_was_cut_is_finished_by_the_next(bench: Workbench, point: str, files: str) -> None:
    """The branch has not moved, whether or not its files have; once more, and nothing is left to commit."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n", b"new/file": b"x", b"gone.txt": None})

    def cut(here: str) -> None:
        if here == point:
            raise Killed

    with pytest.raises(Killed):
        deliver(bench.work, "main", base, bench.live_git, commit, crash_point=cut)
    assert bench.head() == base
    assert (bench.work / "new/file").exists() is (files == "new")
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert bench.head() == commit
    assert bench.git("status", "--porcelain", "--untracked-files=all") == ""
    assert bench.git("log", "--format=%H", f"{base}..main") == commit


def test_several_promotes_arrive_at_once(bench: Workbench) -> None:
    """What was not delivered for a while arrives as one fast-forward, a revert included."""
    base = bench.head()
    bench.promote({b"a.py": b"1\n"})
    bench.promote({b"a.py": b"2\n"})
    last = bench.promote({b"a.py": b"import os\nimport sys\nprint(sys)\n"}, "revert")
    assert deliver(bench.work, "main", base, bench.live_git, last) == Passed()
    assert bench.git("rev-list", "--count", f"{base}..main") == "3"
    assert bench.tree_of("main") == bench.tree_of(base)


def test_a_branch_that_is_not_checked_out_moves_alone(bench: Workbench) -> None:
    """With another branch checked out only the ref moves; local edits are no obstacle and stay."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    bench.git("checkout", "-q", "-b", "other")
    (bench.work / "a.py").write_text("edited\n")
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert bench.head() == commit
    assert bench.head("other") == base
    assert (bench.work / "a.py").read_text() == "edited\n"


def test_a_bare_repository_is_forwarded(bench: Workbench, tmp_path: Path) -> None:
    """A repository without files gets the commit too."""
    bare = tmp_path / "bare.git"
    bench.git("clone", "-q", "--bare", str(bench.work), str(bare))
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    assert state(bare).checked_out is False
    assert deliver(bare, "main", base, bench.live_git, commit) == Passed()
    assert bench.git("rev-parse", "main", cwd=bare) == commit


@pytest.mark.parametrize("how", ["edited", "staged", "removed", "mode", "intent"])
def test_a_dirty_worktree_is_held(bench: Workbench, how: str) -> None:
    """Any tracked change holds the delivery as worktree-dirty, names the file, and nothing moves."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    path = bench.work / "doc/read.md"
    if how == "removed":
        path.unlink()
    elif how == "mode":
        path.chmod(0o755)
    elif how == "intent":
        path = bench.work / "doc/more.md"
        path.write_text("mine\n")
        bench.git("add", "-N", "doc/more.md")
    else:
        path.write_text("mine\n")
        if how == "staged":
            bench.git("add", "doc/read.md")
    before = bench.git("for-each-ref"), bench.git("status", "--porcelain=v2")
    ready = state(bench.work).ready(base)
    held = deliver(bench.work, "main", base, bench.live_git, commit)
    assert _rule(ready) == _rule(held) == "worktree-dirty"
    assert isinstance(held, Held)
    assert held.where.startswith("doc/")
    assert (bench.git("for-each-ref"), bench.git("status", "--porcelain=v2")) == before
    assert bench.head() == base


def test_an_edit_of_the_delivered_file_is_held(bench: Workbench) -> None:
    """The person's own edit of the same file is never overwritten."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    (bench.work / "a.py").write_text("mine\n")
    assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "worktree-dirty"
    assert (bench.work / "a.py").read_text() == "mine\n"
    assert bench.head() == base


@pytest.mark.parametrize("ignored", [False, True])
def test_an_untracked_file_in_the_way_is_held(bench: Workbench, ignored: bool) -> None:
    """An untracked or ignored file where a new one arrives is kept, and nothing moves."""
    if ignored:
        bench.commit({".gitignore": "new.txt\n"})
        bench.adopt()
    base, commit = bench.head(), bench.promote({b"new.txt": b"theirs\n", b"a.py": b"1\n"})
    (bench.work / "new.txt").write_text("mine\n")
    before = (bench.work / "a.py").read_text()
    assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "worktree-dirty"
    assert (bench.work / "new.txt").read_text() == "mine\n"
    assert (bench.work / "a.py").read_text() == before
    assert bench.head() == base
    (bench.work / "new.txt").unlink()
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()


@pytest.mark.parametrize("how", ["untracked", "ignored", "folder", "parent", "link"])
def test_what_a_delivery_would_write_over_is_found_before_it(bench: Workbench, how: str) -> None:
    """Before anything is live, the untracked and ignored files in the way of a change are named; nothing moves."""
    bench.commit({".gitignore": "ignored/\n"})
    base_tree = bench.adopt()
    name = {"ignored": b"ignored/new.txt", "parent": b"new/inner.txt"}.get(how, b"new.txt")
    base, commit = bench.head(), bench.promote({name: b"theirs\n", b"a.py": b"1\n"})
    green = bench.release.live(bench.subject)
    assert green is not None
    coming = coming_between(bench.store, base_tree, green)
    assert set(coming) == {name, b"a.py"}
    assert state(bench.work, "main", coming).ready(base) == Passed()
    mine = bench.work / ("new" if how == "parent" else name.decode())
    mine.parent.mkdir(exist_ok=True)
    if how == "folder":
        mine.mkdir()
        mine = mine / "mine.txt"
    mine.symlink_to("a.py") if how == "link" else mine.write_text("mine\n")
    held = state(bench.work, "main", coming).ready(base)
    assert _rule(held) == "worktree-dirty"
    assert isinstance(held, Held)
    assert held.where == str(mine.relative_to(bench.work))
    assert state(bench.work, "main").ready(base) == Passed()
    assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "worktree-dirty"


def test_an_untracked_file_that_is_what_arrives_is_no_obstacle(bench: Workbench) -> None:
    """A file that has the bytes and the mode that a change brings would lose nothing; a mode that differs would."""
    before = bench.release.live(bench.subject)
    base, commit = bench.head(), bench.promote({b"new.txt": b"theirs\n", b"gone.txt": None})
    green = bench.release.live(bench.subject)
    assert before is not None
    assert green is not None
    coming = coming_between(bench.store, before, green)
    assert coming[b"gone.txt"] is None
    (bench.work / "new.txt").write_text("theirs\n")
    assert state(bench.work, "main", coming).ready(base) == Passed()
    (bench.work / "new.txt").chmod(0o755)
    assert _rule(state(bench.work, "main", coming).ready(base)) == "worktree-dirty"
    (bench.work / "new.txt").chmod(0o644)
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()


def test_a_name_that_differs_in_case_is_in_the_way_where_the_file_system_says_so(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that folds case, an untracked `NEW.txt` is what a change's `new.txt` would write over."""
    before = bench.release.live(bench.subject)
    base = bench.head()
    bench.promote({b"new.txt": b"theirs\n"})
    green = bench.release.live(bench.subject)
    assert before is not None
    assert green is not None
    coming = coming_between(bench.store, before, green)
    (bench.work / "NEW.txt").write_text("mine\n")
    assert state(bench.work, "main", coming).ready(base) == Passed()
    _fold_case(monkeypatch, bench.work / "NEW.txt", bench.work / "new.txt")
    held = state(bench.work, "main", coming).ready(base)
    assert _rule(held) == "worktree-dirty"


def _fold_case(monkeypatch: pytest.MonkeyPatch, real: Path, asked: Path) -> None:
    """Let the file `real` answer to `asked`, too, as a file system that folds case does."""
    look, lexists = os.lstat, os.path.lexists

    def folded(path: Any) -> Any:
        return os.fsencode(real) if os.fsencode(path) == os.fsencode(asked) else path

    monkeypatch.setattr(os, "lstat", lambda path, **more: look(folded(path), **more))
    monkeypatch.setattr(os.path, "lexists", lambda path: lexists(folded(path)))


def test_untracked_files_elsewhere_are_no_obstacle(bench: Workbench) -> None:
    """Untracked files that nothing replaces stay and do not hold the delivery."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    (bench.work / "notes.txt").write_text("mine\n")
    assert state(bench.work).ready(base) == Passed()
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert (bench.work / "notes.txt").read_text() == "mine\n"


def test_touched_files_are_not_dirty(bench: Workbench) -> None:
    """Files whose times changed but whose bytes did not are clean, the delivered ones too."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    for name in ("a.py", "doc/read.md"):
        os.utime(bench.work / name, (1, 1))
    assert state(bench.work).ready(base) == Passed()
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert bench.git("status", "--porcelain") == ""


def test_a_moved_branch_is_held(bench: Workbench) -> None:
    """The person's own commit meanwhile: branch-moved, and their commit stays."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    mine = bench.commit({"mine.txt": "x"})
    assert _rule(state(bench.work).ready(base)) == "branch-moved"
    assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "branch-moved"
    assert bench.head() == mine


def test_a_commit_that_is_no_descendant_is_held(bench: Workbench) -> None:
    """Only a fast-forward is delivered, even when the branch is where the caller expects it."""
    bench.promote({b"a.py": b"1\n"})
    mine = bench.commit({"mine.txt": "x"})
    base = bench.release.position(bench.subject)
    bench.adopt(mine)
    assert _rule(deliver(bench.work, "main", mine, bench.live_git, base)) == "branch-moved"
    assert bench.head() == mine


def test_own_commits_are_adopted_and_built_upon(bench: Workbench) -> None:
    """After an adoption of the person's commit the next promote stands on it and is delivered."""
    mine = bench.commit({"mine.txt": "x"})
    bench.adopt()
    commit = bench.promote({b"a.py": b"1\n"})
    assert deliver(bench.work, "main", mine, bench.live_git, commit) == Passed()
    assert bench.git("log", "-1", "--format=%P") == mine


@pytest.mark.parametrize("mark", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"])
def test_unfinished_git_work_is_held(bench: Workbench, mark: str) -> None:
    """In the middle of a merge, cherry-pick, revert or rebase nothing is delivered."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    (bench.work / ".git" / mark).write_text(base + "\n")
    assert _rule(state(bench.work).ready(base)) == "worktree-dirty"
    assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "worktree-dirty"
    assert bench.head() == base


def test_locks_of_another_git_are_respected(bench: Workbench) -> None:
    """A locked index or branch holds the delivery, and nothing moves; without the lock it passes."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    for lock in ("index.lock", "refs/heads/main.lock"):
        path = bench.work / ".git" / lock
        path.touch()
        assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "repository-locked"
        assert bench.head() == base
        path.unlink()
        assert bench.git("status", "--porcelain") == ""
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()


def test_a_delivery_cut_short_is_finished(bench: Workbench) -> None:
    """Files written but neither index nor branch moved, as after a power cut: the next call finishes."""
    base = bench.head()
    commit = bench.promote({b"a.py": b"1\n", b"doc/read.md": b"the text\n", b"gone.txt": None, b"new": b"n"})
    (bench.work / "a.py").write_text("1\n")
    (bench.work / "gone.txt").unlink()
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert bench.head() == commit
    assert bench.git("status", "--porcelain") == ""


def test_files_and_index_before_the_branch_are_finished(bench: Workbench) -> None:
    """Files and index written, the branch not yet moved: the next call moves it."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n", b"gone.txt": None})
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    bench.git("update-ref", "refs/heads/main", base)
    assert bench.git("status", "--porcelain") != ""
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert (bench.head(), bench.git("status", "--porcelain")) == (commit, "")


def test_hostile_configuration_runs_nothing(bench: Workbench, tmp_path: Path) -> None:
    """Hooks, filters, fsmonitor, external diff, pager, aliases and includes of the repository are not run."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n", b".gitattributes": b"* filter=evil diff=evil\n"})
    witness = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho ran >> {witness}\nexit 0\n")
    script.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit", "fsmonitor-watchman"):
        shutil.copy(script, bench.work / ".git/hooks" / hook)
    run = f" = {script}\n"
    with open(bench.work / ".git/config", "a") as config:
        config.write("[core]\n" + "".join(f"\t{key}{run}" for key in ("fsmonitor", "pager", "editor", "sshCommand")))
        config.write(f"\thooksPath = {bench.work}/.git/hooks\n\talternateRefsCommand{run}")
        config.write('[filter "evil"]\n' + "".join(f"\t{key}{run}" for key in ("clean", "smudge", "process")))
        config.write(f'[diff "evil"]\n\tcommand{run}\ttextconv{run}[diff]\n\texternal{run}')
        config.write(f"[include]\n\tpath{run}")
    (bench.work / ".git/info").mkdir(exist_ok=True)
    (bench.work / ".git/info/attributes").write_text("* filter=evil diff=evil\n")
    os.utime(bench.work / "a.py", (1, 1))
    assert state(bench.work).ready(base) == Passed()
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert not witness.exists()
    assert (bench.work / "a.py").read_text() == "1\n"


def test_a_linked_worktree_is_served(bench: Workbench, tmp_path: Path) -> None:
    """A branch that is checked out in a linked worktree is delivered there, and held from elsewhere."""
    linked = tmp_path / "linked"
    bench.git("worktree", "add", "-q", "-b", "side", str(linked))
    base, commit = bench.head("side"), bench.promote({b"a.py": b"1\n"})
    assert _rule(deliver(bench.work, "side", base, bench.live_git, commit)) == "checked-out-elsewhere"
    assert _rule(deliver(linked, "main", base, bench.live_git, commit)) == "checked-out-elsewhere"
    assert deliver(linked, "side", base, bench.live_git, commit) == Passed()
    assert (linked / "a.py").read_text() == "1\n"
    assert bench.git("status", "--porcelain", cwd=linked) == ""
    assert bench.head() == base


def test_a_shallow_clone_is_served(bench: Workbench, tmp_path: Path) -> None:
    """A clone of depth 1 gets its fast-forward and stays shallow."""
    clone = tmp_path / "clone"
    bench.git("clone", "-q", "--depth", "1", f"file://{bench.work}", str(clone))
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    assert deliver(clone, "main", base, bench.live_git, commit) == Passed()
    assert bench.git("status", "--porcelain", cwd=clone) == ""
    assert bench.git("log", "--format=%H", cwd=clone).split() == [commit, base]


def test_packed_refs_are_read(bench: Workbench) -> None:
    """A repository whose refs and objects were packed is served like any other."""
    bench.git("gc", "-q")
    bench.git("pack-refs", "--all")
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert bench.head() == commit


@pytest.mark.parametrize(
    ("setting", "value", "reference"),
    [
        ("extensions.objectformat", "sha256", "sha256-repository"),
        ("extensions.refstorage", "reftable", "reftable-repository"),
        ("extensions.partialclone", "origin", "partial-clone"),
        ("remote.origin.promisor", "true", "partial-clone"),
    ],
)
def test_repositories_of_another_make_are_refused(bench: Workbench, setting: str, value: str, reference: str) -> None:
    """What cannot be worked on is refused by name, with a remedy."""
    bench.git("config", setting, value)
    with pytest.raises(Unusable) as caught:
        state(bench.work)
    assert caught.value.reference == reference
    assert caught.value.remedy


def test_odd_places_are_refused(bench: Workbench, tmp_path: Path) -> None:
    """No repository, no branch, a detached HEAD and links inside .git each have their own answer."""
    with pytest.raises(NotFound, match="not-a-repository"):
        state(tmp_path)
    with pytest.raises(NotFound, match="no-branch"):
        state(bench.work, "nothing")
    for name in ("../x", "a b", "-x..", ""):
        with pytest.raises(Unusable, match="bad-branch"):
            state(bench.work, name)
    bench.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    with pytest.raises(Unusable, match="symbolic-branch"):
        state(bench.work, "alias")
    bench.git("checkout", "-q", "--detach")
    with pytest.raises(Unusable, match="detached-head"):
        state(bench.work)
    refs = bench.work / ".git/refs"
    refs.rename(tmp_path / "refs")
    refs.symlink_to(tmp_path / "refs")
    with pytest.raises(Unusable, match="odd-repository"):
        state(bench.work, "main")


def test_a_broken_configuration_is_named(bench: Workbench) -> None:
    """A configuration that git cannot read is unusable, with its path."""
    (bench.work / ".git/config").write_text("[core\n")
    with pytest.raises(Unusable) as caught:
        state(bench.work)
    assert caught.value.reference == "bad-repository-config"
    assert caught.value.where.endswith("config")


def test_a_file_that_git_must_not_look_at_is_held(bench: Workbench) -> None:
    """An edit hidden by skip-worktree or assume-unchanged is not overwritten."""
    base, commit = bench.head(), bench.promote({b"a.py": b"1\n"})
    for flag in ("skip-worktree", "assume-unchanged"):
        bench.git("update-index", f"--{flag}", "a.py")
        (bench.work / "a.py").write_text("hidden edit\n")
        assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "worktree-dirty"
        assert (bench.work / "a.py").read_text() == "hidden edit\n"
        bench.git("update-index", f"--no-{flag}", "a.py")
        bench.git("checkout", "-q", "a.py")
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()


def test_looking_writes_nothing(bench: Workbench) -> None:
    """state leaves every file of the git directory as it was."""

    def look() -> dict[str, tuple[int, bytes]]:
        files = [path for path in (bench.work / ".git").rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    os.utime(bench.work / "a.py", (1, 1))
    before = look()
    assert state(bench.work).dirty == ()
    assert look() == before


def test_an_ignored_file_or_folder_in_the_way_of_a_path_is_held(bench: Workbench) -> None:
    """An ignored file where a folder arrives, and an ignored folder where a file arrives, are kept."""
    bench.commit({".gitignore": "sub\nplace\n"})
    bench.adopt()
    base, commit = bench.head(), bench.promote({b"sub/new.txt": b"theirs\n", b"place": b"theirs\n"})
    (bench.work / "sub").write_text("mine\n")
    assert _rule(deliver(bench.work, "main", base, bench.live_git, commit)) == "worktree-dirty"
    assert (bench.work / "sub").read_text() == "mine\n"
    (bench.work / "sub").unlink()
    (bench.work / "place").mkdir()
    (bench.work / "place/note").write_text("mine\n")
    held = deliver(bench.work, "main", base, bench.live_git, commit)
    assert _rule(held) == "worktree-dirty"
    assert (bench.work / "place/note").read_text() == "mine\n"
    shutil.rmtree(bench.work / "place")
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()


def test_a_folder_becomes_a_file(bench: Workbench) -> None:
    """A tracked folder that a file replaces is no obstacle, and the other way round neither."""
    base, commit = bench.head(), bench.promote({b"doc/read.md": None, b"doc": b"file\n"})
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert (bench.work / "doc").read_text() == "file\n"
    back = bench.promote({b"doc": None, b"doc/read.md": b"text\n"})
    assert deliver(bench.work, "main", commit, bench.live_git, back) == Passed()
    assert (bench.work / "doc/read.md").read_text() == "text\n"
    assert bench.git("status", "--porcelain") == ""


def test_an_added_file_that_arrived_before_the_cut_is_finished(bench: Workbench) -> None:
    """A new file that a cut-short delivery already wrote, ignored or not, does not hold the next call."""
    base, commit = bench.head(), bench.promote({b"new.txt": b"n\n", b"a.py": b"1\n"})
    (bench.work / "new.txt").write_text("n\n")
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert (bench.head(), bench.git("status", "--porcelain")) == (commit, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a repository away")
def test_another_users_repository_is_refused(bench: Workbench) -> None:
    """A repository of another user is refused with a remedy: files written there would be ours, not theirs."""
    shutil.chown(bench.work / ".git", 65534)
    with pytest.raises(Unusable) as caught:
        state(bench.work)
    assert caught.value.reference == "foreign-owner"
    assert caught.value.remedy


def test_line_endings_of_the_repository_are_kept(bench: Workbench) -> None:
    """With `eol=crlf` in .gitattributes the delivered file has these line ends and git sees nothing to commit."""
    bench.commit({".gitattributes": "*.txt text eol=crlf\n", "dos.txt": "one\n"})
    bench.adopt()
    (bench.work / "dos.txt").unlink()
    bench.git("checkout", "-q", "dos.txt")
    os.utime(bench.work / "dos.txt", (1, 1))
    assert (bench.work / "dos.txt").read_bytes() == b"one\r\n"
    assert state(bench.work).dirty == ()
    base, commit = bench.head(), bench.promote({b"dos.txt": b"two\n"})
    assert deliver(bench.work, "main", base, bench.live_git, commit) == Passed()
    assert (bench.work / "dos.txt").read_bytes() == b"two\r\n"
    assert bench.git("status", "--porcelain") == ""
