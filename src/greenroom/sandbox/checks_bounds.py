"""Checks that a cell cannot take more than its caps, and ends when told."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from greenroom.domain.ports import Mount
from greenroom.sandbox.checking import MIB, Bench, BrokenPromise, Collection, expect, expect_in

check = Collection()
_WORK = "/mnt/work"
_STOP_S = 2.0


@check("output above the bound is cut there, and the cell is ended")
def output_bound(bench: Bench) -> None:  # noqa: D103
    outcome = bench.shell("yes", output_bytes=100_000)
    expect((outcome.ended_by, outcome.truncated, len(outcome.stdout)), ("output", True, 100_000), "ending")


@check("wall time ends the cell with all its children")
def wall_time(bench: Bench) -> None:  # noqa: D103
    mark = _mark()
    began = time.monotonic()
    outcome = bench.shell(
        f"setsid sh -c 'sleep {mark}' & trap '' TERM INT HUP; while :; do sleep {mark}; done", wall_s=1
    )
    expect(outcome.ended_by, "wall", "ending")
    if time.monotonic() - began > 1 + _STOP_S:
        raise BrokenPromise(f"took {time.monotonic() - began:.1f} s")
    _nothing_left(mark)


@check("a cancelled cell is dead within two seconds, with all its children")
def stop(bench: Bench) -> None:  # noqa: D103
    mark = _mark()
    began = time.monotonic()
    outcome = bench.shell(
        f"trap '' TERM; for i in 1 2 3 4 5; do setsid sleep {mark} & done; sleep {mark}",
        cancelled=lambda: time.monotonic() - began > 0.3,
    )
    took = time.monotonic() - began - 0.3
    expect(outcome.ended_by, "stop", "ending")
    if took > _STOP_S:
        raise BrokenPromise(f"took {took:.1f} s")
    _nothing_left(mark)


@check("nothing of a cell is left when its command has ended")
def nothing_left(bench: Bench) -> None:  # noqa: D103
    mark = _mark()
    outcome = bench.shell(
        f"for i in 1 2 3; do setsid nohup sleep {mark} >/dev/null 2>&1 & done; (sleep {mark} &) ; exit 5"
    )
    expect((outcome.exit, outcome.ended_by), (5, "exit"), "ending")
    _nothing_left(mark)


@check("a process that uses too much CPU time is ended")
def cpu_time(bench: Bench) -> None:  # noqa: D103
    outcome = bench.shell("while :; do :; done", cpu_s=1, wall_s=15)
    expect((outcome.ended_by, outcome.exit), ("signal", 128 + 24), "ending")


@check("all processes together get no more than their share of the CPUs", "cgroup-cpu")
def cpu_share(bench: Bench) -> None:  # noqa: D103
    outcome = bench.shell("for i in 1 2 3; do while :; do :; done & done; wait", cpu_millicores=300, wall_s=2)
    if outcome.usage.cpu_ms > 1400:
        raise BrokenPromise(f"{outcome.usage.cpu_ms} ms of CPU in 2 s at 300 millicores")


@check("one process cannot have more memory than the bound")
def memory_of_one(bench: Bench) -> None:  # noqa: D103
    outcome = bench.python("x = bytearray(600 << 20); print(len(x))", memory_bytes=128 * MIB)
    expect(outcome.stdout, b"", "output")
    expect_in((outcome.exit, outcome.ended_by), ((137, "memory"), (1, "exit")), "ending")


@check("all processes together cannot have more memory than the bound, /tmp and /dev/shm included", "cgroup-memory")
def memory_of_all(bench: Bench) -> None:  # noqa: D103
    hog = "python3 -I -S -c 'x = bytearray(50 << 20); import time; time.sleep(9)'"
    outcome = bench.shell(f"for i in 1 2 3 4 5; do {hog} & done; wait", memory_bytes=128 * MIB)
    expect(outcome.ended_by, "memory", "processes")
    outcome = bench.shell("head -c 200M /dev/zero >/tmp/x", memory_bytes=64 * MIB, disk_bytes=512 * MIB)
    expect_in(outcome.ended_by, ("memory", "disk"), "temporary files")


@check("a fork bomb is stopped")
def fork_bomb(bench: Bench) -> None:  # noqa: D103
    code = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"
    outcome = bench.python(code, processes=24, wall_s=10)
    expect(outcome.ended_by, "processes", "ending")


@check("threads count as processes")
def thread_bomb(bench: Bench) -> None:  # noqa: D103
    code = "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()"
    outcome = bench.python(code, processes=24, wall_s=10)
    expect(outcome.ended_by in ("processes", "exit") and outcome.exit != 0, True, "stopped")


@check("as many processes as allowed can be had")
def enough_processes(bench: Bench) -> None:  # noqa: D103
    outcome = bench.shell("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3 & done; wait; echo done", processes=12)
    expect((outcome.stdout, outcome.ended_by), (b"done\n", "exit"), "ending")


@check("the private /tmp holds no more than the disk bound")
def disk_of_tmp(bench: Bench) -> None:  # noqa: D103
    outcome = bench.shell(
        "for i in 1 2 3 4 5 6 7 8; do head -c 1M /dev/zero >/tmp/$i || exit 1; done", disk_bytes=4 * MIB
    )
    expect((outcome.ended_by, outcome.exit), ("disk", 1), "ending")


@check("one file grows no larger than the disk bound")
def disk_of_one_file(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        outcome = bench.shell(f"head -c 64M /dev/zero >{_WORK}/x", (mount,), disk_bytes=4 * MIB)
        expect(outcome.ended_by, "disk", "ending")
        expect((folder / "x").stat().st_size <= 4 * MIB, True, "size within the bound")


@check("writable mounts together take no more than the disk bound, in many small files too")
def disk_of_mounts(bench: Bench) -> None:  # noqa: D103
    code = "import itertools\nfor i in itertools.count(): open(f'/mnt/work/{i}', 'wb').write(bytes(100000))"
    with bench.folder() as folder:
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        outcome = bench.python(code, (mount,), disk_bytes=4 * MIB)
        expect(outcome.ended_by, "disk", "ending")


@check("files that were there before do not count against the disk bound")
def disk_before(bench: Bench) -> None:  # noqa: D103
    with bench.folder() as folder:
        (folder / "old").write_bytes(bytes(8 * MIB))
        mount = Mount(source=str(folder), target=_WORK, writable=True)
        outcome = bench.shell(f"echo hi >{_WORK}/new", (mount,), disk_bytes=4 * MIB)
        expect((outcome.ended_by, outcome.exit), ("exit", 0), "ending")


@check("open files are bounded, and no core is dumped")
def open_files(bench: Bench) -> None:  # noqa: D103
    expect(bench.shell("ulimit -n; ulimit -Hn; ulimit -c").stdout, b"1024\n1024\n0\n", "limits")


def _mark() -> str:
    """A number of seconds that no other process of the machine sleeps."""
    return f"{3000 + secrets.randbelow(1000)}.{secrets.randbelow(10**9):09d}"


def _nothing_left(mark: str) -> None:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in words:
            raise BrokenPromise(f"still running: {words.replace(bytes(1), b' ').decode()!r}")
