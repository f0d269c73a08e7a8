"""Runs an SQL script on a SQLite database below `system/` of the tree at `work`, after a backup.

Arguments: `database` and `backup`, paths below ``system/`` (the backup must not exist yet); `script`, the digest of the
SQL. The backup is written and compared before the script starts; the script runs in one transaction and may not
attach files, load extensions or change how the database is stored. A rehearsal runs on a copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _system
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _system

_DENIED = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION})
_DENIED_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


def run(request: _body.Request) -> Mapping[str, Any]:
    """1 backup, 2 compare it, 3 migrate in one transaction, 4 integrity check."""
    work = request.mount("work")
    database = _system.below(work, request.text("database"))
    backup = _system.below(work, request.text("backup"), must_exist=False)
    if backup.exists():
        raise _body.Refusal("backup-exists", request.text("backup"), "name a file that does not exist yet")
    script = _script(request.blob("script"))
    home = _body.scratch()
    try:
        target, saved = database, backup
        if request.dry_run:
            target, saved = home / "database", home / "backup"
            shutil.copyfile(database, target)
        before = _contents(target)
        _back_up(target, saved, before)
        _migrate(target, script)
        after = _contents(target)
        checksum = _sum(saved)
    finally:
        _body.discard(home)
    return {
        "database": request.text("database"),
        "backup": request.text("backup"),
        "applied": not request.dry_run,
        "before": before,
        "after": after,
        "backup_sha256": checksum,
    }


def _script(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _body.Refusal("script-not-text", "script", "an SQL script is UTF-8 text") from None


def _back_up(target: Path, saved: Path, before: Mapping[str, Any]) -> None:
    with closing(sqlite3.connect(target)) as source, closing(sqlite3.connect(saved)) as copy:
        source.backup(copy)
        copy.commit()
    if _contents(saved) != before:
        raise RuntimeError("the backup does not hold what the database holds")
    with saved.open("rb") as file:
        os.fsync(file.fileno())


def _migrate(target: Path, script: str) -> None:
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.set_authorizer(_authorize)
        try:
            for statement in _statements(script):
                connection.execute(statement)
        except sqlite3.Error as error:
            connection.set_authorizer(None)
            connection.execute("ROLLBACK")
            raise _body.Refusal("migration-fails", f"{error}"[:500], "mend the script") from None
        connection.set_authorizer(None)
        connection.execute("COMMIT")
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise RuntimeError("the database is damaged after the script")


def _statements(script: str) -> list[str]:
    """The script's statements; `executescript` would commit the transaction first."""
    found, rest = [], ""
    for piece in script.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    if rest.strip(" \t\r\n;"):
        found.append(rest)
    return found


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    del first
    if action in _DENIED or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _DENIED_FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _contents(path: Path) -> Mapping[str, Any]:
    """Tables with their row counts, and a checksum over schema and rows."""
    digest = hashlib.sha256()
    try:
        with closing(sqlite3.connect(path)) as connection:
            for line in connection.iterdump():
                digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
            names = [
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
            ]
            quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
            rows = {name: connection.execute(f"SELECT count(*) FROM {q}").fetchone()[0] for name, q in quoted.items()}  # noqa: S608 - names are quoted
    except sqlite3.DatabaseError as error:
        raise _body.Refusal("not-a-database", f"{path.name}: {error}", "name a SQLite database") from None
    return {"sha256": digest.hexdigest(), "tables": rows}


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    _body.main(run)
