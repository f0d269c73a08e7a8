"""What a tool left in /out, read with bounds; hostile code may have written it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.domain.errors import TooLarge, Unusable

MAX_RESULT_BYTES = 8 * 1024 * 1024
MAX_ARTIFACTS = 256
MAX_ARTIFACT_BYTES = 16 * 1024 * 1024
MAX_ARTIFACTS_BYTES = 256 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The bytes of result.json, if there is one, and of the artifacts by name."""

    result: bytes | None = None
    artifacts: Mapping[str, bytes] = field(default_factory=dict)


def read(out: Path) -> Left:
    """The result and artifacts below `out`; regular files only, no link is followed.

    Raises Unusable `bad-output` or TooLarge `output-too-large` for anything that no tool may leave.
    """
    folder = os.open(out, _FOLDER)
    try:
        return Left(result=_file(folder, "result.json", MAX_RESULT_BYTES), artifacts=_artifacts(folder))
    finally:
        os.close(folder)


def _artifacts(out: int) -> Mapping[str, bytes]:
    try:
        folder = os.open("artifacts", _FOLDER, dir_fd=out)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _bad("artifacts", str(error.strerror)) from None
    try:
        names = sorted(os.listdir(folder))
        if len(names) > MAX_ARTIFACTS:
            raise TooLarge("output-too-large", f"a tool leaves at most {MAX_ARTIFACTS} artifacts")
        found: dict[str, bytes] = {}
        for name in names:
            found[name] = _artifact(folder, name)
            if sum(map(len, found.values())) > MAX_ARTIFACTS_BYTES:
                raise TooLarge("output-too-large", f"artifacts have at most {MAX_ARTIFACTS_BYTES} bytes together")
        return found
    finally:
        os.close(folder)


def _artifact(folder: int, name: str) -> bytes:
    if _NAME.fullmatch(name) is None:
        raise _bad("artifacts", f"the name {name[:80]!r} is not allowed")
    data = _file(folder, name, MAX_ARTIFACT_BYTES)
    if data is None:
        raise _bad(name, "it went away")
    return data


def _file(folder: int, name: str, limit: int) -> bytes | None:
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _bad(name, str(error.strerror)) from None
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _bad(name, "not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TooLarge("output-too-large", f"this file has at most {limit} bytes", where=name)
    return data


def _bad(name: str, why: str) -> Unusable:
    return Unusable("bad-output", f"what the tool left cannot be read: {why}", where=name)
