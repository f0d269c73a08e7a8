"""Cards as Markdown. Words from outside are escaped: they make no link, no markup and no row of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from greenroom.entrypoints.cli.render import AGREE, LEVELS
from greenroom.entrypoints.cli.safe import safe, safe_block

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#!|~@&]|:(?=//)|\A[+-])")


def text(words: object) -> str:
    """One line of plain words."""
    return _MARKUP.sub(r"\\\1", safe(" ".join(str(words).split())))


def block(words: str, language: str = "") -> str:
    """A fenced block that its content cannot end."""
    content = safe_block(words)
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content.rstrip()}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; cells are plain words."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(text(cell) for cell in row)} |" for row in rows)])


def card(shown: Mapping[str, Any], patch: bytes) -> str:
    """What `show` answers and the patch, as one page; what there is where the change has no card yet."""
    proposal = shown["proposal"]
    said = shown["held"] or shown["refused"]
    state = shown["state"] + (f", {said['rule']}: {said['remedy']}" if said else "")
    parts = [
        f"# {text(proposal['summary'])}",
        f"Change {text(shown['id'])} by {text(proposal['proposer'])}, rule {text(proposal['rule'])}: {text(state)}",
        f"**Why, as the proposer says:** {text(proposal['rationale'])}",
        f"**Expected, as the proposer says:** {text(proposal['expected'])} (confidence {proposal['confidence']} %)",
        *(_verified(shown["card"]) if shown["card"] else (_unverified(proposal),)),
        "## Diff",
        block(patch.decode("utf-8", "backslashreplace"), "diff"),
    ]
    return "\n\n".join(parts) + "\n"


def _unverified(proposal: Mapping[str, Any]) -> str:
    files = ", ".join(text(path) for path in proposal["files"])
    return f"Nothing of it is verified yet. Files: {files}"


def _verified(body: Mapping[str, Any]) -> Iterator[str]:
    total = min(100, sum(part["points"] for part in body["risk"]["contributions"]))
    yield f"**Who must agree:** {text(AGREE[body['agree']])} (level {text(LEVELS[body['risk']['level']])})"
    yield "## Files"
    rows = [(item["path"], item["line_class"], item["added"], item["removed"], item["why"]) for item in body["files"]]
    yield table(("file", "kind", "+", "-", "why"), rows)
    yield "## Checks"
    yield table(("check", "result", "facts"), [(e["check"], e["verdict"], _facts(e)) for e in body["evidence"]])
    yield f"## Risk {total} of 100"
    risks = [(part["points"], part["name"], part["why"]) for part in body["risk"]["contributions"]]
    yield table(("points", "name", "why"), risks)
    yield "## Where it comes from"
    origin = body["origin"]
    names = ("plan", "base", "green", "golden", "patch", "proposal")
    facts = [("origin", f"{origin['actor']} through {origin['door']}; engine: {origin['engine'] or 'none'}")]
    facts += [(name, body[name]) for name in names]
    facts += [*sorted(body["environment"].items()), *((f"tool {name}", d) for name, d in sorted(body["tools"].items()))]
    yield table(("what", "which"), facts)
    if body["notes"]:
        yield "\n".join(f"* {text(note)}" for note in body["notes"])


def _facts(item: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in sorted(item["facts"].items()) if value)
    return facts + "".join(f"; {found['name']}: {found['why']}" for found in item["findings"])
