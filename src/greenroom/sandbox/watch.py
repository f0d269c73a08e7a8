"""Watches one cell from outside: output, time, disk, memory, processes, stop; says how it ended."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Cell, Outcome
from greenroom.domain.proof import EndedBy, Usage
from greenroom.sandbox.cgroups import OWN_PROCESSES, Group
from greenroom.sandbox.disk import DiskWatch
from greenroom.sandbox.report import MAX_BYTES, parse
from greenroom.sandbox.tasks import count_below, cpu_ms_below

_TICK_S = 0.05
_COUNT_EVERY_S = 0.2
_DEATH_S = 30.0
_CHUNK = 65536
_SIGXFSZ = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """The ends that we hold. Closing `control` kills the cell; `status` ends when nothing of it is left."""

    warden: int
    control: socket.socket
    status: socket.socket
    said: socket.socket
    stdout: int
    stderr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a cell ended, before the report was read."""

    ended_by: EndedBy
    exit: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    said: bytes
    usage: Usage

    def outcome(self, said: Mapping[str, str], layers: Mapping[str, bool], group: Group | None) -> Outcome:
        """The outcome; the control group and the report tell apart what looks like a plain exit."""
        ended_by, code = self.ended_by, self.exit
        signal = said.get("signal", "")
        if ended_by == "exit":
            if signal.isdigit():
                ended_by, code = ("disk" if int(signal) == _SIGXFSZ else "signal"), 128 + int(signal)
            elif said.get("exit", "").isdigit():
                code = int(said["exit"])
            else:
                ended_by, code = "signal", 137
            ended_by = _by_bounds(ended_by, code, said, group)
        return Outcome(
            exit=code,
            ended_by=ended_by,
            stdout=self.stdout,
            stderr=self.stderr,
            truncated=self.truncated,
            layers=layers,
            usage=self.usage,
        )


def _by_bounds(ended_by: EndedBy, code: int, said: Mapping[str, str], group: Group | None) -> EndedBy:
    if group is not None and group.memory_killed():
        return "memory"
    if group is not None and group.processes_refused():
        return "processes"
    if code != 0 and said.get("tmp-free") == "0":
        return "disk"
    return ended_by


class _Output:
    """What a cell printed, up to `limit` bytes of both streams together."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self.kept: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray(), "status": bytearray()}
        self.said = bytearray()
        self.truncated = False

    def take(self, name: str, data: bytes) -> None:
        if name == "said":
            self.said += data[: MAX_BYTES - len(self.said)]
        elif name == "status":
            self.kept[name] += data[:MAX_BYTES]
        else:
            self.kept[name] += data[: self._room]
            self.truncated = self.truncated or len(data) > self._room
            self._room = max(0, self._room - len(data))


def watch(cell: Cell, wires: Wires, group: Group | None, disk: DiskWatch, cancelled: Callable[[], bool]) -> Ending:
    """Returns when no process of the cell is left. Raises Unusable `cell-will-not-die` after 30 s of dying."""
    began = time.monotonic()
    output = _Output(cell.caps.output_bytes)
    reason: EndedBy | None = None
    dying_since: float | None = None
    cpu_ms = 0
    next_count = began + _COUNT_EVERY_S
    with selectors.DefaultSelector() as selector:
        _register(selector, wires)
        while selector.get_map():
            _drain(selector, output)
            now = time.monotonic()
            if reason is None:
                reason = _over(cell, output, now - began, cancelled)
                if reason is None and now >= next_count:
                    reason = _over_counted(cell, wires.warden, disk, group)
                    next_count = time.monotonic() + _COUNT_EVERY_S
                if reason is not None:
                    cpu_ms = cpu_ms_below(wires.warden)
                    wires.control.close()
                    dying_since = now
            elif dying_since is not None and now - dying_since > _DEATH_S:
                raise Unusable("cell-will-not-die", "a process does not end when killed", remedy="restart the machine")
    if reason is None and disk.exceeded():
        reason = "disk"
    status = parse(bytes(output.kept["status"]))
    usage = Usage(
        wall_ms=round((time.monotonic() - began) * 1000),
        cpu_ms=max(cpu_ms, _number(status, "cpu-us") // 1000),
        memory_peak_bytes=_peak(status, group),
    )
    return Ending(
        ended_by=reason or "exit",
        exit=137,
        stdout=bytes(output.kept["stdout"]),
        stderr=bytes(output.kept["stderr"]),
        truncated=output.truncated,
        said=bytes(output.said),
        usage=usage,
    )


def _register(selector: selectors.BaseSelector, wires: Wires) -> None:
    named = {
        "stdout": wires.stdout,
        "stderr": wires.stderr,
        "said": wires.said.fileno(),
        "status": wires.status.fileno(),
    }
    for name, fd in named.items():
        os.set_blocking(fd, False)
        selector.register(fd, selectors.EVENT_READ, name)


def _drain(selector: selectors.BaseSelector, output: _Output) -> None:
    for key, _ in selector.select(_TICK_S):
        try:
            data = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            continue
        except ConnectionResetError:
            data = b""
        if data:
            output.take(key.data, data)
        else:
            selector.unregister(key.fileobj)


def _over(cell: Cell, output: _Output, elapsed: float, cancelled: Callable[[], bool]) -> EndedBy | None:
    if output.truncated:
        return "output"
    if elapsed > cell.caps.wall_s:
        return "wall"
    return "stop" if cancelled() else None


def _over_counted(cell: Cell, warden: int, disk: DiskWatch, group: Group | None) -> EndedBy | None:
    if disk.look():
        return "disk"
    if group is not None and group.memory_killed():
        return "memory"
    if group is not None and "pids" in group.controllers:
        return "processes" if group.processes_refused() else None
    bound = cell.caps.processes + OWN_PROCESSES
    return "processes" if count_below(warden, bound) > bound else None


def _peak(status: Mapping[str, str], group: Group | None) -> int | None:
    peak = group.memory_peak() if group is not None else None
    return peak if peak is not None else _number(status, "rss-kb") * 1024 or None


def _number(said: Mapping[str, str], name: str) -> int:
    value = said.get(name, "")
    return int(value) if value.isdigit() else 0
