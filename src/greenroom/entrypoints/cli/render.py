"""Cards, boards and progress on a screen. Everything shown passes through `safe`; nothing is truncated."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from greenroom.domain.standing import APPLY_WINDOW
from greenroom.entrypoints.cli import runs, when
from greenroom.entrypoints.cli.safe import safe, safe_block

LEVELS = ("0 information", "1 low", "2 logic", "3 only a person")
AGREE = {
    "nobody": "nobody needs to agree",
    "standing": "the owner's standing opt-in, or a person",
    "two-verifies": "two separate verify runs, or a person",
    "person": "a person",
}
TRUST = ("0 untrusted", "1 words of the box", "2 words of a person")
_STATE_STYLE = {"kept": "green", "promoted": "green", "aborted": "red", "reverted": "yellow"}


def console(*, stderr: bool = False) -> Console:
    """A console without markup or emoji: what it prints is what was written."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def board(rows: Sequence[Mapping[str, Any]], now: int = 0) -> Table:
    """The board as a table, with the repository where there are several; `now` is for what is left of apply windows."""
    table = Table(box=None, pad_edge=False)
    several = len({row["subject"] for row in rows if row.get("subject")}) > 1
    for name in ("ID", *(("REPOSITORY",) if several else ()), "STATE", "RISK", "LEVEL", "RULE", "SUMMARY"):
        table.add_column(name, overflow="fold")
    for row in rows:
        held = row.get("held")
        state = str(row["state"]) + (f" (held: {held['rule']})" if held else "")
        if row.get("ended"):
            state += f" ({row['ended']})"
        if row.get("parent"):
            state += f", child of {row['parent']}"
        if row.get("window"):
            left = when.left(int(row["window"]), now)
            state += f" (applied in {left})" if left else " (window over)"
        risk = "" if row.get("risk") is None else str(row["risk"])
        level = "" if row.get("level") is None else str(row["level"])
        style = _STATE_STYLE.get(str(row["state"]), "")
        where = (safe(str(row.get("subject", "")).partition(":")[2]),) if several else ()
        cells = (row["id"], *where, safe(state), risk, level, safe(str(row["rule"])), safe(str(row["summary"])))
        table.add_row(*(Text(str(cell)) for cell in cells), style=style)
    return table


def card(shown: Mapping[str, Any]) -> Panel:
    """The whole card of a change, with its debate and its runs; what there is where it has no card."""
    body = shown.get("card")
    if body is None:
        return Panel(_uncarded(shown), title=Text(str(shown["id"])), title_align="left")
    parts = [
        _pairs(
            ("summary", body["summary"]),
            ("why, as the proposer says", body["rationale"]),
            ("expected, as the proposer says", body["expected"]),
            ("confidence, as the proposer says", f"{body['confidence']} %"),
            ("subject", f"{body['subject']['kind']}:{body['subject']['address']}"),
            ("state", _state(shown)),
        ),
        _files(body["files"]),
        _checks(body["evidence"]),
        _risk(body["risk"]),
        _pairs(("who must agree", f"{AGREE[body['agree']]} (level {LEVELS[body['risk']['level']]})")),
        _provenance(body, shown),
    ]
    if body["notes"]:
        parts.append(_pairs(*(("note", note) for note in body["notes"])))
    parts += _debate_and_runs(shown)
    title = Text(str(shown["id"]), style="bold")
    return Panel(Group(*parts), title=title, title_align="left", border_style="green")


def diff(text: str) -> Text:
    """A patch with its lines coloured."""
    out = Text()
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in safe_block(text).splitlines(keepends=True):
        header = line.startswith(("+++", "---", "diff "))
        out.append(line, style="bold" if header else styles.get(line[:1], ""))
    return out


def verdict_line(verdict: Mapping[str, Any]) -> Text:
    """One line: what was decided, by which rule, where, and what would help."""
    if verdict["is"] == "passed":
        return Text("passed", style="green")
    style = "yellow" if verdict["is"] == "held" else "red"
    line = Text(f"{verdict['is']}: {safe(verdict['rule'])}", style=style)
    if verdict["where"]:
        line.append(f"\n  where:  {safe(verdict['where'])}", style="")
    if verdict["remedy"]:
        line.append(f"\n  remedy: {safe(verdict['remedy'])}", style="")
    return line


_PLAIN = {"prepare": "getting what the base needs to run its tests", "tests": "running the tests"}


def progress(event: Mapping[str, Any]) -> str | None:
    """One line of progress for stderr, or None for what nobody needs to see."""
    kind = event.get("event")
    if kind == "import":
        return f"importing {safe(event['subject'])}"
    if kind == "imported":
        return f"imported, tree {event['tree'][:17]}"
    if kind == "proposal":
        return proposal(event)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in ("carrying", "carried"):
        return _carried(event)
    if kind == "prepared":
        return "dependencies ready" + "".join(f"\n  note: {safe(note)}" for note in event["notes"])
    if kind == "propose":
        return f"looking for findings: {safe(event['proposer'])}"
    if kind == "restacked":
        return f"{safe(event['from'])} goes on as {safe(event['to'])}, on what is live"
    if kind == "stage" and event["phase"] == "result":
        verdict = event["verdict"]
        said = verdict["is"] if verdict["is"] == "passed" else f"{verdict['is']}: {verdict['rule']}"
        said = "waits in its apply window" if verdict.get("rule") == APPLY_WINDOW else said
        return f"  {event['change']}  {event['stage']:<9} {safe(said)}"
    return None


def proposal(event: Mapping[str, Any]) -> str:
    """A proposal in two lines, before anything of it is tried: rule, lines, files; what it is about."""
    more = f" and {event['more_files']} more" if event["more_files"] else ""
    files = ", ".join(event["files"]) + more
    head = f"{event['id']}  {event['rule']}  +{event['added']} -{event['removed']}  {files}"
    return f"{safe(head)}\n        {safe(event['summary'])}"


