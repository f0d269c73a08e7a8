"""How long it takes to start and end a cell, against bare bubblewrap with the same namespaces; what each layer costs.

    python benchmarks/sandbox_start.py [--rounds N] [--json]

The variants take turns, so that a busy machine slows all alike. Aims: 1.5 times bare bubblewrap without control
groups, 1.8 times with them. Runs as root (cells then run as an unprivileged user) and as an ordinary user.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from greenroom.domain.ports import Cell, Outcome
from greenroom.sandbox import root
from greenroom.sandbox.build import WARDEN, build_launcher
from greenroom.sandbox.checking import CAPS, never
from greenroom.sandbox.process import ProcessWalls

UID = 64321
BWRAP = "/usr/bin/bwrap"
CELL = Cell(argv=("/usr/bin/true",), mounts=(), caps=CAPS)
NAMESPACES = [f"--unshare-{name}" for name in ("user", "ipc", "pid", "net", "uts", "cgroup-try")]
BARE = [
    *NAMESPACES,
    *("--disable-userns", "--die-with-parent", "--new-session"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
]
LIMITS = ("rw=/tmp", "cpu=60", "fsize=1000000000", "nofile=1024", "data=4000000000")
AIMS = {"cell without control groups": 1.5, "cell with control groups": 1.8}


def plain(*argv: str, passed: tuple[int, ...] = ()) -> None:
    """Runs a command to its end; raises when it fails."""
    # Without user=: dropping the uid in subprocess forks in a slower way, which would flatter the cells.
    subprocess.run(argv, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=True, pass_fds=passed)


def bare() -> None:
    """Bubblewrap with the same namespaces and a small root."""
    plain(BWRAP, *BARE, "/usr/bin/true")


def our_root() -> None:
    """Bubblewrap with the root of a cell."""
    plain(BWRAP, *root.arguments(CELL, [], {}), "/usr/bin/true")


def warden(program: Path) -> None:
    """The same, started and ended by the warden."""
    control, theirs = socket.socketpair()
    rights = [f"uid={UID}", f"gid={UID}"] if os.geteuid() == 0 else []
    with control, theirs:
        wires = (str(theirs.fileno()), str(theirs.fileno()))
        words = (*wires, *rights, "--", BWRAP, *root.arguments(CELL, [], {}), "/usr/bin/true")
        plain(str(program), *words, passed=(theirs.fileno(),))


def cell(walls: ProcessWalls) -> None:
    """A whole cell."""
    outcome = walls.run(CELL, never)
    if not isinstance(outcome, Outcome) or outcome.exit != 0:
        raise SystemExit(f"the cell failed: {outcome}")


def walls_inside(launcher: Path, rounds: int) -> dict[str, float]:
    """Median microseconds of each part of a launcher that says when it was done; it runs under bare bubblewrap."""
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        read, write = os.pipe()
        with open(read) as report:
            try:
                bound = ("--ro-bind", str(launcher), "/launcher")
                plain(BWRAP, *BARE, *bound, "/launcher", str(write), *LIMITS, "--", "/usr/bin/true", passed=(write,))
            finally:
                os.close(write)
            said = [line.strip().partition("=") for line in report if line.startswith("at-")]
        laps = [(name.removeprefix("at-"), int(at)) for name, _, at in said]
        for (_, before), (name, after) in itertools.pairwise(laps):
            parts.setdefault(name, []).append((after - before) / 1000)
    return {name: round(statistics.median(values), 1) for name, values in parts.items()}


def measure(variants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each variant, in turns; the first two rounds warm up and are not counted."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 2):
        for name, act in variants.items():
            began = time.perf_counter()
            act()
            if number >= 2:
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        launcher = build_launcher(Path(directory))
        ids = {"sandbox_uid": UID, "sandbox_gid": UID} if os.geteuid() == 0 else {}
        without, with_groups = ProcessWalls(launcher, use_cgroups=False, **ids), ProcessWalls(launcher, **ids)
        variants = {
            "bare bubblewrap": bare,
            "+ the cell's root": our_root,
            "+ warden (uid, clean end)": lambda: warden(launcher.parent / WARDEN),
            "cell without control groups": lambda: cell(without),
            "cell with control groups": lambda: cell(with_groups),
        }
        times = measure(variants, options.rounds)
        layers = dict(with_groups.layers())
        inside = walls_inside(build_launcher(Path(directory) / "timed", defined=("GR_TIMES",)), options.rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    best = {name: min(values) for name, values in times.items()}
    first = next(iter(medians))
    rows = [
        {
            "variant": name,
            "median_ms": round(medians[name], 2),
            "best_ms": round(best[name], 2),
            "ratio": round(medians[name] / medians[first], 2),
            "ratio_best": round(best[name] / best[first], 2),
            "aim": AIMS.get(name),
        }
        for name in times
    ]
    if options.json:
        print(json.dumps({"rounds": options.rounds, "layers": layers, "rows": rows, "launcher_us": inside}))
        return
    print(f"{'variant':<30}{'median ms':>10}{'best ms':>9}{'ratio':>7}{'of best':>9}{'aim':>6}")
    for row in rows:
        aim = row["aim"] or ""
        print(
            f"{row['variant']:<30}{row['median_ms']:>10}{row['best_ms']:>9}{row['ratio']:>7}{row['ratio_best']:>9}{aim:>6}"
        )
    print("inside the launcher, us:", ", ".join(f"{name} {each}" for name, each in inside.items()))
    print("layers:", ", ".join(f"{name} {'on' if on else 'OFF'}" for name, on in layers.items()))


if __name__ == "__main__":
    main()
