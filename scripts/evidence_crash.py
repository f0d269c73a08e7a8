"""Runs the crash suite on a real box and prints a Markdown table: each point, how often it was tried, what came of it.

`--quick` runs what CI runs. `--from FILE ...` prints the table of outcomes that the suite wrote before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUITE = "tests/crash/test_crash_points.py"
COLUMNS = ("process", "killed at", "command", "runs", "live after the crash", "went on by")


def main(arguments: Sequence[str]) -> int:
    """Run the suite, or read what it wrote; 0 when no run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the runs of CI only")
    parser.add_argument("--from", dest="files", nargs="+", type=Path, default=[], metavar="FILE")
    wanted = parser.parse_args(arguments)
    if wanted.files:
        print(table(outcome for file in wanted.files for outcome in read(file)))
        return 0
    with tempfile.TemporaryDirectory(prefix="greenroom-evidence-") as scratch:
        file = Path(scratch) / "outcomes"
        file.touch()
        code = run(file, quick=wanted.quick)
        print(table(read(file)))
    print("\nevery run ended well" if code == 0 else f"\nnot every run ended well: pytest says {code}")
    return code


def run(file: Path, *, quick: bool) -> int:
    """The suite; its outcomes go to `file`, what it says to standard error."""
    argv = [sys.executable, "-m", "pytest", "-m", "not full" if quick else "", SUITE]
    environment = os.environ | {"GREENROOM_CRASH_OUTCOMES": str(file), "GREENROOM_SUITE": "ci" if quick else "full"}
    return subprocess.run(argv, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode


def read(file: Path) -> list[dict[str, Any]]:
    """The outcomes in `file`, one JSON object a line."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def table(outcomes: Iterable[dict[str, Any]]) -> str:
    """One row for each point on the way of each command."""
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for outcome in outcomes:
        rows.setdefault((outcome["process"], outcome["point"], outcome["command"]), []).append(outcome)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for (process, point, command), group in rows.items():
        live = _counted(outcome["live"] for outcome in group)
        after = _counted("resume" if outcome["repeated"] == 0 else "resume, command again" for outcome in group)
        lines.append(f"| {process} | {point} | {command} | {len(group)} | {live} | {after} |")
    total = sum(len(group) for group in rows.values())
    return "\n".join([*lines, "", f"{total} runs, {len(rows)} points"])


def _counted(words: Iterable[str]) -> str:
    found = Counter(words)
    return ", ".join(word if len(found) == 1 else f"{word} {times}" for word, times in sorted(found.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
