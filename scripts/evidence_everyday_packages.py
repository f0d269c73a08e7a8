"""Runs `improve` on pinned releases of three real packages with more than thirty findings each, in a stated budget.

For each: when the first card was there, what became of each proposal, what was dropped and by which rule, that a second
run finds nothing twice, and that no proposal is of a rule that the package's own configuration ignores. Ends with 1
where a line is not what it has to be. Needs a package index.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from greenroom.brokers.release import fetch_release

BIN = Path(sys.executable).parent
GREENROOM = str(BIN / "greenroom")
PACKAGES = (
    ("boltons", "26.2.0", "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"),
    ("tinydb", "4.9.0", "6928b1fa785186bda7952a0ba05aaeedc883ede565ca9c7d608de44e5e75de70"),
    ("pathspec", "1.1.1", "17db5ecd524104a120e173814c90367a96a98d07c45b2e10c2f3919fff91bf5a"),
)
PROPOSERS = ("codespell", "ruff", "unused", "strings", "data", "modernise")
LEAST_FINDINGS = 31
BUDGET = "15m"
MOST = "40"
CARD = re.compile(r"^[a-z0-9]{6}  \S+:\S+ |^[a-z0-9]{6}  codespell ")


def main(names: list[str]) -> int:
    """Run the packages named, or all; 0 when each line is what it has to be."""
    chosen = [package for package in PACKAGES if not names or package[0] in names]
    with tempfile.TemporaryDirectory(prefix="greenroom-evidence-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the sandbox user passes through, and reads nothing
        os.environ["GREENROOM_HOME"] = str(Path(scratch) / "box")
        subprocess.run([GREENROOM, "init", "--no-input"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([GREENROOM, "config", "set", "proposers", json.dumps(PROPOSERS)], check=True)
        try:
            wrong = [line for package in chosen for line in one(Path(scratch), *package)]
        finally:
            subprocess.run([GREENROOM, "down"], check=False)
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


def one(scratch: Path, name: str, version: str, sha256: str) -> list[str]:
    """Print what becomes of one package; what was not as it has to be."""
    place = fetch_release(name, version, sha256, scratch, environment=os.environ)
    bounds = f"--max {MOST} --budget-time {BUDGET}"
    print(f"\n### {name} {version}\n\n$ greenroom improve {place.name} {bounds} --no-input --out cards")
    began = time.monotonic()
    first, found = improve(place, scratch / f"{name}-cards")
    minutes = (time.monotonic() - began) / 60
    rows = found["changes"]
    if found["verdict"]["is"] != "passed":
        print(f"held: {found['verdict']['rule']}: {found['verdict']['where']}")
    ended = Counter(row["ended"] or (row["held"] or {}).get("rule", "") for row in rows)
    counts = {key: sum(scan["counts"][key] for scan in found["scans"]) for key in ("findings", "proposed", "reported")}
    print(f"first card after {first:.1f} s; the last after {minutes:.1f} min; {counts['findings']} findings")
    print(
        f"{len(rows)} proposals of {counts['proposed']} findings: "
        + ", ".join(f"{n} {why}" for why, n in sorted(ended.items()))
    )
    print_dropped(found["scans"])
    _, again = improve(place, scratch / f"{name}-again", "--max", "0")
    twice = [row["id"] for row in again["changes"]]
    print(f"second run: {len(twice)} new proposals, {len(again['known'])} that wait from the first")
    ignored = own_ignores(place)
    print(f"rules that its own configuration ignores: {', '.join(sorted(ignored)) or 'none'}{hits(place, ignored)}")
    against = [row["id"] for row in rows if row["rule"].partition(":")[2].startswith(tuple(ignored) or ("-",))]
    return [
        *([f"{name}: only {counts['findings']} findings"] if counts["findings"] < LEAST_FINDINGS else []),
        *(f"{name}: {each} was found twice" for each in twice),
        *(f"{name}: {each} is of an ignored rule" for each in against),
        *([f"{name}: {len(found['left'])} were not reached"] if found["left"] else []),
        *([f"{name}: no card was seen"] if first < 0 else []),
    ]


def improve(place: Path, out: Path, *words: str) -> tuple[float, dict[str, Any]]:
    """Seconds to the first card, -1 where none came, and the answer that the command left in `out`."""
    bounds = words or ("--max", MOST, "--budget-time", BUDGET)
    began, first = time.monotonic(), -1.0
    argv = [GREENROOM, "improve", str(place), "--no-input", "--out", str(out), *bounds]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout or ():
            if first < 0 and CARD.match(line):
                first = time.monotonic() - began
    plain: dict[str, Any] = json.loads((out / "answer.json").read_text())
    return first, plain


def print_dropped(scans: list[dict[str, Any]]) -> None:
    """The table of what each proposer found, proposed and dropped, and why."""
    columns = ("proposer", "files", "ignored", "findings", "proposed", "reported", "dropped, and why")
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for scan in scans:
        counts = scan["counts"]
        cells = [scan["proposer"], counts["scanned"], named(counts["ignored"]), counts["findings"]]
        cells += [counts["proposed"], counts["reported"], named(counts["dropped"])]
        print("| " + " | ".join(map(str, cells)) + " |")
    print()


def named(counts: dict[str, int]) -> str:
    """Counts with their reasons."""
    return ", ".join(f"{count} {why}" for why, count in sorted(counts.items())) or "-"


def own_ignores(place: Path) -> set[str]:
    """The rules that the package's own ruff configuration ignores everywhere."""
    pyproject = place / "pyproject.toml"
    ruff = tomllib.loads(pyproject.read_text()).get("tool", {}).get("ruff", {}) if pyproject.is_file() else {}
    lint = ruff.get("lint", {})
    return {*ruff.get("ignore", ()), *lint.get("ignore", ()), *lint.get("extend-ignore", ())}


def hits(place: Path, ignored: set[str]) -> str:
    """How often the ignored rules would have been hit."""
    if not ignored:
        return ""
    argv = [
        str(BIN / "ruff"),
        "check",
        "--isolated",
        "--select",
        ",".join(sorted(ignored)),
        "--output-format",
        "json",
        str(place),
    ]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    return f" ({len(json.loads(done.stdout))} hits without it)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
