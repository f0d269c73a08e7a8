"""Log append against a bare fsync of the same bytes, single and grouped.

Usage: python benchmarks/log_append.py [--count N] [--threads N] [--directory DIR] [--json]

Both are measured in turns, in one run, on the file system of --directory (default: the working directory).
`single` is one caller that waits for each append; its ratio is append time / bare time (aim: at most 1.3).
`grouped` is many callers at once; its ratio is appends per second / bare flushes per second (aim: at least 5).

The bare file grows with each write, as a plain log does; the journal has its room beforehand. `in place` is the bare
write with that advantage too, O_DSYNC into room that is there: what part of the ratios is owed to it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from greenroom.audit import keys
from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner
from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId

ROUNDS = 7
SECTOR = 512
"""Bytes between two writes in place: the journal begins each record on a sector of its own."""


def event(number: int) -> Event:
    """An event like those of a stage: three digests, about 400 bytes."""
    digests = {name: digest_of(name, b"%d" % number) for name in ("tree", "plan", "golden")}
    return Event(
        key=f"change-1/{number}/verify/intent",
        at=Instant(1_800_000_000_000_000_000 + number),
        actor="executor",
        name="verify.intent",
        change=ChangeId("change-1"),
        digests=digests,
    )


def bare(path: Path, data: bytes, count: int) -> float:
    """Seconds for each write and fsync of `data` at the end of a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began = time.perf_counter()
    for _ in range(count):
        os.write(descriptor, data)
        os.fsync(descriptor)
    spent = time.perf_counter() - began
    os.close(descriptor)
    return spent / count


def in_place(path: Path, data: bytes, count: int) -> float:
    """Seconds for each flushed write of `data` into a file that has the room, a sector each."""
    path.write_bytes(bytes(count * SECTOR))
    descriptor = os.open(path, os.O_WRONLY | os.O_DSYNC)
    os.fsync(descriptor)
    began = time.perf_counter()
    for number in range(count):
        os.pwrite(descriptor, data, number * SECTOR)
    spent = time.perf_counter() - began
    os.close(descriptor)
    return spent / count


def single(log: TileLog, start: int, count: int) -> float:
    """Seconds for each append of one caller."""
    events = [event(number) for number in range(start, start + count)]
    began = time.perf_counter()
    for one in events:
        log.append(one)
    return (time.perf_counter() - began) / count


def grouped(log: TileLog, start: int, count: int, threads: int) -> float:
    """Seconds for each append when `threads` callers wait at once."""
    each = count // threads
    shares = [[event(start + worker * each + n) for n in range(each)] for worker in range(threads)]
    gate = threading.Barrier(threads + 1)

    def run(share: list[Event]) -> None:
        gate.wait()
        for one in share:
            log.append(one)

    workers = [threading.Thread(target=run, args=(share,)) for share in shares]
    for worker in workers:
        worker.start()
    gate.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - began) / (each * threads)


def measure(directory: Path, count: int, threads: int) -> dict[str, float | int]:
    """Medians over the rounds, in microseconds, and both ratios."""
    signer = NoteSigner("benchmark.example/log", keys.generate())
    data = documents.encode(event(0))
    flushes, ready, alone, together = [], [], [], []
    at = 0
    with TileLog(directory / "log", signer, kept=directory / "kept") as log:
        single(log, -count, count)
        for _ in range(ROUNDS):
            flushes.append(bare(directory / "bare", data, count))
            ready.append(in_place(directory / "ready", data, count))
            alone.append(single(log, at, count))
            at += count
            together.append(grouped(log, at, count * 4, threads))
            at += count * 4
    flush = statistics.median(flushes)
    one, many = statistics.median(alone), statistics.median(together)
    return {
        "entry_bytes": len(data),
        "threads": threads,
        "bare_fsync_us": round(flush * 1e6, 1),
        "bare_in_place_us": round(statistics.median(ready) * 1e6, 1),
        "single_append_us": round(one * 1e6, 1),
        "single_ratio": round(statistics.median(a / b for a, b in zip(alone, flushes, strict=True)), 2),
        "grouped_append_us": round(many * 1e6, 1),
        "grouped_ratio": round(statistics.median(b / a for a, b in zip(together, flushes, strict=True)), 2),
        "single_ratio_in_place": round(statistics.median(a / b for a, b in zip(alone, ready, strict=True)), 2),
        "grouped_ratio_in_place": round(statistics.median(b / a for a, b in zip(together, ready, strict=True)), 2),
    }


def main() -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix=".log-append-") as directory:
        found = measure(Path(directory), chosen.count, chosen.threads)
    if chosen.json:
        print(json.dumps(found))
        return 0
    print(f"bare write + fsync of {found['entry_bytes']} bytes   {found['bare_fsync_us']:>8} us")
    print(
        f"the same in place                 {found['bare_in_place_us']:>8} us   "
        f"append: ratio {found['single_ratio_in_place']}, grouped rate {found['grouped_ratio_in_place']} x"
    )
    print(
        f"append, one caller                {found['single_append_us']:>8} us   ratio {found['single_ratio']} (aim 1.3)"
    )
    print(
        f"append, {found['threads']} callers at once        {found['grouped_append_us']:>8} us   "
        f"rate {found['grouped_ratio']} x bare (aim 5)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
