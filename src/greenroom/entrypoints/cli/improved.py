"""What `improve` shows: the proposals, what became of them, what is left and why, and the table of the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from greenroom.entrypoints.cli import render, scans, windows
from greenroom.entrypoints.cli.safe import safe

WHY_LEFT = {
    "max": "--max is reached",
    "budget-time": "--budget-time would be over before another one ends",
    "interrupted": "the command was interrupted",
    "stopped": "a stop is set",
    "error": "the command ended early",
}


class Told:
    """Progress of one `improve`, printed as it comes and remembered in case no answer does."""

    def __init__(self) -> None:
        self._proposals: dict[str, Mapping[str, Any]] = {}
        self._rows: list[Mapping[str, Any]] = []
        self._scans: list[Mapping[str, Any]] = []
        self._notes: list[str] = []
        self._facts: dict[str, Any] = {"subject": "", "live": None, "spent_s": 0.0}
        self._under_way = ""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Hear one event. It is remembered before it is shown: an interrupt in between loses nothing."""
        self._remember(event)
        render.tell(event)

    def _remember(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "import":
            self._facts["subject"] = event["subject"]
        elif kind == "imported":
            self._facts["live"] = event["tree"]
        elif kind == "scanned":
            self._scans.append(event["scan"])
        elif kind == "prepared":
            self._notes.extend(event["notes"])
        elif kind == "proposal":
            self._proposals[event["id"]] = event
        elif kind in ("carrying", "carried"):
            self._facts["spent_s"] = event["spent_s"]
            self._under_way = event["change"] if kind == "carrying" else ""
            self._rows += [event["row"]] if kind == "carried" else []

    @property
    def anything(self) -> bool:
        """True when the repository was taken in: there is something to show."""
        return self._facts["live"] is not None

    def so_far(self, why: str) -> dict[str, Any]:
        """The answer as far as it is known; `why` it is not whole."""
        done = {row["id"] for row in self._rows}
        left = [_queued(each) for name, each in self._proposals.items() if name not in done | {self._under_way}]
        return {
            **self._facts,
            "changes": self._rows,
            "known": [],
            "left": left,
            "left_because": why if left else "",
            "under_way": self._under_way,
            "failed": [],
            "ended": [],
            "scans": self._scans,
            "unread": [],
            "notes": self._notes,
            "verdict": {"is": "passed"},
            "partial": why,
        }


def _queued(event: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a proposal that is only known from its short card."""
    held = {"rule": "queued", "where": "proposed, nothing of it is verified yet", "remedy": "greenroom improve"}
    line = {name: event[name] for name in ("id", "rule", "summary")}
    return {**line, "state": "proposed", "held": held, "refused": None, "ended": None, "risk": None, "level": None}


def show(answer: Mapping[str, Any], now: int) -> None:
    """Print an answer, whole or as far as it is known; the table of the scan comes in any case."""
    out = render.console()
    rows = [*answer["changes"], *answer["known"], *answer["left"]]
    if rows:
        out.print(render.board(rows, now))
    for row in (*answer["ended"], *answer["changes"], *answer["known"]):
        _say(out, row)
    for failed in answer["failed"]:
        out.print(f"proposer {safe(failed['proposer'])} failed: {safe(failed['message'])}", style="red")
        out.print(f"  {safe(failed['remedy'])}", style="red")
    _notes(answer)
    if answer["scans"]:
        scans.show(out, answer["scans"])
    else:
        print("no file was scanned")
    _withheld(answer)
    if answer["verdict"]["is"] != "passed":
        out.print(render.verdict_line(answer["verdict"]))
    if answer["live"] is not None:
        _sum(answer, rows, now)


def _notes(answer: Mapping[str, Any]) -> None:
    for one in answer.get("branches", ()):
        print(f"{safe(one['branch'])} was {one['fate']}: change {one['change']} is over")
    for note in answer["notes"]:
        print(f"note: {safe(note)}")
    for each in answer["unread"]:
        print(f"note: no proposer read the {each['files']} file(s) in {safe(each['language'])}: {safe(each['remedy'])}")


def _withheld(answer: Mapping[str, Any]) -> None:
    """What a person decided before, where no table of the scan counts it."""
    tabled = {scan["proposer"] for scan in answer["scans"]}
    for one in (one for one in answer.get("withheld", ()) if one["proposer"] not in tabled):
        said = f"{one['findings']} {one['reason']} ({one['rule']}, {one['proposer']})"
        print(f"not asked about: {safe(said)}")


def _say(out: Console, row: Mapping[str, Any]) -> None:
    said = row["refused"] or row["held"]
    if said and said["rule"] not in ("needs-approval", "queued"):
        out.print(f"{row['id']} {safe(str(row['summary']))}")
        out.print(render.verdict_line({"is": "refused" if row["refused"] else "held", **said}))


def _sum(answer: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], now: int) -> None:
    waiting = [row for row in rows if row["held"] and row["held"]["rule"] == "needs-approval"]
    live = sum(row["state"] in ("promoted", "kept") for row in answer["changes"])
    told = f"{live} applied by themselves" if live else f"live is unchanged: {answer['live'][:21]}"
    whole = f"{len(rows)} proposal(s), {len(waiting)} wait for approval; {told}"
    print(f"{whole}; {render.seconds(answer['spent_s'])}")
    findings = sum(scan["counts"]["proposed"] for scan in answer["scans"])
    if findings > len(rows):
        print(f"the table counts findings: one proposal may mend several, here {findings} in {len(rows)}")
    windowed = [row for row in rows if row.get("window")]
    if windowed:
        print(f"{len(windowed)} wait in their apply window; `greenroom cancel ID` keeps one from being applied:")
        windows.show(windowed, now)
    if answer["left"]:
        why = WHY_LEFT.get(answer["left_because"], answer["left_because"])
        print(f"{len(answer['left'])} queued for the next `greenroom improve`: {safe(why)}")
    if answer.get("under_way"):
        print(f"under way in the box: {safe(answer['under_way'])}")
    if answer.get("out"):
        print(f"cards and patches: {safe(answer['out'])}")
    if waiting:
        print(f"next: greenroom approve {waiting[0]['id']}")
