"""The guard's git repositories: objects of our own making that git accepts, commits that only go forward."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from release_bench import AT, Workbench

from greenroom.domain.errors import NotFound, Tampered, Unusable
from greenroom.domain.trees import Entry, File, Link, manifest_of
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.release.git import GitFailed, git
from greenroom.release.objects import GitObject, commit, read_commit
from greenroom.release.reading import manifest_of_commit
from greenroom.release.refs import LIVE_REF, RefRelease
from greenroom.release.trees import StoreTrees
from greenroom.testing.store import MemoryStore

pytestmark = pytest.mark.slow

FULL = os.environ.get("GREENROOM_SUITE") == "full"


def _evil(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw
    return raw.replace(old, new, 1)


def _raw(bench: Workbench, name: str) -> bytes:
    return git(bench.work / ".git", "cat-file", "commit", name)


def test_the_imported_commit_keeps_its_name(bench: Workbench) -> None:
    """The live commit is the person's own, byte for byte, without the history before it; git finds no fault."""
    assert bench.release.position(bench.subject) == bench.head()
    assert bench.release.live(bench.subject) == bench.tree_of("main") == bench.release.rehash(bench.subject)
    assert git(bench.live_git, "cat-file", "commit", "refs/heads/live") == _raw(bench, "main")
    assert git(bench.live_git, "rev-list", "--count", LIVE_REF) == b"1\n"
    git(bench.live_git, "fsck", "--strict", "--no-dangling")


def test_an_import_that_does_not_fit_is_refused(bench: Workbench) -> None:
    """Other files, another commit id, another tree line, or bytes that are no commit: nothing moves."""
    raw, head, before = _raw(bench, "main"), bench.head(), bench.release.position(bench.subject)
    other = bench.store.put("tree", manifest_of([]).encode())
    tree = bench.tree_of("main")
    forged = _evil(raw, b"A Person", b"Someone")
    cases = [
        (other, {"commit": head}, raw, "import-mismatch"),
        (tree, {"commit": "0" * 40}, raw, "import-mismatch"),
        (tree, {"commit": head}, forged, "import-mismatch"),
        (tree, {"commit": head}, _evil(raw, raw[5:45], b"1" * 40), "import-mismatch"),
        (tree, {}, b"tree of knowledge", "bad-commit"),
    ]
    for digest, origin, data, reference in cases:
        with pytest.raises(Unusable) as caught:
            bench.release.begin(bench.subject, digest, origin, data)
        assert caught.value.reference == reference
    assert bench.release.position(bench.subject) == before


def test_commits_only_go_forward(bench: Workbench) -> None:
    """Promote and revert each add a commit on the live one, by the box's author, at the given time."""
    start = bench.head()
    first = bench.promote({b"a.py": b"1\n"}, "Fix typos\n\nOne file.")
    back = bench.promote({b"a.py": b"import os\nimport sys\nprint(sys)\n"}, "Revert")
    assert git(bench.live_git, "rev-list", LIVE_REF).decode().split() == [back, first, start]
    assert read_commit(git(bench.live_git, "cat-file", "commit", first))[1] == (start,)
    shown = git(bench.live_git, "show", "-s", "--format=%an %ae %at %B", first).decode().strip()
    assert shown == f"Greenroom greenroom@localhost {AT // 10**9} Fix typos\n\nOne file."
    git(bench.live_git, "fsck", "--strict", "--no-dangling")


def test_the_owners_next_commit_is_adopted_with_its_history(bench: Workbench) -> None:
    """A commit whose parent the box has keeps the link to it; one whose parent it lacks is a new beginning."""
    first = bench.head()
    second = bench.commit({"more.txt": "x"})
    bench.adopt()
    assert git(bench.live_git, "rev-list", LIVE_REF).decode().split() == [second, first]
    bench.commit({"more.txt": "y"})
    fourth = bench.commit({"more.txt": "z"})
    bench.adopt()
    assert git(bench.live_git, "rev-list", LIVE_REF).decode().split() == [fourth]
    assert bench.release.rehash(bench.subject) == bench.tree_of(fourth)


