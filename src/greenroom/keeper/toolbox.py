"""The directories that cells see at /tools: a tool's body and the modules beside it, with byte code, laid out once.

Nothing writes in one after it was made: a cell sees it read-only, and what a run could leave there would reach the
next. Its digest is on record, and is compared each time it is used.
"""

from __future__ import annotations

import hashlib
import os
import py_compile
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from greenroom.clearing import removed
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Bug, Tampered
from greenroom.domain.ports import Store

TARGET = "/tools"
_CODE = "__pycache__"
_MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


class Toolbox:
    """Prepared directories below `directory`, one for each body with its helpers; `store` holds the helpers."""

    def __init__(self, directory: Path, store: Store) -> None:
        self._directory = directory
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._code: dict[tuple[str, bytes], bytes] = {}
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        directory.chmod(0o755)

    def place(self, helpers: Mapping[str, Digest], python: str, name: str, body: bytes) -> Path:
        """The directory with `name`.py and `helpers` by file name, for cells whose interpreter is `python` (`3.11.2`).

        What another keeper left half made or spoilt is made again. Raises NotFound or Tampered for a helper that the
        store does not hold, and Tampered `tools-changed` where the directory is not as this keeper has known it.
        """
        wanted = {"helpers": helpers, "python": python, "name": name, "body": digest_of("blob", body)}
        key = hashlib.sha256(documents.encode(wanted)).hexdigest()
        final = self._directory / key
        with self._lock:
            known = self._known.get(key)
            if known is None:
                if _recorded(final) != _digest(final):
                    self._make(final, {**self._read(helpers), f"{name}.py": body}, python)
                self._known[key] = _recorded(final)
                return final
        if _digest(final) != known:
            raise Tampered(
                "tools-changed",
                "the prepared tools are not those that this keeper made",
                where=str(final),
                remedy="find out who writes there; `greenroom down`, and the next command has them made again",
            )
        return final

    def _read(self, helpers: Mapping[str, Digest]) -> dict[str, bytes]:
        return {name: self._store.get(digest) for name, digest in helpers.items()}

    def _make(self, final: Path, files: Mapping[str, bytes], python: str) -> None:
        part = final.with_name(f"{final.name}.part")
        for left in (part, final):
            removed(left)
        part.mkdir()
        for name, data in files.items():
            if name != Path(name).name or name.startswith("."):
                raise Bug("bad-input-name", f"not a file name: {name[:80]!r}")
            (part / name).write_bytes(data)
        if python.split(".")[:2] == [str(number) for number in sys.version_info[:2]]:
            self._compile(part, files)
        for folder, _, names in os.walk(part):
            for name in names:
                os.chmod(os.path.join(folder, name), 0o444)
            os.chmod(folder, 0o755)  # noqa: S103 - a sandbox under another uid reads here
        record = _record(final)
        record.with_suffix(".new").write_text(_digest(part), "ascii")
        part.rename(final)
        record.with_suffix(".new").replace(record)

    def _compile(self, directory: Path, files: Mapping[str, bytes]) -> None:
        """Byte code of what is imported (PEP 552, unchecked: nothing else may write there).

        What does not compile stays as it is. Tools share their helpers, which are compiled once.
        """
        (directory / _CODE).mkdir()
        for name in (name for name in files if name.startswith("_") and name.endswith(".py")):
            code = directory / _CODE / f"{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
            known = self._code.get((name, files[name]))
            if known is not None:
                code.write_bytes(known)
            elif py_compile.compile(
                str(directory / name), str(code), f"{TARGET}/{name}", quiet=2, invalidation_mode=_MODE
            ):
                self._code[name, files[name]] = code.read_bytes()


def _record(final: Path) -> Path:
    return final.with_name(f"{final.name}.sha256")


def _recorded(final: Path) -> str:
    try:
        return _record(final).read_text("ascii")
    except (OSError, ValueError):
        return "nothing"


def _digest(directory: Path) -> str:
    """SHA-256, in hex, of the names, modes and bytes below `directory`; of nothing where it is not there."""
    total = hashlib.sha256()
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted((*folders, *names)):
            path = os.path.join(folder, name)
            data = b"" if name in folders else Path(path).read_bytes()
            line = f"{os.path.relpath(path, directory)}\0{os.lstat(path).st_mode:o}\0{len(data)}\0"
            total.update(line.encode("utf-8", "surrogateescape") + data)
    return total.hexdigest()