def seconds(count: float) -> str:
    """A span of time in words: `4.2 s`, `2 min 5 s`, `1 h 0 min`."""
    if count < 60:
        return f"{count:.1f} s" if count < 10 else f"{count:.0f} s"
    minutes, rest = divmod(round(count), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours else f"{minutes} min {rest} s"


def _carried(event: Mapping[str, Any]) -> str:
    left = "" if event["left_s"] is None else f", {seconds(event['left_s'])} left"
    clock = f"[{seconds(event['spent_s'])} spent{left}]"
    if event["event"] == "carrying":
        return f"{clock} {safe(event['change'])}, {event['number']} of {event['of']}"
    row = event["row"]
    said = row["refused"] or row["held"] or {"rule": row["state"]}
    return f"{clock} {safe(row['id'])} took {seconds(row['seconds'])}: {safe(said['rule'])}"


def tell(event: Mapping[str, Any]) -> None:
    """Progress on stderr."""
    line = progress(event)
    if line is not None:
        print(line, file=sys.stderr, flush=True)


def _uncarded(shown: Mapping[str, Any]) -> Group:
    proposal = shown["proposal"]
    pairs = _pairs(
        ("summary", shown["summary"]),
        ("why", proposal["rationale"]),
        ("expected", proposal["expected"]),
        ("files", ", ".join(proposal["files"])),
        ("state", _state(shown)),
    )
    return Group(pairs, *_debate_and_runs(shown))


def _debate_and_runs(shown: Mapping[str, Any]) -> list[Table]:
    found = [_debate(shown["debate"])] if shown.get("debate") else []
    return [*found, runs.table(shown["runs"])] if shown.get("runs") else found


def _debate(debate: Mapping[str, Any]) -> Table:
    """The transcript: each score of each reviewer in each round, and what the judge made of the round."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("round", "reviewer", "axis", "points", "why"):
        table.add_column(name, overflow="fold")
    for each in debate["rounds"]:
        for line in (*(line for review in each["reviews"] for line in _scores(review)), _ruling(each)):
            table.add_row(*(Text(safe(str(cell))) for cell in (each["round"], *line)))
    return table


def _scores(review: Mapping[str, Any]) -> list[tuple[str, ...]]:
    if "error" in review:
        return [("no review", "", "", str(review["error"]))]
    who = f"{review['reviewer']} {review['version']}"
    return [(who, score["axis"], f"{score['points']} of 100", score["why"]) for score in review["scores"]]


def _ruling(each: Mapping[str, Any]) -> tuple[str, ...]:
    return "the judge", "", str(each["ruling"]), str(each["why"])


def _state(shown: Mapping[str, Any]) -> str:
    held = shown.get("held")
    if held:
        return f"{shown['state']}, held: {held['rule']} ({held['where']}); {held['remedy']}"
    if shown.get("window"):
        ends = when.said(int(shown["window"]))
        return f"{shown['state']}, applied by itself after {ends}; greenroom cancel {shown['id']} prevents it"
    refused = shown.get("refused")
    if refused:
        return f"{shown['state']}, refused: {refused['rule']} ({refused['where']}); {refused['remedy']}"
    return f"{shown['state']} ({shown['ended']})" if shown.get("ended") else str(shown["state"])


def _pairs(*pairs: tuple[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(safe(str(value))))
    return table


def _files(files: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("file", "kind", "+", "-", ""):
        table.add_column(name, overflow="fold")
    for item in files:
        cells = (item["path"], item["line_class"], item["added"], item["removed"], item["why"])
        table.add_row(*(Text(safe(str(cell))) for cell in cells))
    return table


def _checks(evidence: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("check", "result", "facts"):
        table.add_column(name, overflow="fold")
    for item in evidence:
        facts = safe(", ".join(f"{k} {v}" for k, v in sorted(item["facts"].items()) if v))
        found = "".join(f"\n{safe(f['name'])}: {safe(f['why'])}" for f in item["findings"])
        style = {"pass": "green", "fail": "red"}.get(item["verdict"], "yellow")
        table.add_row(Text(safe(item["check"])), Text(item["verdict"], style=style), Text(facts + found))
    return table


def _risk(risk: Mapping[str, Any]) -> Table:
    total = min(100, sum(part["points"] for part in risk["contributions"]))
    rows = [("risk", f"{total} of 100")]
    rows += [(f"  +{part['points']}", f"{part['name']}: {part['why']}") for part in risk["contributions"]]
    return _pairs(*rows)


def _provenance(body: Mapping[str, Any], shown: Mapping[str, Any]) -> Table:
    origin = body["origin"]
    rows = [
        ("origin", f"{origin['actor']} through {origin['door']}; engine: {origin['engine'] or 'none'}"),
        ("prompt", origin["prompt"] or "none"),
        ("trust", TRUST[origin["trust"]]),
        ("plan", body["plan"]),
        ("base", body["base"]),
        ("green", body["green"]),
        ("golden", body["golden"]),
        ("patch", body["patch"]),
        ("proposal", body["proposal"]),
        ("card", shown["change"]["card"] or ""),
    ]
    rows += [(f"tool {name}", digest) for name, digest in sorted(body["tools"].items())]
    rows += [(name, value) for name, value in sorted(body["environment"].items())]
    if body["suggested_tests"]:
        rows.append(("tests that the proposer suggests", ", ".join(body["suggested_tests"])))
    debate = shown.get("debate")
    if debate:
        rows.append(("debate", f"{debate['ruling']} after {len(debate['rounds'])} round(s): {debate['why']}"))
    return _pairs(*rows)