def test_undo_is_a_bundle_with_all_files(bench: Workbench, tmp_path: Path) -> None:
    """`git clone` of the saved bundle gives the earlier files back, with exec bits and links."""
    before = bench.release.live(bench.subject)
    record = bench.release.save(bench.subject, AT)
    assert bench.release.save(bench.subject, AT) == record
    bench.promote({b"a.py": b"1\n"})
    (tmp_path / "undo.bundle").write_bytes(bench.store.get(record.bundle))
    bench.git("bundle", "verify", "-q", str(tmp_path / "undo.bundle"))
    bench.git("clone", "-q", "-b", "live", str(tmp_path / "undo.bundle"), str(tmp_path / "back"))
    bench.git("fsck", "--strict", cwd=tmp_path / "back")
    (tmp_path / "back" / ".git").rename(tmp_path / "back.git")
    assert StoreTrees(bench.store).seal(str(tmp_path / "back")) == before == record.live


def test_rehash_reads_every_byte(bench: Workbench) -> None:
    """A changed, missing or exchanged object behind the live ref is found, though `live` still answers."""
    live = bench.release.live(bench.subject)
    blob = git(bench.live_git, "rev-parse", f"{LIVE_REF}:a.py").decode().strip()
    path = bench.live_git / "objects" / blob[:2] / blob[2:]
    whole = path.read_bytes()
    path.unlink()
    for other in (None, b"junk", whole[:-3]):
        if other is not None:
            path.write_bytes(other)
        with pytest.raises(Tampered, match="live-broken"):
            bench.release.rehash(bench.subject)
    assert bench.release.live(bench.subject) == live


def test_an_exchanged_object_changes_the_digest(bench: Workbench) -> None:
    """Other bytes under a blob's name give another tree digest (git itself does not look)."""
    blob = git(bench.live_git, "rev-parse", f"{LIVE_REF}:a.py").decode().strip()
    other = git(bench.live_git, "rev-parse", f"{LIVE_REF}:gone.txt").decode().strip()
    objects = bench.live_git / "objects"
    (objects / blob[:2] / blob[2:]).unlink()
    (objects / blob[:2] / blob[2:]).write_bytes((objects / other[:2] / other[2:]).read_bytes())
    try:
        assert bench.release.rehash(bench.subject) != bench.release.live(bench.subject)
    except Tampered as found:
        assert found.reference == "live-broken"


@pytest.mark.parametrize("broken", ["", "junk\n", "0" * 39, "ref: refs/heads/other\n"])
def test_a_torn_ref_is_tampered(bench: Workbench, broken: str) -> None:
    """A live ref that is no commit id is never followed."""
    (bench.live_git / LIVE_REF).write_text(broken)
    with pytest.raises(Tampered, match="live-broken"):
        bench.release.live(bench.subject)


def test_leftovers_of_a_crash_do_not_stop_a_swap(bench: Workbench) -> None:
    """A ref lock and half objects that a killed process left are cleared, and the swap goes through."""
    live = bench.release.live(bench.subject)
    assert live is not None
    green = bench.store.put("tree", manifest_of([]).encode())
    (bench.live_git / "objects/tmp_obj_dead").write_bytes(b"half")
    staged = bench.release.stage(bench.subject, green, "message", AT)
    (bench.live_git / f"{LIVE_REF}.lock").write_text("")
    assert bench.release.swap(bench.subject, live, green, staged)
    assert bench.release.live(bench.subject) == green
    assert not (bench.live_git / "objects/tmp_obj_dead").exists()


def test_a_staged_name_from_elsewhere_is_not_taken(bench: Workbench) -> None:
    """A commit that was never staged, a foreign shape and an option-like word are refused, and nothing moves."""
    live, position = bench.release.live(bench.subject), bench.release.position(bench.subject)
    assert live is not None
    for word in ("--stdin", "HEAD", "", "../../x", "0" * 41):
        with pytest.raises(Unusable, match="bad-commit"):
            bench.release.swap(bench.subject, live, live, word)
    with pytest.raises(Tampered, match="live-broken"):
        bench.release.swap(bench.subject, live, live, "1" * 40)
    assert bench.release.position(bench.subject) == position


