"""`--out DIR`: cards and patches as files, in a directory of their own. What somebody else wrote there is left alone.

The directory is new, empty, or one that an earlier run wrote. `greenroom-out.json` in it names each file that was
written with the SHA-256 of its content; a file that is not as it was written is nobody's to overwrite or remove. The
names are on the disk before the files are, so that a run that was cut can be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.domain.errors import Unusable
from greenroom.entrypoints.cli import mail, markdown

MANIFEST = "greenroom-out.json"
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
ENDED = ("aborted", "reverted", "promoted", "kept")
_EMPTY = "name a new or an empty directory, or one that an earlier `improve --out` wrote"


def files_of(
    answer: Mapping[str, Any], show: Callable[[str], Mapping[str, Any]], read: Callable[[str], bytes], at: int
) -> dict[str, bytes]:
    """The files for an answer of `improve`: three for each open proposal, a page about all, the answer itself.

    `show` gives a change as `greenroom show` does, `read` stored bytes by digest; `at` dates the patches (UTC, ns).
    """
    rows = [row for row in (*answer["changes"], *answer["known"], *answer["left"]) if row["state"] not in ENDED]
    files: dict[str, bytes] = {"answer.json": _json(answer), "proposals.md": _page(rows).encode()}
    for row in rows:
        shown = show(row["id"])
        proposal = shown["proposal"]
        patch = read(proposal["patch"])
        body = f"{proposal['rationale']}\n\nGreenroom {row['id']}, {proposal['proposer']}, rule {proposal['rule']}"
        files[f"{row['id']}.json"] = _json(shown)
        files[f"{row['id']}.md"] = markdown.card(shown, patch).encode()
        files[f"{row['id']}.patch"] = mail.mail(subject=proposal["summary"], body=body, patch=patch, at=at)
    return files


class Handout:
    """The directory. Raises Unusable `out-not-ours`, `out-changed` or `out-in-the-way`, and leaves all as it is.

    `out-not-writable` where it cannot be written.
    """

    def __init__(self, directory: str) -> None:
        self.directory = Path(os.path.realpath(directory))

    def require(self) -> None:
        """Return where `write` could write now."""
        self._ours()
        there = next(place for place in (self.directory, *self.directory.parents) if place.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise _unwritten(there, "it is not yours to write in")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put `files` there, and take away what an earlier run wrote and this one does not."""
        ours = self._ours()
        taken = [name for name in files if name not in ours and os.path.lexists(self.directory / name)]
        if taken:
            raise _no("out-in-the-way", "a file that greenroom did not write is in the way", self.directory / taken[0])
        try:
            self._replace(ours, files)
        except OSError as error:
            raise _unwritten(self.directory, str(error.strerror)) from None

    def _replace(self, ours: Mapping[str, Sequence[str]], files: Mapping[str, bytes]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        fresh = {name: _sha256(data) for name, data in files.items()}
        both = {name: [*ours.get(name, ()), *([fresh[name]] if name in fresh else [])] for name in {**ours, **fresh}}
        self._put(MANIFEST, _json({"files": both}))
        for name, data in files.items():
            self._put(name, data)
        for name in ours.keys() - files.keys():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.directory / name)
        self._put(MANIFEST, _json({"files": {name: [digest] for name, digest in fresh.items()}}))

    def _ours(self) -> Mapping[str, Sequence[str]]:
        """What an earlier run wrote: names with the digests that each may have."""
        if not os.path.lexists(self.directory):
            return {}
        try:
            there = os.listdir(self.directory)
        except NotADirectoryError:
            raise _no("out-not-ours", "this is no directory", self.directory) from None
        except OSError as error:
            raise _unwritten(self.directory, str(error.strerror)) from None
        written = self._written() if MANIFEST in there else None
        if written is None:
            if there:
                raise _no("out-not-ours", "there are files here that greenroom did not write", self.directory)
            return {}
        for name, digests in written.items():
            path = self.directory / name
            if os.path.lexists(path) and _digest(path) not in digests:
                remedy = "move it away, or name another directory"
                raise Unusable("out-changed", "this file is not as greenroom wrote it", where=str(path), remedy=remedy)
        return written

    def _written(self) -> Mapping[str, Sequence[str]] | None:
        """The manifest; None where it is not one."""
        try:
            with open(os.open(self.directory / MANIFEST, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                files = json.loads(file.read(MAX_MANIFEST_BYTES))["files"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        sound = isinstance(files, dict) and all(
            Path(name).name == name and isinstance(digests, list) for name, digests in files.items()
        )
        return files if sound else None

    def _put(self, name: str, data: bytes) -> None:
        part = self.directory / f".{name}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.directory / name)


def _page(rows: Sequence[Mapping[str, Any]]) -> str:
    """All proposals at a glance."""
    cells = [(row["id"], _state(row), _or_dash(row["risk"]), row["rule"], row["summary"]) for row in rows]
    found = markdown.table(("change", "state", "risk", "rule", "summary"), cells) if cells else "Nothing waits."
    return f"# Proposals\n\n{found}\n\nEach has a card (`ID.md`, `ID.json`) and a patch: `git am ID.patch`.\n"


def _state(row: Mapping[str, Any]) -> str:
    return f"{row['state']}, {row['held']['rule']}" if row["held"] else str(row["state"])


def _or_dash(value: object) -> object:
    return "-" if value is None else value


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of a regular file, empty for anything else."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _unwritten(where: Path, why: str) -> Unusable:
    remedy = "name a directory that you may write in, with room in it; the proposals wait in the box"
    return Unusable("out-not-writable", f"cards and patches cannot be written: {why}", where=str(where), remedy=remedy)


def _no(reference: str, message: str, where: Path) -> Unusable:
    return Unusable(reference, message, where=str(where), remedy=_EMPTY)
