"""Runs the crash suite on real boxes and prints a Markdown table: each point, who was killed there, what came of it.

`--results FILE` keeps each outcome as it comes, with the digest of the code that it speaks of: a run that was cut goes
on with the cases that are missing, and outcomes of other code count for nothing. `--again` tries once more what failed;
the failure stays in the table. `--jobs N` runs N boxes side by side. `--quick` runs what CI runs. `--only TEXT` runs
the cases that have it in their name. `--table` runs nothing.
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
sys.path.insert(0, str(ROOT / "tests" / "crash"))

from crash_pair_points import JOURNEYS, PAIR_QUICK, REBUILDS, pair_cases  # noqa: E402
from crash_points import CODE, QUICK, Case, cases  # noqa: E402

SUITE = "tests/crash/test_crash_points.py::test_crash_leaves_the_old_or_the_new"
PAIR_SUITE = "tests/crash/test_crash_pair.py::test_crash_of_what_follows_or_stands_on_another"
REBUILD_SUITE = "tests/crash/test_crash_pair.py::test_crash_of_a_rebuild_loses_nothing"
COLUMNS = ("process", "killed at", "command", "runs", "live after the crash", "went on by", "log", "effects")


def main(arguments: Sequence[str]) -> int:
    """Run what has no outcome yet and print the table; 0 when every case wished has one and none failed."""
    wanted = _parser().parse_args(arguments)
    quick = QUICK | PAIR_QUICK
    chosen = [case for case in every() if (not wanted.quick or str(case) in quick) and wanted.only in str(case)]
    with tempfile.TemporaryDirectory(prefix="greenroom-evidence-") as scratch:
        file: Path = wanted.results or Path(scratch) / "outcomes"
        file.touch()
        left = [] if wanted.table else missing(chosen, read(file), again=wanted.again)
        if left:
            print(f"{len(left)} of {len(chosen)} cases to run, code {CODE[:16]}", file=sys.stderr)
            run(file, left, jobs=wanted.jobs)
        outcomes = [outcome for outcome in read(file) if outcome["case"] in {str(case) for case in chosen}]
    print(table(outcomes))
    absent, failed = missing(chosen, outcomes), [outcome for outcome in outcomes if outcome["failed"]]
    seconds = sum(outcome["seconds"] for outcome in outcomes)
    print(f"\ncode {CODE}; {seconds / 60:.0f} minutes of runs; {len(failed)} failed, {len(absent)} not run")
    for outcome in failed:
        print(f"\n## {outcome['case']} failed\n\n```\n{outcome['failed']}\n```")
    return 1 if failed or absent else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT")
    for name in ("quick", "again", "table"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser


def every() -> list[Case]:
    """Every case of every suite, in the order of the table."""
    return [*cases(), *pair_cases()]


def suite_of(case: Case) -> str:
    """The test that runs a case."""
    if case.journey in REBUILDS:
        return REBUILD_SUITE
    return PAIR_SUITE if case.journey in JOURNEYS else SUITE


def missing(chosen: Iterable[Case], outcomes: Iterable[dict[str, Any]], *, again: bool = False) -> list[Case]:
    """The cases that have no outcome; with `again` also those that only failed."""
    have = {outcome["case"] for outcome in outcomes if not (again and outcome["failed"])}
    return [case for case in chosen if str(case) not in have]


def run(file: Path, left: Sequence[Case], *, jobs: int) -> None:
    """The suite; its outcomes go to `file`, what it says to standard error."""
    options = ("-m", "", "-n", str(jobs), "--dist", "worksteal")
    argv = [sys.executable, "-m", "pytest", *options, *(f"{suite_of(case)}[{case}]" for case in left)]
    with file.open("a", encoding="utf-8") as begun:
        # what a cut run left of its last line stays a line of its own
        begun.write("\n")
    environment = os.environ | {"GREENROOM_CRASH_OUTCOMES": str(file.resolve())}
    subprocess.run(argv, cwd=ROOT, env=environment, stdout=sys.stderr, check=False)


def read(file: Path) -> list[dict[str, Any]]:
    """The outcomes in `file` that speak of this code, one JSON object a line; a line that was cut is left out."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            outcome = json.loads(line)
        except ValueError:
            continue
        if outcome["code"] == CODE:
            found.append(outcome)
    return found


def table(outcomes: Iterable[dict[str, Any]]) -> str:
    """One row for each point on the way of each command."""
    known = {str(case): case for case in every()}
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: list(known).index(outcome["case"])):
        case = known[outcome["case"]]
        point = case.point or "a moment from outside"
        rows.setdefault((case.process, point, case.journey), []).append(outcome)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for (process, point, command), group in rows.items():
        cells = (process, point, command, len(group), *_ended(group))
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    total = sum(len(group) for group in rows.values())
    return "\n".join([*lines, "", f"{total} runs, {len(rows)} points"])


def _ended(group: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """What the runs of one row came to; each is in a column only as far as the suite saw it hold."""
    good = [outcome for outcome in group if not outcome["failed"]]
    live = _counted(outcome["live"] or "not seen" for outcome in group)
    after = _counted("resume" if outcome["repeated"] == 0 else "resume, command again" for outcome in good)
    if len(good) < len(group):
        return live, f"{len(group) - len(good)} FAILED; {after or 'nothing'}", "see below", "see below"
    return live, after, "checks", "once"


def _counted(words: Iterable[str]) -> str:
    found = Counter(words)
    return ", ".join(word if len(found) == 1 else f"{word} {times}" for word, times in sorted(found.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
