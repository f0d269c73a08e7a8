"""Runs `improve` on pinned source releases of real packages in one throw-away box; prints a Markdown table.

For each: what was proposed, verified and refused and why, the minutes, and whether the live digest was unchanged
until the promote and equal to the start after promote and revert. Needs a package index.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from greenroom.brokers.release import fetch_release

GREENROOM = str(Path(sys.executable).parent / "greenroom")
PACKAGES = (
    ("dictdiffer", "0.9.0", "17bacf5fbfe613ccf1b6d512bd766e6b21fb798822a133aa86098b8ac9997578"),
    ("parse", "1.9.1", "a9924452e369f56f0223ebb2081183f59dab71066b9cb8a3b0e441e89d29e1f9"),
    ("requests", "2.9.2", "d8be941a08cf36e4f424ac76073eb911e5e646a33fcb3402e1642c426bf34682"),
    ("boltons", "26.2.0", "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"),
    ("tabulate", "0.9.0", "0095b12bf5966de529c0feb1fa08671671b3368eec77d7ef7ab114be2c068b3c"),
    ("toolz", "1.2.0", "9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490"),
    ("natsort", "8.4.0", "45312c4a0e5507593da193dedd04abb1469253b601ecaf63445ad80f0a1ea581"),
)
COLUMNS = ("package", "files", "tests on base", "proposed", "verified", "refused or held, and why", "minutes", "live")


def main(names: list[str]) -> int:
    """Run the packages named, or all; 0 when every live digest was as it should be."""
    chosen = [package for package in PACKAGES if not names or package[0] in names]
    with tempfile.TemporaryDirectory(prefix="greenroom-evidence-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the sandbox user passes through, and reads nothing
        os.environ["GREENROOM_HOME"] = str(Path(scratch) / "box")
        greenroom("init", "--no-input")
        try:
            rows = [one(Path(scratch), *package) for package in chosen]
        finally:
            subprocess.run([GREENROOM, "down"], check=False)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    return 0 if all(row[-1].startswith("equal") for row in rows) else 1


def one(scratch: Path, name: str, version: str, sha256: str) -> tuple[str, ...]:
    """The row of one package."""
    place = fetch_release(name, version, sha256, scratch, environment=os.environ)
    began = time.monotonic()
    found = greenroom("improve", str(place), "--max", "100")
    minutes = (time.monotonic() - began) / 60
    rows = found["changes"]
    waiting = [row for row in rows if (row["held"] or {}).get("rule") == "needs-approval"]
    reasons = Counter(row["ended"] or (row["held"] or {}).get("rule") for row in rows if row not in waiting)
    files = sum(1 for path in place.rglob("*") if path.is_file())
    why = ", ".join(f"{count} {rule}" for rule, count in sorted(reasons.items())) or "none"
    return (
        f"{name} {version}",
        str(files),
        tests(waiting),
        str(len(rows)),
        str(len(waiting)),
        why,
        f"{minutes:.1f}",
        there_and_back(found, waiting),
    )


def tests(waiting: list[dict[str, Any]]) -> str:
    """What the tests of base did, from the first card."""
    if not waiting:
        return "-"
    card = greenroom("show", waiting[0]["id"])["card"]
    facts = next((item["facts"] for item in card["evidence"] if item["check"] == "tests"), {})
    if facts.get("why") == "no-runnable-tests":
        return "none runnable"
    return f"{facts.get('passed')} pass, {facts.get('failing-before')} fail before, {facts.get('skipped')} skipped"


def there_and_back(found: dict[str, Any], waiting: list[dict[str, Any]]) -> str:
    """Promote one and revert it; say whether live was untouched before, changed between and equal after."""
    before = live(found["subject"])
    if before != found["live"]:
        return "CHANGED before promote"
    if not waiting:
        return "equal (nothing promoted)"
    chosen = waiting[-1]
    greenroom("approve", chosen["id"], "--yes", "--actor", "evidence script")
    between = live(found["subject"])
    greenroom("revert", chosen["id"])
    if between != chosen["green"] or live(found["subject"]) != before:
        return "NOT equal after revert"
    return "equal after promote and revert"


def live(subject: str) -> str:
    """The live digest of a subject."""
    return str(greenroom("status")["live"][subject])


def greenroom(*words: str) -> dict[str, Any]:
    """Run a command and read its JSON."""
    done = subprocess.run([GREENROOM, *words, "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 3, 4):
        raise SystemExit(f"greenroom {' '.join(words)} ended with {done.returncode}: {done.stdout.decode()[:500]}")
    plain: dict[str, Any] = json.loads(done.stdout)
    return plain


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
