"""Which files are in scope: git's own reading of .gitignore, in a repository of nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.tools import _scope

BODY = _scope._body
"""The module as the tools see it: they are stand-alone programs."""


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_gitignore_is_read_as_git_reads_it(tmp_path: Path) -> None:
    """Nested files, negations, directories and odd names count as git says."""
    tree = lay(
        tmp_path,
        {
            ".gitignore": b"*.log\n!keep.log\nout/\n",
            "a.log": b"",
            "keep.log": b"",
            "out/deep/b.py": b"",
            "sub/.gitignore": b"/c.py\n",
            "sub/c.py": b"",
            "sub/sub/c.py": b"",
            "n\nl.log": b"",
        },
    )
    assert _scope.gitignored(tree) == {"a.log", "out/deep/b.py", "n\nl.log", "sub/c.py"}


def test_nobody_s_settings_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own excludes, and what a tree says beside its .gitignore files, do nothing."""
    home = lay(
        tmp_path / "home", {".config/git/ignore": b"*.py\n", ".gitconfig": b"[core]\nexcludesFile = /dev/null\n"}
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(home))
    tree = lay(tmp_path / "tree", {"a.py": b"", "b.txt": b"", ".gitignore": b"*.txt\n"})
    assert _scope.gitignored(tree) == {"b.txt"}


def test_odd_gitignores_do_no_harm(tmp_path: Path) -> None:
    """A link, a directory of that name, NUL bytes and a huge file end well; a link is not followed."""
    outside = lay(tmp_path / "outside", {"all": b"*\n"})
    tree = lay(
        tmp_path / "tree",
        {"a.py": b"", "x/.gitignore": b"\0\0*.py\n\xff\xfe\n", "x/b.py": b"", "y/.gitignore/z": b"", "w/c.py": b""},
    )
    (tree / ".gitignore").symlink_to(outside / "all")
    lay(tree, {"w/.gitignore": b"#" * 2_000_000 + b"\nc.py\n"})
    assert _scope.gitignored(tree) <= {"w/c.py", "x/b.py"}


def test_a_git_that_cannot_say_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is scanned on a guess."""
    tree = lay(tmp_path, {".gitignore": b"*\n"})
    monkeypatch.setattr(
        BODY, "program", lambda *args, **more: BODY.Ended(code=-9, stdout=b"", stderr=b"", timed_out=True)
    )
    with pytest.raises(BODY.Refusal) as caught:
        _scope.gitignored(tree)
    assert (caught.value.rule, caught.value.where) == ("gitignore-unusable", ".gitignore")


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("uv.lock", True),
        ("web/package-lock.json", True),
        ("jquery.min.js", True),
        ("a-min.css", True),
        ("lock.py", False),
        ("admin.py", False),
        ("package.json", False),
    ],
)
def test_lock_files_and_minified_files_are_made_by_programs(path: str, made: bool) -> None:
    """They are told by their names."""
    assert _scope.is_made(path) is made
