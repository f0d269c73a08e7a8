"""The description of a change for a pull or merge request, in Markdown, from its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.entrypoints.cli.safe import safe, safe_block

_RESULTS = {"pass": "passed", "fail": "failed", "broken-before": "failed before, too"}


def describe(card: Mapping[str, Any]) -> str:
    """Title, then why, what, checks with their results, risk with its reasons, and where it comes from."""
    parts = [
        f"# {safe(card['summary'])}",
        safe_block(card["rationale"]),
        f"Expected: {safe_block(card['expected'])}",
        "## Files\n\n" + "".join(_file(item) for item in card["files"]),
        "## Checks\n\n" + "".join(_check(item) for item in card["evidence"]),
        _risk(card["risk"]),
        _origin(card),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _file(item: Mapping[str, Any]) -> str:
    return f"* {_code(item['path'])}: {safe(item['line_class'])}, +{item['added']} -{item['removed']}\n"


def _check(item: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in sorted(item["facts"].items()) if value)
    found = "".join(f"\n  * {safe(one['name'])}: {safe(one['why'])}" for one in item["findings"])
    result = _RESULTS.get(item["verdict"], item["verdict"])
    return f"* {safe(item['check'])}: {result}{f' ({safe(facts)})' if facts else ''}{found}\n"


def _risk(risk: Mapping[str, Any]) -> str:
    total = min(100, sum(part["points"] for part in risk["contributions"]))
    lines = "".join(
        f"* +{part['points']} {safe(part['name'])}: {safe(part['why'])}\n" for part in risk["contributions"]
    )
    return f"## Risk: {total} of 100, consent level {risk['level']}\n\n{lines}"


def _origin(card: Mapping[str, Any]) -> str:
    rows = [
        ("change", card["change"]),
        ("origin", f"{card['origin']['actor']} through {card['origin']['door']}"),
        ("base", card["base"]),
        ("green", card["green"]),
        ("card's patch", card["patch"]),
        *((f"tool {name}", digest) for name, digest in sorted(card["tools"].items())),
    ]
    notes = "".join(f"* note: {safe(note)}\n" for note in card["notes"])
    return "## Provenance\n\n" + "".join(f"* {safe(name)}: {_code(value)}\n" for name, value in rows) + notes


def _code(text: str) -> str:
    return f"`{safe(text).replace('`', chr(0x2CB))}`"
