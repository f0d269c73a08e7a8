"""A person's repository, and a box that imported it, for the tests of the release room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain.digest import Digest
from greenroom.domain.trees import File, Link, manifest_of
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.release.refs import RefRelease
from greenroom.release.trees import StoreTrees
from greenroom.testing.store import MemoryStore

AT = Instant(1_760_000_000_000_000_000)
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
    "GIT_AUTHOR_DATE": "1760000000 +0200",
    "GIT_COMMITTER_DATE": "1760000000 +0200",
}


@dataclass(frozen=True)
class Workbench:
    """`work` is the person's repository; `release` the box's driver with `subject` in it."""

    work: Path
    subject: Subject
    store: MemoryStore
    release: RefRelease

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """git as the person runs it."""
        ended = subprocess.run(
            ["git", *words], cwd=cwd or self.work, env=_ENVIRONMENT, capture_output=True, text=True, check=True
        )
        return ended.stdout.removesuffix("\n")

    def head(self, branch: str = "main") -> str:
        """The commit at the end of a branch."""
        return self.git("rev-parse", f"refs/heads/{branch}")

    def commit(self, files: Mapping[str, str | None], message: str = "by hand") -> str:
        """Write (None: remove) files and commit them, as the person."""
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tree_of(self, commit: str) -> Digest:
        """The tree digest of a commit, read by a second, simple path: one git call for each file."""
        entries: list[File | Link] = []
        for line in self.git("ls-tree", "-r", "-z", commit).split("\0")[:-1]:
            what, path = line.split("\t")
            mode, _, blob = what.split(" ")
            data = subprocess.run(
                ["git", "cat-file", "blob", blob], cwd=self.work, env=_ENVIRONMENT, capture_output=True, check=True
            ).stdout
            name = os.fsencode(path)
            if mode == "120000":
                entries.append(Link(path=name, target=data))
            else:
                digest = self.store.put("blob", data)
                entries.append(File(path=name, executable=mode == "100755", size=len(data), blob=digest))
        return self.store.put("tree", manifest_of(entries).encode())

    def adopt(self, commit: str | None = None) -> Digest:
        """Import a commit (default: the head of main) into the box."""
        name = commit or self.head()
        raw = subprocess.run(
            ["git", "cat-file", "commit", name], cwd=self.work, env=_ENVIRONMENT, capture_output=True, check=True
        ).stdout
        return self.release.begin(self.subject, self.tree_of(name), {"commit": name}, raw)

    def promote(self, files: Mapping[bytes, bytes | None], message: str = "by the box") -> str:
        """Change files of the live tree through the driver; the live commit."""
        live = self.release.live(self.subject)
        assert live is not None
        entries = dict(StoreTrees(self.store).manifest(live).by_path())
        for path, data in files.items():
            entries.pop(path, None)
            if data is not None:
                blob = self.store.put("blob", data)
                entries[path] = File(path=path, executable=False, size=len(data), blob=blob)
        green = self.store.put("tree", manifest_of(entries.values()).encode())
        staged = self.release.stage(self.subject, green, message, AT)
        assert self.release.swap(self.subject, live, green, staged)
        return staged

    @property
    def live_git(self) -> Path:
        """The box's bare repository."""
        return self.release.git_dir(self.subject)


def workbench(tmp_path: Path) -> Workbench:
    """A repository with three commits, imported."""
    work = tmp_path / "work"
    work.mkdir()
    store = MemoryStore()
    release = RefRelease(tmp_path / "live", store, StoreTrees(store))
    made = Workbench(work, Subject(kind=Kind.WORKSPACE, address=str(work)), store, release)
    made.git("init", "-q", "-b", "main")
    made.commit({"a.py": "import os\nimport sys\nprint(sys)\n", "doc/read.md": "teh text\n"})
    made.commit({"bin/run.sh": "#!/bin/sh\n", "gone.txt": "to be removed\n"})
    (work / "bin/run.sh").chmod(0o755)
    (work / "link").symlink_to("a.py")
    made.commit({})
    made.adopt()
    return made
