"""The tools of tier 2 and 3, and what all bodies share."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from greenroom.tools import _body, _files

pytestmark = pytest.mark.slow


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A tree with a system directory."""
    system = tmp_path / "work" / "system"
    system.mkdir(parents=True)
    (system / "app.json").write_text('{"port": 1, "log": {"level": "info"}}')
    (system / "app.ini").write_text("[main]\nPort = 1\n")
    with closing(sqlite3.connect(system / "app.db")) as connection:
        connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("file", "key", "value", "has"),
    [
        ("system/app.json", "log.level", "debug", '"level": "debug"'),
        ("system/app.json", "port", "8080", '"port": 8080'),
        ("system/app.ini", "main.Port", "8080", "Port = 8080"),
    ],
)
def test_config_update_sets_one_value(body: Any, work: Path, file: str, key: str, value: str, has: str) -> None:
    """The value is set, the rest stays; a rehearsal writes nothing."""
    args = {"file": file, "key": key, "value": value}
    before = (work / file).read_bytes()
    assert body("config_update_t2", args, dry_run=True, work=work).result["changed"] is True
    assert (work / file).read_bytes() == before
    assert body("config_update_t2", args, work=work).result["applied"] is True
    assert has in (work / file).read_text()


@pytest.mark.parametrize(
    ("file", "key", "rule"),
    [
        ("app.json", "a", "path-outside-system"),
        ("system/../x.json", "a", "path-outside-system"),
        ("/etc/passwd", "a", "path-outside-system"),
        ("system/link.json", "a", "path-outside-system"),
        ("system/none.json", "a", "file-missing"),
        ("system/app.json", "no.such.key", "config-key-missing"),
        ("system/app.ini", "nosection.key", "config-key-missing"),
        ("system/app.db", "a.b", "config-kind-unknown"),
    ],
)
def test_config_update_refuses_what_is_outside(body: Any, work: Path, file: str, key: str, rule: str) -> None:
    """Paths out of system/, links, missing files and keys are refused by name."""
    (work / "system" / "link.json").symlink_to("app.json")
    ran = body("config_update_t2", {"file": file, "key": key, "value": "1"}, work=work)
    assert ran.result["refused"]["rule"] == rule


def migrate(body: Any, work: Path, script: str, **more: Any) -> Any:
    """Run a script on the database."""
    args = {"database": "system/app.db", "backup": "system/app.bak"}
    return body("db_migrate_t2", args, blobs={"script": script.encode()}, work=work, **more)


def test_a_migration_saves_first(body: Any, work: Path) -> None:
    """The backup holds what was there before; the database what the script made of it."""
    ran = migrate(body, work, "ALTER TABLE t ADD COLUMN b; INSERT INTO t VALUES (3, 'a;b');")
    assert ran.code == 0, ran.stderr
    assert (ran.result["before"]["tables"], ran.result["after"]["tables"]) == ({"t": 2}, {"t": 3})
    with closing(sqlite3.connect(work / "system" / "app.bak")) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_a_rehearsed_migration_writes_nothing(body: Any, work: Path) -> None:
    """A rehearsal shows the result on a copy."""
    before = (work / "system" / "app.db").read_bytes()
    ran = migrate(body, work, "DELETE FROM t;", dry_run=True)
    assert ran.result["after"]["tables"] == {"t": 0}
    assert (work / "system" / "app.db").read_bytes() == before
    assert not (work / "system" / "app.bak").exists()


@pytest.mark.parametrize(
    "script",
    [
        "INSERT INTO t VALUES (9); INSERT INTO missing VALUES (1);",
        "ATTACH '/tmp/x' AS y;",
        "PRAGMA journal_mode=OFF;",
        "DELETE FROM t; COMMIT; DELETE FROM t;",
        "SELECT load_extension('x');",
        "not sql",
    ],
)
def test_a_failing_migration_changes_nothing(body: Any, work: Path, script: str) -> None:
    """What fails or steps outside the transaction is taken back whole."""
    ran = migrate(body, work, script)
    assert ran.result["refused"]["rule"] == "migration-fails"
    with closing(sqlite3.connect(work / "system" / "app.db")) as connection:
        assert connection.execute("SELECT a FROM t ORDER BY a").fetchall() == [(1,), (2,)]


def test_a_migration_needs_a_backup(body: Any, work: Path) -> None:
    """Without the backup argument, or over an existing file, nothing runs."""
    ran = body("db_migrate_t2", {"database": "system/app.db"}, blobs={"script": b"DELETE FROM t;"}, work=work)
    assert ran.result["refused"]["rule"] == "argument-missing"
    (work / "system" / "app.bak").write_text("")
    assert migrate(body, work, "DELETE FROM t;").result["refused"]["rule"] == "backup-exists"


def test_factory_reset_empties_system_only(body: Any, work: Path) -> None:
    """A rehearsal counts; the act removes what is in system/, and follows no link."""
    (work / "keep.txt").write_text("x")
    (work / "system" / "out").symlink_to(work)
    assert body("factory_reset_t3", dry_run=True, work=work).result == {"applied": False, "found": 4, "removed": 0}
    assert body("factory_reset_t3", work=work).result["removed"] == 4
    assert sorted(path.name for path in work.iterdir()) == ["keep.txt", "system"]
    assert list((work / "system").iterdir()) == []


def test_a_missing_mount_is_refused(body: Any) -> None:
    """A body says which tree it lacks."""
    assert body("factory_reset_t3").result["refused"]["rule"] == "mount-missing"


@pytest.mark.parametrize("data", [b"", b"[]", b'{"args": {"a": []}}', b"\xff"])
def test_malformed_requests_crash(data: bytes) -> None:
    """The keeper writes requests; anything else is a crash, not a guess."""
    with pytest.raises((ValueError, AttributeError)):
        _body.read_request(data)


def test_artifacts_have_flat_names(tmp_path: Path) -> None:
    """No artifact leaves its directory."""
    request = _body.read_request(json.dumps({"out": str(tmp_path)}).encode())
    for name in ("../x", "a/b", "", ".hidden", "x" * 200):
        with pytest.raises(ValueError, match="no artifact"):
            request.artifact(name, b"")
    request.artifact("a.patch", b"x")
    assert (tmp_path / "artifacts" / "a.patch").read_bytes() == b"x"


def test_walking_follows_no_link(tmp_path: Path) -> None:
    """Links are named, never entered; .git is left out."""
    (tmp_path / "a" / ".git").mkdir(parents=True)
    (tmp_path / "a" / ".git" / "config").write_text("")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "f").write_text("")
    assert list(_files.walk(tmp_path)) == ["a/f", "a/loop"]


def test_programs_leave_nothing_running() -> None:
    """A program that outlives its time dies with its children."""
    home = _body.scratch()
    try:
        ended = _body.program(["sh", "-c", "cat <&1 & wait"], cwd=home, env=_body.fixed_env(home), timeout_s=60)
        slow = _body.program(
            ["python3", "-c", "import threading; threading.Event().wait()"],
            cwd=home,
            env=_body.fixed_env(home),
            timeout_s=1,
        )
    finally:
        _body.discard(home)
    assert ended.timed_out is False
    assert (slow.timed_out, slow.code) == (True, -9)


def test_changed_lines_are_those_of_a_diff() -> None:
    """Removed lines are counted on base, added ones on green."""
    lines = _files.changed_lines("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n")
    assert (sorted(lines.removed), sorted(lines.added)) == ([2], [2, 5])
