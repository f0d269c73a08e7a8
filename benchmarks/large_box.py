"""How quickly a box with many changes answers.

    python benchmarks/large_box.py [--changes N] [--entries N] [--rounds N] [--home DIR] [--json]

Makes a box, fills its database with N changes (100000) of a plausible mix by the product's own tables and codecs, has
the guard log some entries of them (20000), and then types each command ROUNDS times (7), with the processes running.
What is printed is the best time of each, and its ratio to a bare start of the interpreter: the load of the machine
cancels out of the ratio. Aim: 300 ms for `--version`, `list`, `show` and `status`.

Beside them: the first `status`, which starts the processes on this box, what they need when they run, and commands
that read more than one change by their nature. With --home the box is made there and stays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from greenroom.bootstrap.local import LocalServices
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.events import Event
from greenroom.domain.proof import Contribution, Risk
from greenroom.domain.proposal import Proposal, origin_of
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import ChangeId, ConsentLevel, Kind, Mode, State, Subject, Trust
from greenroom.pipeline.changes import columns_of
from greenroom.pipeline.tables import BOARD, CHANGES, open_database
from greenroom.release.store import FileStore

COMMAND = "from greenroom.bootstrap import main; raise SystemExit(main())"
AIM_MS = 300
BOUND = ("--version", "list", "show", "status")
"""The commands that the aim is for."""
SUBJECTS = 40
RULES = tuple(f"ruff:F{number}" for number in range(401, 421))
MIX = ((State.KEPT, 45), (State.ABORTED, 42), (State.REVERTED, 8), (State.VERIFIED, 4), (State.PROPOSED, 1))
"""States and how many of a hundred changes are in them: most are over, one in twenty waits."""
HELD = {
    State.VERIFIED: Held(rule="needs-approval", where="verified", remedy="greenroom approve"),
    State.PROPOSED: Held(rule="queued", where="not carried yet", remedy="greenroom improve"),
}
BEGAN = 1_700_000_000_000_000_000
AT_ONCE = 2000


class Bench:
    """A box and its commands."""

    def __init__(self, home: Path, rounds: int) -> None:
        self._rounds = rounds
        self.box = Box(home)
        self._environment = {**os.environ, "GREENROOM_HOME": str(home)}
        self.greenroom("init", "--no-input")

    def greenroom(self, *words: str) -> str:
        """What the command printed; it must end well."""
        ended = subprocess.run(
            (sys.executable, "-c", COMMAND, *words),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if ended.returncode != 0:
            raise SystemExit(f"greenroom {' '.join(words)}: {ended.stderr}")
        return ended.stdout

    def once(self, *words: str) -> float:
        """Milliseconds of one run."""
        began = time.perf_counter()
        self.greenroom(*words)
        return (time.perf_counter() - began) * 1000

    def best(self, *words: str) -> float:
        """Milliseconds of the quickest of several runs."""
        return min(self.once(*words) for _ in range(self._rounds))

    def bare(self) -> float:
        """Milliseconds of the quickest start of an interpreter that does nothing."""
        found = []
        for _ in range(self._rounds * 3):
            began = time.perf_counter()
            subprocess.run((sys.executable, "-c", "pass"), check=True)
            found.append((time.perf_counter() - began) * 1000)
        return min(found)


def changes(count: int, requests: Mapping[str, Digest]) -> Iterator[tuple[Change, str]]:
    """Changes of a box that is long in use, oldest first, each with its rule."""
    dice = random.Random(0)
    states = dice.choices([state for state, _ in MIX], [weight for _, weight in MIX], k=count)
    for number, state in enumerate(states):
        rule = dice.choice(RULES)
        tried = state is not State.PROPOSED

        def named(kind: str, number: int = number) -> Digest:
            return digest_of(kind, b"%d" % number)

        points = tuple(
            Contribution(name=name, points=2, why=f"{name} of a change in package/module_{number % 97}.py")
            for name in ("files", "action", "debate")
        )
        change = Change(
            id=ChangeId(f"c{number:06d}"),
            subject=Subject(kind=Kind.WORKSPACE, address=f"/home/ada/project{number % SUBJECTS}#main"),
            origin=origin_of("ruff", Trust.BOX),
            request=requests[rule],
            mode=Mode.PROPOSE,
            state=state,
            base=digest_of("tree", b"base of %d" % (number // 20)),
            golden=digest_of("golden", b"golden"),
            plan=named("plan") if tried else None,
            green=named("tree") if tried else None,
            seals=(named("statement"),) if tried else (),
            evidence=tuple(digest_of("text", b"%d %d" % (number, each)) for each in range(6)) if tried else (),
            risk=Risk(contributions=points, level=ConsentLevel.REVIEW) if tried else None,
            hold=HELD.get(state),
            commit=named("tree")[-40:] if state in (State.KEPT, State.REVERTED) else None,
            ended={State.ABORTED: "rejected", State.REVERTED: "reverted"}.get(state),
            version=9,
        )
        yield change, rule


def fill(box: Box, count: int) -> str:
    """Write the changes into the box database; the id of one that can be shown."""
    store = FileStore(box.store)
    patch = store.put("blob", b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-import os\n+\n")
    requests = {rule: store.put("text", documents.encode(_proposal(rule, patch))) for rule in RULES}
    engine = open_database(box.db / "box.db")
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    shown = ""
    with engine.begin() as connection:
        for number, (change, rule) in enumerate(changes(count, requests)):
            fixed = {"id": change.id, "subject": str(change.subject), "created": BEGAN + number * 1_000_000_000}
            rows.append({**fixed, **columns_of(change)})
            words = f"Mend {rule} in package/module_{number % 97}.py"
            lines.append({"change": change.id, "summary": words, "rule": rule, "fingerprint": f"{number:064x}"})
            shown = change.id if change.state is State.PROPOSED else shown
            if len(rows) == AT_ONCE or number + 1 == count:
                connection.execute(sa.insert(CHANGES), rows)
                connection.execute(sa.insert(BOARD), lines)
                rows, lines = [], []
    engine.dispose()
    whose = box.db.stat()
    for path in box.db.iterdir():
        os.chown(path, whose.st_uid, whose.st_gid)
    return shown


def _proposal(rule: str, patch: Digest) -> Proposal:
    return Proposal(
        proposer="ruff",
        proposer_version="1",
        rule=rule,
        summary=f"Mend {rule}",
        rationale="It is not used.",
        expected="Nothing reads it.",
        confidence=90,
        patch=patch,
        files=("a.py",),
        fingerprint="a",
        reproduce="",
    )


def log(box: Box, count: int, threads: int = 16) -> None:
    """Have the guard append entries, many callers at once."""

    def some(first: int) -> None:
        services = LocalServices(box)
        for number in range(first, count, threads):
            change = ChangeId(f"c{number // 10:06d}")
            digests = {name: digest_of(name, b"%d" % number) for name in ("tree", "plan", "golden")}
            event = Event(
                key=f"{change}/{number % 10}/verify/intent",
                at=Instant(time.time_ns()),
                actor="executor",
                name="verify.intent",
                change=change,
                digests=digests,
            )
            services.guard("append", {"event": documents.to_plain(event)})

    workers = [threading.Thread(target=some, args=(first,)) for first in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def measure(count: int, entries: int, rounds: int, home: Path) -> dict[str, Any]:
    """Everything, on one box."""
    bench = Bench(home, rounds)
    shown = fill(bench.box, count)
    found: dict[str, float] = {"first status, which starts the processes": bench.once("status")}
    log(bench.box, entries)
    bench.greenroom("down")
    found["status that starts the processes again"] = bench.once("status")
    bare = bench.bare()
    lines: Sequence[tuple[str, Sequence[str]]] = (
        ("--version", ("--version",)),
        ("list", ("list",)),
        ("show", ("show", shown)),
        ("status", ("status",)),
    )
    best = {name: bench.best(*words) for name, words in lines}
    found |= {" ".join(words): bench.once(*words) for words in (("resume",), ("metrics",), ("log",))}
    found["list --all --json"] = bench.once("list", "--all", "--json")
    bench.greenroom("down")
    best["list, nothing running"] = bench.best("list")
    return {
        "changes": count,
        "entries": entries,
        "database_mib": round((bench.box.db / "box.db").stat().st_size / 2**20),
        "bare_ms": round(bare, 1),
        "best_ms": {name: round(took) for name, took in best.items()},
        "ratios": {name: round(took / bare, 1) for name, took in best.items()},
        "aim_ms": AIM_MS,
        "once_ms": {name: round(took) for name, took in found.items()},
    }


@contextmanager
def place(home: str | None) -> Iterator[Path]:
    """Where the box is made."""
    if home is not None:
        yield Path(home).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="greenroom-large-") as directory:
        os.chmod(directory, 0o711)
        yield Path(directory) / "box"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--home")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with place(wanted.home) as home:
        found = measure(wanted.changes, wanted.entries, wanted.rounds, home)
    if wanted.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"{found['changes']} changes ({found['database_mib']} MiB), {found['entries']} log entries")
    print(f"bare interpreter           {found['bare_ms']:>7.1f} ms")
    for name, took in found["best_ms"].items():
        aim = f"   aim {AIM_MS} ms" if name in BOUND else ""
        print(f"{name:<26} {took:>5} ms   {found['ratios'][name]:>5.1f} times bare{aim}")
    print("once:")
    for name, took in found["once_ms"].items():
        print(f"  {name:<42} {took:>6} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