def test_messages_are_cleaned_and_bounded(bench: Workbench) -> None:
    """Control characters and endless text in a message do not reach the commit."""
    for message in ("one\0two\x1b[31m three", "x" * 100_000, "", "\ud800 lone", "\u202eback"):
        name = bench.promote({b"a.py": message.encode("utf-8", "replace")}, message)
        raw = git(bench.live_git, "cat-file", "commit", name)
        assert len(raw) < 20_000
        assert b"\0" not in raw
        assert b"\x1b" not in raw
        assert "\u202e" not in raw.decode()
    git(bench.live_git, "fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("author", ["", "no address", "a <b>\ncommitter x <y>", "a<b <c>", "a <b c>"])
def test_an_author_cannot_forge_a_header(author: str) -> None:
    """Only `Name <address>` on one line is an author."""
    with pytest.raises(Unusable, match="bad-author"):
        commit("0" * 40, (), author, AT, "message")


def test_a_release_import_is_a_root_commit(tmp_path: Path) -> None:
    """Without a commit the import is a root commit dated by its origin; a bad time is refused."""
    store = MemoryStore()
    release = RefRelease(tmp_path, store, StoreTrees(store))
    subject = Subject(kind=Kind.WORKSPACE, address="/src/package-1.0")
    tree = store.put("tree", manifest_of([]).encode())
    with pytest.raises(Unusable, match="bad-origin"):
        release.begin(subject, tree, {"at": "yesterday"}, b"")
    assert release.live(subject) is None
    release.begin(subject, tree, {"at": str(AT), "source": "package-1.0"}, b"")
    shown = git(release.git_dir(subject), "show", "-s", "--format=%at %P %s", release.position(subject)).decode()
    assert shown.split() == [str(AT // 10**9), "Import", "of", "package-1.0"]


def test_a_submodule_is_never_read_back(bench: Workbench) -> None:
    """A gitlink in a commit is Tampered, not skipped."""
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{bench.head()},sub")
    tree = bench.git("write-tree")
    name = bench.git("commit-tree", "-m", "x", tree)
    with pytest.raises(Tampered, match="not-a-file"):
        manifest_of_commit(bench.work / ".git", name)


def test_git_errors_are_clean() -> None:
    """What git says about a failure is bounded and without control characters; a missing place is NotFound."""
    with tempfile.TemporaryDirectory() as empty:
        with pytest.raises(GitFailed) as caught:
            git(Path(empty), "rev-parse", "HEAD")
        assert caught.value.message.isprintable()
        with pytest.raises(NotFound):
            git(Path(empty) / "nowhere", "rev-parse", "HEAD")


_PART = st.binary(min_size=1, max_size=6).filter(
    lambda name: not set(name) & {*range(0x20), 0x2F, 0x7F} and name.lower() not in (b".", b"..", b".git", b"git~1")
)


@hypothesis_settings(deadline=None, max_examples=300 if FULL else 12)
@given(
    files=st.dictionaries(
        st.lists(_PART, min_size=1, max_size=3).map(b"/".join), st.tuples(st.binary(max_size=40), st.integers(0, 2))
    )
)
def test_git_reads_back_any_tree(files: dict[bytes, tuple[bytes, int]]) -> None:
    """For any names and bytes: git takes our objects without complaint and gives exactly the tree back."""
    store = MemoryStore()
    paths = [path for path in files if not any(other.startswith(path + b"/") for other in files)]
    entries: list[Entry] = []
    for path in paths:
        data, what = files[path]
        if what == 2:
            entries.append(Link(path=path, target=b"x"))
        else:
            blob = store.put("blob", data)
            entries.append(File(path=path, executable=what == 1, size=len(data), blob=blob))
    tree = store.put("tree", manifest_of(entries).encode())
    subject = Subject(kind=Kind.WORKSPACE, address="/x")
    with tempfile.TemporaryDirectory() as scratch:
        release = RefRelease(Path(scratch), store, StoreTrees(store))
        release.begin(subject, tree, {}, b"")
        assert release.rehash(subject) == tree
        git(release.git_dir(subject), "fsck", "--strict")
        saved = Path(scratch) / "undo"
        saved.write_bytes(store.get(release.save(subject, Instant(0)).bundle))
        git(release.git_dir(subject), "bundle", "verify", "-q", str(saved))


def test_object_names_are_gits() -> None:
    """The names of the empty blob and tree are the ones that git knows."""
    assert GitObject("blob", b"").id == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert GitObject("tree", b"").id == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
