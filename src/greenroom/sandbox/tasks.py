"""Counts the tasks below a process, where no control group does it."""

from __future__ import annotations

from pathlib import Path

_THREADS = 17
"""Place of num_threads in /proc/PID/stat, counted from after the name in brackets; proc(5)."""


def count_below(pid: int, bound: int, proc: Path = Path("/proc")) -> int:
    """Threads of all descendants of `pid`; stops counting above `bound`. What has ended meanwhile counts 0."""
    count = 0
    waiting = _children(proc, pid)
    while waiting and count <= bound:
        child = waiting.pop()
        count += _threads(proc, child)
        waiting += _children(proc, child)
    return count


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


def _threads(proc: Path, pid: int) -> int:
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return int(fields[_THREADS]) if len(fields) > _THREADS else 0
