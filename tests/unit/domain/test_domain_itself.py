"""Greenroom itself is told by marks: one is enough, none is left by a single rename, and others' trees have none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.itself import MAX_METADATA_BYTES, mark

ROOT = Path(__file__).parents[3]
NAMED = b'[project]\nname = "greenroom"\n'


def marked(files: Mapping[str, bytes]) -> str | None:
    """The mark of a tree of `files`."""
    return mark(files, lambda path: files[path][: MAX_METADATA_BYTES + 1])


@pytest.mark.parametrize(
    ("files", "by"),
    [
        ({"pyproject.toml": NAMED}, "pyproject.toml"),
        ({"pyproject.toml": b"[tool.poetry]\nname='Greenroom'  # the house\n"}, "pyproject.toml"),
        ({"pyproject.toml": b'[project]\n"name" = "greenroom"'}, "pyproject.toml"),
        ({"setup.cfg": b"[metadata]\nname = greenroom\n"}, "setup.cfg"),
        ({"setup.py": b"setup(name='greenroom', version='1')\n"}, "setup.py"),
        ({"PKG-INFO": b"Metadata-Version: 2.1\r\nName: greenroom\r\n"}, "PKG-INFO"),
        ({"libs/house/pyproject.toml": NAMED}, "libs/house/pyproject.toml"),
        ({"pyproject.toml": b"#" * MAX_METADATA_BYTES + NAMED}, "pyproject.toml"),
        ({"src/greenroom/rescue.py": b""}, "src/greenroom/rescue.py"),
        ({"greenroom/__init__.py": b""}, "greenroom/__init__.py"),
        ({"third_party/GreenRoom/guard/promote.py": b""}, "third_party/GreenRoom/guard/promote.py"),
        ({"house/policy/CONSTITUTION.yaml": b"", "house/policy/gate.cedar": b""}, "house/policy/gate.cedar"),
        ({"house/rescue.py": b"", "house/guard/a.py": b"", "house/keeper/b.py": b""}, "house/rescue.py"),
    ],
)
def test_each_mark_is_enough(files: Mapping[str, bytes], by: str) -> None:
    """The project's name, the package's, or what stands side by side nowhere else; at any depth."""
    assert marked(files) == by


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": b'[project]\nname = "greenroom-shell"\ndependencies = ["greenroom"]\n'},
        {"pyproject.toml": b'[project]\nname = "x"\n[project.entry-points."greenroom.proposers"]\nx = "x:X"\n'},
        {"setup.cfg": b"[metadata]\nname = greenroom_more\ninstall_requires = greenroom\n"},
        {"setup.py": b"setup(filename='greenroom')"},
        {"README.md": b'name = "greenroom"'},
        {"greenroom.toml": b"", "docs/greenroom/index.md": b"", "bin/greenroom": b"", "greenroom.py": b""},
        {"src/greenroom_shell/a.py": b"", "policy/CONSTITUTION.yaml": b"", "gate.cedar": b""},
        {"rescue.py": b"", "guard/notes.md": b"", "keeper/b.py": b""},
    ],
)
def test_others_have_no_mark(files: Mapping[str, bytes]) -> None:
    """A plug-in, a repository with a `greenroom.toml`, one with a constitution of its own: not Greenroom itself."""
    assert marked(files) is None


def test_this_repository_is_greenroom_itself_by_marks_that_lie_apart() -> None:
    """Whichever one thing is taken away or renamed, another mark tells: metadata, the package's name, its rooms."""
    places = ["pyproject.toml", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "src").rglob("*") if p.is_file())]
    files = {path: (ROOT / path).read_bytes() if path == "pyproject.toml" else b"" for path in places}
    assert marked(files) == "pyproject.toml"
    del files["pyproject.toml"]
    assert marked(files) == "src/greenroom/__init__.py"
    files = {path.replace("src/greenroom/", "src/house/"): data for path, data in files.items()}
    assert marked(files) == "src/house/policy/gate.cedar"
    del files["src/house/policy/gate.cedar"]
    assert marked(files) == "src/house/rescue.py"


_PARTS = st.sampled_from(
    ["greenroom", "src", "guard", "keeper", "rescue.py", "setup.py", "gate.cedar", "\udc80", "A.py"]
)
_TREES = st.dictionaries(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), st.binary(max_size=40), max_size=8)


@given(_TREES, _TREES)
def test_more_files_never_hide_a_mark(files: dict[str, bytes], more: dict[str, bytes]) -> None:
    """A mark is one of the tree's paths, and what is added beside it takes none away."""
    found = marked(files)
    assert found is None or found in files
    assert found is None or marked(more | files) is not None
