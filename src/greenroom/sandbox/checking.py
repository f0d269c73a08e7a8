"""What a conformance check of a sandbox driver is, and the bench that it works at."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from greenroom.clearing import removed
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Cell, Mount, Outcome, Walls
from greenroom.domain.verdict import Refused

PYTHON = "/usr/bin/python3"
MIB = 1024 * 1024
CAPS = Caps(
    cpu_s=20,
    cpu_millicores=2000,
    wall_s=20,
    memory_bytes=256 * MIB,
    disk_bytes=32 * MIB,
    processes=32,
    output_bytes=4 * MIB,
)


class BrokenPromise(Exception):
    """A wall did not hold; the message says what was seen."""


def never() -> bool:
    """Not cancelled."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A driver and a directory in which cells' mounts can be made; `uid` owns what cells may write, None: we do."""

    walls: Walls
    directory: Path
    uid: int | None = None

    def run(
        self,
        *argv: str,
        mounts: tuple[Mount, ...] = (),
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cwd: str = "/",
        cancelled: Callable[[], bool] = never,
        caps: Caps = CAPS,
    ) -> Outcome:
        """Runs a command that must not be refused."""
        cell = Cell(
            argv=argv,
            mounts=mounts,
            caps=caps,
            env=env or {},
            cwd=cwd,
            stdin=stdin,
        )
        outcome = self.walls.run(cell, cancelled)
        if isinstance(outcome, Refused):
            raise BrokenPromise(f"refused: {outcome.rule} {outcome.where}")
        return outcome

    def shell(
        self, script: str, mounts: tuple[Mount, ...] = (), cancelled: Callable[[], bool] = never, **caps: int
    ) -> Outcome:
        """Runs a shell script; `caps` are those that differ from CAPS."""
        bounds = dataclasses.replace(CAPS, **caps)
        return self.run("/bin/sh", "-c", script, mounts=mounts, cancelled=cancelled, caps=bounds)

    def python(self, code: str, mounts: tuple[Mount, ...] = (), **caps: int) -> Outcome:
        """Runs Python code with the system's interpreter; `caps` are those that differ from CAPS."""
        bounds = dataclasses.replace(CAPS, **caps)
        return self.run(PYTHON, "-I", "-S", "-B", "-c", code, mounts=mounts, caps=bounds)

    def refused(self, *mounts: Mount, argv: tuple[str, ...] = ("/usr/bin/true",)) -> Refused:
        """Runs a cell that must be refused."""
        outcome = self.walls.run(Cell(argv=argv, mounts=mounts, caps=CAPS), never)
        if not isinstance(outcome, Refused):
            raise BrokenPromise(f"not refused, exit {outcome.exit}")
        return outcome

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A directory of the host that the cell's user owns; removed afterwards."""
        path = Path(tempfile.mkdtemp(prefix="check-", dir=self.directory))
        path.chmod(0o755)
        try:
            self.give(path)
            yield path
        finally:
            removed(path)

    def give(self, path: Path) -> None:
        """Makes the cell's user the owner of a path."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise of the walls. `needs` names the layers without which it cannot hold."""

    name: str
    promise: str
    run: Callable[[Bench], None]
    needs: tuple[str, ...] = ()


def expect(seen: object, wanted: object, what: str) -> None:
    """Raises BrokenPromise unless both are equal."""
    if seen != wanted:
        raise BrokenPromise(f"{what}: {str(seen)[:300]!r}, not {str(wanted)[:300]!r}")


def expect_in(seen: object, wanted: tuple[object, ...], what: str) -> None:
    """Raises BrokenPromise unless `seen` is one of `wanted`."""
    if seen not in wanted:
        raise BrokenPromise(f"{what}: {str(seen)[:300]!r}, none of {wanted!r}")


class Collection:
    """Collects checks by decorator."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def __call__(self, promise: str, *needs: str) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
        """Adds the decorated function, under its own name."""

        def add(function: Callable[[Bench], None]) -> Callable[[Bench], None]:
            name = function.__name__.replace("_", "-")
            self.checks.append(Check(name=name, promise=promise, run=function, needs=needs))
            return function

        return add
