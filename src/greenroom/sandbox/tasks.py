"""Counts the tasks below a process and their CPU time, where no control group does it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Places in /proc/PID/stat, counted from after the name in brackets; proc(5).
_TIMES = slice(11, 15)
"""utime, stime, cutime, cstime"""
_THREADS = 17


def count_below(pid: int, bound: int, proc: Path = Path("/proc")) -> int:
    """Threads of all descendants of `pid`; stops counting above `bound`. What has ended meanwhile counts 0."""
    count = 0
    for fields in _below(pid, proc):
        count += int(fields[_THREADS])
        if count > bound:
            break
    return count


def cpu_ms_below(pid: int, proc: Path = Path("/proc")) -> int:
    """Milliseconds of CPU of all descendants of `pid`, and of those that they have waited for."""
    ticks = sum(sum(map(int, fields[_TIMES])) for fields in _below(pid, proc))
    return ticks * 1000 // os.sysconf("SC_CLK_TCK")


def _below(pid: int, proc: Path) -> Iterator[list[str]]:
    waiting = _children(proc, pid)
    while waiting:
        child = waiting.pop()
        fields = _fields(proc, child)
        if len(fields) > _THREADS:
            yield fields
        waiting += _children(proc, child)


def _children(proc: Path, pid: int) -> list[int]:
    found: list[int] = []
    try:
        tasks = list((proc / str(pid) / "task").iterdir())
    except OSError:
        return found
    for task in tasks:
        try:
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
        except OSError:
            continue
    return found


def _fields(proc: Path, pid: int) -> list[str]:
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
