"""What a failed case says: everything that is left of it, so that a failure seen once can be understood.

Each section is read on its own; one that cannot be read says why in its place.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.audit.check import check
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.keys import load_public
from greenroom.audit.reader import read_copy
from greenroom.domain.documents import load_json

if TYPE_CHECKING:
    from crash_box import CrashBox

LISTED = ("db", "guard", "live", "log", "run")
MOST_FILES = 200
LEDGER = {
    "generations": "SELECT id, change, state, before, paper, green, staged FROM generations",
    "warrants": "SELECT digest, change, spent FROM warrants",
    "nonces": "SELECT nonce, spent_on FROM nonces",
    "days": "SELECT subject, day, changes, lines, risk FROM days",
}


@contextlib.contextmanager
def told(box: CrashBox, case: object) -> Iterator[None]:
    """Whatever goes wrong inside ends as an AssertionError that tells the whole story."""
    try:
        yield
    except Exception as error:
        # read before anything else is done with the box
        words = story(box)
        raise AssertionError(f"{case}: {type(error).__name__}: {error}\n\n{words}") from error


def story(box: CrashBox) -> str:
    """The commands of the case and what they printed, the processes, the log, its check, the databases, the files."""
    sections: Mapping[str, Callable[[], Iterable[str]]] = {
        "commands": lambda: box.said,
        "processes": lambda: _processes(box),
        "what the processes said": lambda: [box.processes_log()],
        "log check": lambda: _log_check(box),
        "log": lambda: _log(box),
        "changes": lambda: _rows(box.box.db / "box.db", "SELECT id, state, open, version, document FROM changes"),
        "deliveries": lambda: _rows(box.box.db / "box.db", "SELECT * FROM deliveries"),
        "durable runs": lambda: _rows(box.box.db / "dbos.db", "SELECT workflow_uuid, status FROM workflow_status"),
        **{f"guard: {name}": partial(_rows, box.box.guard / "guard.db", sql) for name, sql in LEDGER.items()},
        "live and branch": lambda: _live(box),
        "files of the box": lambda: _files(box.box.root),
    }
    return "\n".join(f"== {name} ==\n{_read(section)}" for name, section in sections.items())


def _read(section: Callable[[], Iterable[str]]) -> str:
    try:
        return "\n".join(section())
    except Exception as error:
        return f"cannot be read: {type(error).__name__}: {error}"


def _processes(box: CrashBox) -> Iterator[str]:
    yield f"load {os.getloadavg()}, crash wished at {box.crash_at!r}, it came: {box.crashed}"
    for role in ("rescue", "guard", "keeper", "executor"):
        pid = box.pid(role)
        yield f"{role}: {'not there' if pid is None else _process(pid)}"


def _process(pid: int) -> str:
    with contextlib.suppress(OSError):
        at = Path(f"/proc/{pid}")
        state = (at / "stat").read_text().rpartition(")")[2].split()[0]
        threads = [(task / "wchan").read_text() for task in (at / "task").iterdir()]
        return f"process {pid}, state {state}, its threads wait in {', '.join(threads)}"
    return f"process {pid}, gone meanwhile"


def _log_check(box: CrashBox) -> Iterator[str]:
    public = load_public(box.box.public / "guard.pub")
    kept = KeptCheckpoint(box.box.guard / "checkpoint", (public,)).latest()
    report = check(box.box.log, (public,), kept=kept[1] if kept else None)
    yield f"{'ok' if report.ok else 'NOT OK'}: {report.size} entries, root {report.root}"
    yield from (f"{finding.rule} at {finding.entry}: {finding.message}" for finding in report.findings)
    yield from report.notes


def _log(box: CrashBox) -> Iterator[str]:
    public = load_public(box.box.public / "guard.pub")
    for number, entry in enumerate(read_copy(box.box.log, (public,)).entries):
        event = load_json(entry)
        yield f"{number} {event['at']} {event['name']} {event['key']} {event.get('about', '')}"


def _rows(database: Path, sql: str) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
        for row in connection.execute(sql):
            yield " | ".join(cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell) for cell in row)


def _live(box: CrashBox) -> Iterator[str]:
    yield f"live {box.release.live(box.subject)}, rehashed {box.release.rehash(box.subject)}"
    yield f"position {box.release.position(box.subject)}"
    yield box.git("log", "--format=%H %s", "main")
    yield box.git("status", "--porcelain", "--untracked-files=all")


def _files(root: Path) -> Iterator[str]:
    yield f"(it is {time.strftime('%H:%M:%S')})"
    found = [Path(at, name) for part in LISTED for at, _, names in os.walk(root / part) for name in names]
    for path in sorted(found)[:MOST_FILES]:
        with contextlib.suppress(FileNotFoundError):
            what = path.lstat()
            at = time.strftime("%H:%M:%S", time.localtime(what.st_mtime))
            yield f"{at} {what.st_size:>9} {path.relative_to(root)}"
    if len(found) > MOST_FILES:
        yield f"and {len(found) - MOST_FILES} more"
