"""Compiles the launcher and the warden at set-up, with this machine's seccomp program built in."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from greenroom.domain.errors import Unusable

SOURCES = Path(__file__).parent / "launcher"
LAUNCHER = "gr_launch"
WARDEN = "gr_warden"
_STAMP = "gr_sources.sha256"
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-fstack-protector-strong")
_BARE = (
    *("-static", "-nostdlib", "-ffreestanding", "-fno-tree-loop-distribute-patterns", "-U_FORTIFY_SOURCE"),
    *("-mstack-protector-guard=global", "-Wl,-z,noseparate-code", "-Wl,-z,noexecstack"),
)
"""For a program without the C library; `gr_sys.c` has what it calls."""
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_TIMEOUT_S = 120


def build_launcher(into: Path, *, defined: tuple[str, ...] = ()) -> Path:
    """Compiles gr_launch and gr_warden into the directory `into`; returns the path of gr_launch.

    Does nothing when both are there and were built from these sources. `defined` are macros of a benchmark's own
    build: `GR_TIMES` lets the launcher say when each of its parts was done. Raises Unusable `no-compiler`,
    `no-libseccomp` or `launcher-build-failed`.
    """
    launcher = into / LAUNCHER
    sources = " ".join((_sources_digest(), *defined))
    if launcher.is_file() and (into / WARDEN).is_file() and _read(into / _STAMP) == sources:
        return launcher
    compiler = _compiler()
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gr-build-", dir=into) as scratch:
        work = Path(scratch)
        _write_filter(compiler, work)
        for name in (LAUNCHER, WARDEN):
            _compile_static(compiler, work, name, *(f"-D{macro}" for macro in defined))
        for name in (LAUNCHER, WARDEN):
            (work / name).chmod(0o555)
            os.replace(work / name, into / name)
        (work / _STAMP).write_text(sources, encoding="ascii")
        os.replace(work / _STAMP, into / _STAMP)
    return launcher


def _sources_digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(SOURCES.glob("*.c")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _compiler() -> str:
    found = shutil.which("cc", path=_ENV["PATH"])
    if found is None:
        raise Unusable(
            "no-compiler",
            "the sandbox launcher is compiled at set-up, and there is no C compiler",
            where="cc",
            remedy="install gcc and libc6-dev",
        )
    return found


def _write_filter(compiler: str, work: Path) -> None:
    """Builds and runs gr_filter, and writes its programs as C arrays of struct sock_filter (seccomp(2))."""
    try:
        _compile(compiler, work, "gr_filter", "-lseccomp")
    except Unusable as error:
        if "seccomp.h" not in error.message and "-lseccomp" not in error.message:
            raise
        raise Unusable(
            "no-libseccomp",
            "the sandbox launcher needs the headers of libseccomp",
            where="seccomp.h",
            remedy="install libseccomp-dev",
        ) from error
    arrays = [_as_array(name, _run([str(work / "gr_filter"), name])) for name in ("main", "truncate")]
    (work / "gr_filter.h").write_text("".join(arrays), encoding="ascii")


def _as_array(name: str, program: bytes) -> str:
    rows = []
    for at in range(0, len(program), 8):
        code = int.from_bytes(program[at : at + 2], "little")
        jumps = program[at + 2 : at + 4]
        value = int.from_bytes(program[at + 4 : at + 8], "little")
        rows.append(f"    {{{code:#06x}, {jumps[0]}, {jumps[1]}, {value:#010x}}},\n")
    return f"static const struct sock_filter gr_filter_{name}[] = {{\n{''.join(rows)}}};\n"


def _compile_static(compiler: str, work: Path, name: str, *macros: str) -> None:
    """Static: the command's LD_* variables and libraries then have no say before the walls are up.

    Without the C library where gr_sys is written for the processor and the compiler can: it starts in a fifth of
    the time.
    """
    if platform.machine() == "x86_64":
        try:
            _compile(compiler, work, name, str(SOURCES / "gr_sys.c"), *_BARE, f"-I{work}", *macros)
        except Unusable:
            pass
        else:
            return
    _compile(compiler, work, name, "-static", f"-I{work}", *macros)


def _compile(compiler: str, work: Path, name: str, *flags: str) -> None:
    _run([compiler, *_FLAGS, "-o", str(work / name), str(SOURCES / f"{name}.c"), *flags])


def _run(argv: list[str]) -> bytes:
    try:
        done = subprocess.run(argv, env=_ENV, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable("launcher-build-failed", str(error), where=argv[0], remedy="see the message") from error
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise Unusable("launcher-build-failed", message, where=Path(argv[0]).name, remedy="install gcc and libc6-dev")
    return done.stdout
