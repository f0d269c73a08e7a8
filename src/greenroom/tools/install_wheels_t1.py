"""Installs wheels into a directory of packages, without a network. No code of a wheel runs.

Blobs: `*.whl`, and `project.json` of ``{"name", "version", "entry_points": {group: {name: object}}}`` or null.
Leaves `site` beside the result: what `pip install --target` makes of the wheels, and an entry of
`importlib.metadata` for the project itself, so that it finds its own version and plug-ins without being installed.
What a wheel brings under a name of git's is left out: no tree may hold it, and no code needs it.
Result: ``{"wheels": [file names], "project": name or "", "left_out": [paths], "left_out_more": number}``; a broken
wheel is refused as `bad-wheel`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files

MAX_MEMBERS = 100_000
MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024
MAX_PROJECT_BYTES = 256 * 1024
MAX_LEFT_OUT = 20
"""How many of the entries that were left out are named; `left_out_more` counts the others."""
MAX_SHOWN = 200
GIT = frozenset({b".git", b"git~1"})
"""Names, in lower case, that no tree of the store may hold (`greenroom.domain.trees`)."""
PIP = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from pip._internal.cli.main import main; "
    "sys.exit(main(sys.argv[1:]))"
)


def run(request: _body.Request) -> Mapping[str, Any]:
    """Check the wheels; install them unless this is a rehearsal."""
    wheels = sorted(path for path in request.blobs.iterdir() if path.name.endswith(".whl"))
    project = read_project(request.blobs / "project.json")
    for wheel in wheels:
        check(wheel)
    left_out: list[str] = []
    if not request.dry_run:
        site = request.out / "site"
        site.mkdir()
        if wheels:
            run_pip(wheels, site, request.golden)
            left_out = leave_out(site)
        if project:
            describe(site, project)
    return {
        "wheels": [wheel.name for wheel in wheels],
        "project": project["name"] if project else "",
        "left_out": left_out[:MAX_LEFT_OUT],
        "left_out_more": max(0, len(left_out) - MAX_LEFT_OUT),
    }


def read_project(path: Path) -> dict[str, Any] | None:
    """What is known of the project itself, or None."""
    data = _body.read_if_there(path, MAX_PROJECT_BYTES)
    project = json.loads(data) if data else None
    return project if isinstance(project, dict) else None


def check(wheel: Path) -> None:
    """Refuse `bad-wheel` when `wheel` is no bounded archive with metadata."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise bad(wheel, f"not an archive: {error}") from None
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise bad(wheel, f"it unpacks to more than {MAX_MEMBERS} files or {MAX_UNPACKED_BYTES} bytes")
    if not any(re.fullmatch(r"[^/]+\.dist-info/METADATA", member.filename) for member in members):
        raise bad(wheel, "it has no METADATA")


def bad(wheel: Path, why: str) -> _body.Refusal:
    """The refusal of a wheel that cannot be installed."""
    return _body.Refusal("bad-wheel", f"{wheel.name}: {why}", "require another version of it")


def run_pip(wheels: list[Path], site: Path, golden: Path) -> None:
    """Install `wheels` into `site` with the toolchain's pip; the same wheels give the same bytes."""
    fixed = ["install", "--isolated", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--no-input"]
    quiet = ["--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off", "--quiet"]
    argv = [sys.executable, "-I", "-B", "-c", PIP, str(golden / "site"), *fixed, *quiet, f"--target={site}"]
    scratch = site.parent / "scratch"  # beside the target, since /tmp is small and pip moves what it unpacked
    scratch.mkdir()
    try:
        environment = _body.fixed_env(scratch, TMPDIR=str(scratch), PIP_CONFIG_FILE=os.devnull)
        ended = _body.program([*argv, *map(str, wheels)], cwd=scratch, env=environment, timeout_s=280)
    finally:
        _body.discard(scratch)
    if ended.code != 0:
        said = ended.stderr.decode("utf-8", "replace").strip()[-500:]
        raise _body.Refusal("install-failed", said or f"pip ended with {ended.code}", "require another version of it")


def leave_out(site: Path) -> list[str]:
    """Remove every entry of `site` with a name of git's; their paths below `site`, sorted, each bounded."""
    found: list[Path] = []
    for folder, folders, files in os.walk(site):
        found += [Path(folder, name) for name in (*folders, *files) if of_git(name)]
        folders[:] = [name for name in folders if not of_git(name)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return [_files.show(str(path.relative_to(site)))[:MAX_SHOWN] for path in sorted(found)]


def of_git(name: str) -> bool:
    """Whether `name` is one that git, on some file system, takes for its own directory."""
    return os.fsencode(name).lower() in GIT


def describe(site: Path, project: dict[str, Any]) -> None:
    """Write the project's own dist-info, unless a wheel brought one of that name."""
    normal = re.sub(r"[-_.]+", "_", project["name"]).lower()
    present = {re.sub(r"[-_.]+", "_", path.name.split("-")[0]).lower() for path in site.glob("*.dist-info")}
    if normal in present:
        return
    version = project.get("version") or "0.0.0"
    folder = site / f"{normal}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n", "utf-8")
    lines = []
    for group, points in sorted(project.get("entry_points", {}).items()):
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in sorted(points.items())), ""]
    (folder / "entry_points.txt").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    _body.main(run)
