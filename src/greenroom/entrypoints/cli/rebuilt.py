"""What `doctor --rebuild` found and did, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.entrypoints.cli.safe import safe


def show(made: Mapping[str, Any]) -> None:
    """Print what the database lacks, or what was written and what was kept."""
    print(f"log: whole; {made['log']} entries")
    print(f"box database: {made['database']}; runs: {made['runs']}")
    if not made["needed"]:
        print("nothing to rebuild: the box database has what log, guard and documents tell")
        return
    verb = "rebuilt" if made["rebuilt"] else "would rebuild"
    for row in made["changes"]:
        print(f"{verb} {safe(row['id'])}: {row['state']} ({row['why']})")
    for name in made["deliveries"]:
        print(f"{verb} the delivery of {safe(name)}")
    if made["decisions"]:
        print(f"{verb} what a person said of {made['decisions']} changes")
    for name in made["unknown"]:
        print(f"not told: {safe(name)}; its plan or its proposal is not in the store")
    for path in made["kept_aside"]:
        print(f"kept: {safe(path)}")
    for note in made["notes"]:
        print(f"note: {note}")
    if not made["rebuilt"]:
        print("nothing was written; `greenroom doctor --rebuild --yes` does it, and keeps the file that is there")
