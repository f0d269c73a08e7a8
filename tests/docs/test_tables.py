"""Tables of the documents that name what the code has: each names all of it, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from greenroom.domain.plan import ArgRule, Caps, ToolManifest
from greenroom.domain.proof import Predicate

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "greenroom"
OURS = "https://greenroom.example/"


def _names(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _rows(text: str, heading: str) -> dict[str, str]:
    """The first two cells of each row of the table below `heading`."""
    below = text.partition(f"\n{heading}\n")[2]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", re.split(r"\n#+ ", below)[0], re.MULTILINE)
    assert rows, heading
    return dict(rows)


def test_every_field_of_a_manifest_is_in_the_table_with_what_enforces_it() -> None:
    """A field that nothing enforces is said to decide nothing; each module that is named is there."""
    rows = _rows((ROOT / "ARCHITECTURE.md").read_text(), "## What a tool's manifest holds")
    named = {word for cell in rows for word in re.findall(r"`([\w.]+)`", cell)}
    caps = {f"caps.{name}" for name in _names(Caps)}
    assert named == (_names(ToolManifest) - {"caps"}) | caps | _names(ArgRule)
    for said in rows.values():
        modules = re.findall(r"`(\w+/\w+\.py)`", said)
        assert modules
        assert [module for module in modules if not (SOURCE / module).is_file()] == []


def test_every_predicate_is_in_the_decision_that_says_what_it_means() -> None:
    """What is signed under a name of ours is told there, with the class that is its schema."""
    [record] = (ROOT / "docs" / "adr").glob("0039-*.md")
    rows = _rows(record.read_text(), "## Decision")
    ours = {str(each).removeprefix(OURS) for each in Predicate if str(each).startswith(OURS)}
    assert {cell.strip("`") for cell in rows} == ours
    for said in rows.values():
        [place] = re.findall(r"`(\w+\.\w+\.\w+)`", said)
        room, module, name = place.split(".")
        assert f"class {name}:" in (SOURCE / room / f"{module}.py").read_text()
    others = {str(each) for each in Predicate} - {OURS + name for name in ours}
    assert all(other in record.read_text() for other in others)
