"""The toolchain's files, copied from the installed distributions that Greenroom itself depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath

from greenroom.domain.errors import Unusable

DISTRIBUTIONS = (
    "bandit",
    "codespell",
    "iniconfig",
    "markdown-it-py",
    "mdurl",
    "packaging",
    "pathspec",
    "pip",
    "pluggy",
    "pygments",
    "pytest",
    "pyyaml",
    "rich",
    "ruff",
    "stevedore",
)
PROGRAMS = frozenset({"ruff"})
_LEFT_OUT = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


def copy(distributions: Sequence[str], into: Path) -> None:
    """Write `site/` (packages with their metadata) and `bin/` (PROGRAMS) below the directory `into`.

    What an installer adds for itself stays out, so that the same versions give the same tree on every machine.
    Raises Unusable `toolchain-incomplete`.
    """
    for name in ("site", "bin"):
        (into / name).mkdir(parents=True)
    for distribution in _distributions(distributions):
        for relative, source in _files(distribution):
            target = into / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(0o755 if relative.parts[0] == "bin" else 0o644)


def versions(distributions: Sequence[str]) -> Mapping[str, str]:
    """Version by distribution name."""
    return {d.metadata["Name"].lower(): d.version for d in _distributions(distributions)}


def key(distributions: Sequence[str]) -> str:
    """Names the installed state: SHA-256 (hex, shortened) over the installers' records of the distributions."""
    state = hashlib.sha256()
    for distribution in _distributions(distributions):
        record = distribution.read_text("RECORD") or ""
        state.update(f"{distribution.metadata['Name']} {distribution.version} {len(record)}\n{record}".encode())
    return state.hexdigest()[:32]


def _distributions(names: Sequence[str]) -> Iterator[metadata.Distribution]:
    for name in sorted(names):
        try:
            yield metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise _incomplete(name) from None


def _files(distribution: metadata.Distribution) -> Iterator[tuple[PurePosixPath, Path]]:
    found = distribution.files
    if not found:
        raise _incomplete(distribution.metadata["Name"])
    for file in found:
        path = PurePosixPath(file.as_posix())
        source = Path(str(file.locate()))
        if path.parts[0] == "..":
            if path.parent.name == "bin" and path.name in PROGRAMS:
                yield PurePosixPath("bin", path.name), source
        elif not _left_out(path) and source.is_file():
            yield PurePosixPath("site", path), source


def _left_out(path: PurePosixPath) -> bool:
    own = path.parts[0].endswith(".dist-info") and path.name in _LEFT_OUT
    return own or "__pycache__" in path.parts or path.suffix in (".pyc", ".pth") or path.is_absolute()


def _incomplete(name: str) -> Unusable:
    return Unusable(
        "toolchain-incomplete",
        f"the distribution {name!r} is not installed beside Greenroom",
        where=name,
        remedy="install Greenroom again with its dependencies",
    )
