"""Runs bodies as the keeper does, without walls: a temporary directory stands for the cell."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import greenroom.tools

TOOLS = Path(greenroom.tools.__file__).parent
Files = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Ran:
    """What one run of a body left."""

    code: int
    result: Any
    artifacts: dict[str, bytes]
    stderr: str


def lay(directory: Path, files: Files) -> Path:
    """Write files below a directory."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toolchain directory that points at the installed packages."""
    home = tmp_path_factory.mktemp("golden")
    (home / "bin").mkdir()
    (home / "site").symlink_to(sysconfig.get_path("purelib"))
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    (home / "bin" / "ruff").symlink_to(ruff if ruff.exists() else shutil.which("ruff") or "/nonexistent")
    return home


Body = Callable[..., Ran]


@pytest.fixture
def body(tmp_path: Path, golden: Path) -> Body:
    """Start a body; trees are given as mappings or directories, blobs as bytes."""
    count = 0

    def start(
        name: str,
        args: Mapping[str, str | int] | None = None,
        blobs: Mapping[str, bytes] | None = None,
        dry_run: bool = False,
        variables: Mapping[str, str] | None = None,
        **trees: Files | Path,
    ) -> Ran:
        nonlocal count
        count += 1
        cell = tmp_path / f"cell{count}"
        (cell / "out").mkdir(parents=True)
        given = dict.fromkeys(blobs or {}, "blob:" + "0" * 64)
        mounts = {k: str(t if isinstance(t, Path) else lay(cell / "mnt" / k, t)) for k, t in trees.items()}
        lay(cell / "in", dict(blobs or {}))
        request = {
            "args": {**(args or {}), **given},
            "mounts": mounts,
            "dry_run": dry_run,
            "golden": str(golden),
            "deps": None,
            "out": str(cell / "out"),
            "in": str(cell / "in"),
        }
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-B", str(TOOLS / f"{name}.py")],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=120,
            check=False,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(cell), **(variables or {})},
        )
        result = cell / "out" / "result.json"
        artifacts = cell / "out" / "artifacts"
        return Ran(
            code=done.returncode,
            result=json.loads(result.read_bytes()) if result.exists() else None,
            artifacts={p.name: p.read_bytes() for p in sorted(artifacts.iterdir())} if artifacts.exists() else {},
            stderr=done.stderr.decode("utf-8", "replace"),
        )

    return start
