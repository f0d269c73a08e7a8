"""What all bodies share: the request, the result, artifacts, and programs with a fixed environment.

A body is started as ``/usr/bin/python3 -I -B /tools/<name>.py`` between walls. Its standard input is one JSON object::

    {"args": {...}, "mounts": {"work": "/mnt/work"}, "dry_run": false, "golden": "/golden", "deps": "/deps" or null}

`out` (default ``/out``) and `in` (default ``/in``) may be given besides; tests use them to run a body without walls.
The result document goes to ``<out>/result.json``, artifacts to ``<out>/artifacts/<flat name>``. Exit 0 means that the
body ran, whatever it found. What it cannot do for a reason that a person can mend is the result
``{"refused": {"rule": ..., "where": ..., "remedy": ...}}``; any other exit is a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_REQUEST_BYTES = 1024 * 1024
MAX_RESULT_BYTES = 8 * 1024 * 1024
MAX_ARTIFACT_BYTES = 16 * 1024 * 1024
MAX_ARTIFACTS = 256
MAX_BLOB_BYTES = 16 * 1024 * 1024
MAX_CAPTURE_BYTES = 64 * 1024 * 1024
_FLAT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Refusal(Exception):
    """The body cannot do what was asked, and a person can mend it."""

    def __init__(self, rule: str, where: str, remedy: str) -> None:
        super().__init__(f"{rule}: {where}")
        self.rule = rule
        self.where = where
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a body. `blobs` is the directory of the files that digest-typed arguments name."""

    args: Mapping[str, str | int]
    mounts: Mapping[str, Path]
    dry_run: bool
    golden: Path
    deps: Path | None
    out: Path
    blobs: Path

    def mount(self, name: str) -> Path:
        """The directory of the tree `name`; Refusal `mount-missing` where the keeper gave none."""
        if name not in self.mounts:
            raise Refusal("mount-missing", name, f"mount a tree as {name!r}")
        return self.mounts[name]

    def text(self, name: str, default: str | None = None) -> str:
        """A text argument; Refusal `argument-missing` without `default`, `argument-type` for a number."""
        value = self.args.get(name, default)
        if value is None:
            raise Refusal("argument-missing", name, f"give the argument {name!r}")
        if not isinstance(value, str):
            raise Refusal("argument-type", name, f"the argument {name!r} is text")
        return value

    def number(self, name: str, default: int) -> int:
        """A whole-number argument."""
        value = self.args.get(name, default)
        if not isinstance(value, int):
            raise Refusal("argument-type", name, f"the argument {name!r} is a whole number")
        return value

    def blob(self, name: str) -> bytes:
        """The bytes that the digest argument `name` stands for."""
        path = self.blobs / name
        if not path.is_file():
            raise Refusal("argument-missing", name, f"give the argument {name!r}")
        return read_bounded(path, MAX_BLOB_BYTES)

    def artifact(self, name: str, data: bytes) -> None:
        """Leave `data` as the artifact `name`."""
        if not _FLAT.fullmatch(name) or len(data) > MAX_ARTIFACT_BYTES:
            raise ValueError(f"no artifact can be called {name!r} with {len(data)} bytes")
        directory = self.out / "artifacts"
        directory.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)


def main(run: Callable[[Request], Mapping[str, Any]]) -> None:
    """Read the request, run the body, leave its result."""
    request = read_request(sys.stdin.buffer.read(MAX_REQUEST_BYTES + 1))
    try:
        result = run(request)
    except Refusal as refusal:
        result = {"refused": {"rule": refusal.rule, "where": refusal.where[:2000], "remedy": refusal.remedy[:2000]}}
    data = json.dumps(result, sort_keys=True, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_RESULT_BYTES:
        raise ValueError(f"a result has at most {MAX_RESULT_BYTES} bytes, this one has {len(data)}")
    (request.out / "result.json").write_bytes(data)


def read_request(data: bytes) -> Request:
    """The request document; ValueError when it is not one."""
    if len(data) > MAX_REQUEST_BYTES:
        raise ValueError(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    plain = json.loads(data)
    args, mounts = plain.get("args", {}), plain.get("mounts", {})
    if not all(isinstance(value, str | int) for value in args.values()):
        raise ValueError("arguments are text or whole numbers")
    deps = plain.get("deps")
    return Request(
        args=args,
        mounts={name: Path(path) for name, path in mounts.items()},
        dry_run=bool(plain.get("dry_run", False)),
        golden=Path(plain.get("golden", "/golden")),
        deps=Path(deps) if deps else None,
        out=Path(plain.get("out", "/out")),
        blobs=Path(plain.get("in", "/in")),
    )


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a regular file, not through a link; Refusal `file-too-large`, OSError as it comes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"not a regular file: {path}")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refusal("file-too-large", path.name, f"a file here has at most {limit} bytes")
    return data


def read_if_there(path: Path, limit: int) -> bytes | None:
    """As `read_bounded`, or None where there is no readable regular file of at most `limit` bytes."""
    try:
        return read_bounded(path, limit)
    except (OSError, Refusal):
        return None


def scratch(prefix: str = "greenroom-") -> Path:
    """A directory of this run; `/tmp` is private and goes away with the cell."""
    return Path(tempfile.mkdtemp(prefix=prefix))


def discard(directory: Path) -> None:
    """Remove what `scratch` made, but for what lies too deep: that goes away with the cell."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(directory, ignore_errors=True)


def fixed_env(home: Path, **more: str) -> dict[str, str]:
    """The whole environment of a program that a body starts."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        **more,
    }


def git_env(home: Path) -> dict[str, str]:
    """The environment of git: nobody's configuration, no prompts, no repository around `home`."""
    return fixed_env(
        home,
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_TERMINAL_PROMPT="0",
        GIT_ATTR_NOSYSTEM="1",
        GIT_OPTIONAL_LOCKS="0",
        LC_ALL="C",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended; `code` is negative for a signal, `timed_out` when it was killed for its time."""

    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


def program(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: int = 120) -> Ended:
    """Run a program in its own process group with its output in files; the group is killed at the end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _kill_group(process.pid)
            process.wait()
        return Ended(code=process.returncode, stdout=_tail(out), stderr=_tail(err), timed_out=timed_out)


@contextlib.contextmanager
def borrowed_git(tree: Path) -> Iterator[Callable[..., Ended]]:
    """git, each call with its own words and at most a minute, that reads `tree` as its work tree.

    Its repository is our own and empty, and nobody's configuration counts: the tree is read as data. Where it cannot be
    made, each call ends as its making did.
    """
    home = scratch()
    try:
        env, store = git_env(home), home / "empty.git"
        made = program(["git", "init", "-q", "--bare", "--template=", str(store)], cwd=home, env=env)
        argv = ["git", "-c", "core.bare=false", f"--git-dir={store}", f"--work-tree={tree.resolve()}"]

        def git(*words: str) -> Ended:
            return made if made.code else program([*argv, *words], cwd=tree, env=env, timeout_s=60)

        yield git
    finally:
        discard(home)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _tail(file: Any) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_CAPTURE_BYTES))
    data: bytes = file.read()
    return data
