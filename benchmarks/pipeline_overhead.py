"""What the pipeline costs beside the tests, and what ten changes on one base save by sharing the runs of that base.

    python benchmarks/pipeline_overhead.py [--changes N] [--seconds S] [--json]

A generated repository has one typo a file and a suite of S seconds (10). On a box of its own, with its processes
running:

* overhead: wall time of `greenroom improve` / time inside runs of tests. The repository has no dependencies, so nothing
  is installed. Aim: 1.15, for one change and for ten.
* reuse: wall time of one `improve` with ten changes / that of ten, each of one change on a repository of its own.
  Aim: 0.6.

Beside them: the ratio of reuse that the runs of tests alone allow, and where the rest of the time goes, by stage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AIMS = {"overhead of one": 1.15, "overhead of many": 1.15, "reuse": 0.6}
SUITES = ("tests", "own-tests")
STAGE = re.compile(r"^  \w+ +(plan|debate|simulate|verify|approve) ")
COMMAND = "from greenroom.bootstrap import main; raise SystemExit(main())"


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One `improve`: wall seconds, seconds inside runs of tests and how many there were, wall seconds by stage."""

    wall: float
    inside: float
    runs: int
    stages: Mapping[str, float]

    @property
    def overhead(self) -> float:
        """Wall time / time inside tests."""
        return self.wall / self.inside


class Bench:
    """A box in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._environment = {**os.environ, "GREENROOM_HOME": str(home / "box"), "PYTHONUNBUFFERED": "1"}
        self._greenroom("init")
        self._greenroom("status")

    def improve(self, name: str, changes: int, seconds: float) -> Took:
        """Carry `changes` proposals of a repository that nothing is known of."""
        place = repository(self._home / name, changes, seconds)
        self._greenroom("status")
        began = time.perf_counter()
        stages: Counter[str] = Counter()
        words = ("improve", str(place), "--only", "codespell", "--max", str(changes), "--json")
        with subprocess.Popen(
            self._argv(*words),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            before = began
            for line in process.stderr:
                at = time.perf_counter()
                found = STAGE.match(line)
                stages[found[1] if found else "scan and rest"] += at - before
                before = at
            answer = json.loads(process.stdout.read())
        wall = time.perf_counter() - began
        if process.returncode != 0 or len(answer["changes"]) != changes:
            raise SystemExit(f"improve ended with {process.returncode}: {answer['verdict']}, {answer['failed']}")
        inside = self._inside([row["id"] for row in answer["changes"]])
        return Took(wall=wall, inside=sum(inside.values()), runs=len(inside), stages=dict(stages))

    def down(self) -> None:
        """End the processes."""
        self._greenroom("down")

    def _inside(self, changes: Sequence[str]) -> Mapping[str, float]:
        """Seconds of each run of tests, by its receipt: a run that several changes share is one."""
        found: dict[str, float] = {}
        for change in changes:
            for run in json.loads(self._greenroom("show", change, "--json"))["runs"]:
                if run["check"] in SUITES:
                    found[run["receipt"]] = run["seconds"]
        return found

    def _greenroom(self, *words: str) -> str:
        ended = subprocess.run(
            self._argv(*words), env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if ended.returncode != 0:
            raise SystemExit(f"greenroom {' '.join(words)}: {ended.stderr}")
        return ended.stdout

    @staticmethod
    def _argv(*words: str) -> Sequence[str]:
        return (sys.executable, "-c", COMMAND, *words)


def repository(place: Path, changes: int, seconds: float) -> Path:
    """`changes` pages with one typo each, and a suite of `seconds`; no two of them have the same tree."""
    (place / "tests").mkdir(parents=True)
    for number in range(changes):
        (place / f"page{number}.md").write_text(f"# Page {number} of {place.name}\n\nThey recieve it.\n")
    suite = f"import time\n\n\ndef test_slow():\n    time.sleep({seconds})\n"
    (place / "tests" / "test_slow.py").write_text(suite)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "first")):
        who = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")
        subprocess.run(("git", "-C", str(place), *who, *words), check=True)
    return place


@contextmanager
def bench() -> Iterator[Bench]:
    """A box that is taken away again."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-bench-"))
    made = None
    try:
        made = Bench(home)
        yield made
    finally:
        if made is not None:
            made.down()
        shutil.rmtree(home, ignore_errors=True)


def measure(changes: int, seconds: float) -> dict[str, Any]:
    """Run everything; times in seconds."""
    with bench() as box:
        # The first run makes the toolchain, which is no part of any later one.
        box.improve("warm", 1, 0)
        singles = [box.improve(f"single{number}", 1, seconds) for number in range(changes)]
        many = box.improve("many", changes, seconds)
    one = min(singles, key=lambda took: took.wall)
    alone = sum(took.wall for took in singles)
    ratios = {"overhead of one": one.overhead, "overhead of many": many.overhead, "reuse": many.wall / alone}
    return {
        "changes": changes,
        "suite_s": seconds,
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "aims": AIMS,
        "reuse_of_tests_alone": round(many.inside / sum(took.inside for took in singles), 3),
        "wall_s": {"one": round(one.wall, 1), "many": round(many.wall, 1), "singles": round(alone, 1)},
        "inside_s": {"one": round(one.inside, 1), "many": round(many.inside, 1)},
        "runs_of_tests": {"one": one.runs, "many": many.runs, "singles": sum(took.runs for took in singles)},
        "stages_of_one_s": {name: round(took, 2) for name, took in one.stages.items()},
        "stages_of_many_s": {name: round(took, 2) for name, took in many.stages.items()},
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    found = measure(wanted.changes, wanted.seconds)
    if wanted.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"{found['changes']} changes, a suite of {found['suite_s']:g} s")
    for name, ratio in found["ratios"].items():
        print(f"{name:<18} {ratio:.3f}   aim {AIMS[name]}")
    print(f"reuse that the runs of tests alone allow: {found['reuse_of_tests_alone']}")
    for name in ("wall_s", "inside_s", "runs_of_tests", "stages_of_one_s", "stages_of_many_s"):
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in found[name].items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
