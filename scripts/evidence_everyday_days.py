"""Plays a `supervised` and an `autonomous` day in the house in memory, by a simulated clock, and prints both as tables.

Verbs, flow, stages, policy and guard are the real ones; the keeper's results, the machine and the time are played. Each
line says what happened and what became of it; each is checked, and so is the whole log at the end of a day.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Instant, Passed, Verdict
from greenroom.domain.vocabulary import Mode
from greenroom.pipeline import standing, verbs
from greenroom.testing.clock import SECOND
from greenroom.testing.house import MemoryHouse, shipped_constitution
from greenroom.testing.parts import Finding

MORNING = Instant(int(datetime.datetime(2030, 6, 3, 8, 0, tzinfo=datetime.UTC).timestamp()) * SECOND)
CAP = 4
FILES = {
    "README.md": b"teh start, teh end\n",
    "guide.md": b"an adress\n",
    "notes.md": b"trailing  \n",
    "faq.md": b"recieve it\n",
    "news.md": b"occured once\n",
    "a.py": b"x = 1\n",
    "b.py": b"y = 1\n",
    "c.py": b"z = 1\n",
    ".github/workflows/ci.yml": b"on: push\n",
}


def typo(path: str, old: bytes, new: bytes, rule: str = "codespell") -> Finding:
    """A finding in words, made again by `rule`."""
    return Finding(path=path, old=old, new=new, reproduce=rule, summary=f"{path}: {old.decode()} ({rule})")


GUIDE, FAQ, NEWS = (
    typo("guide.md", b"adress", b"address"),
    typo("faq.md", b"recieve", b"receive"),
    typo("news.md", b"occured", b"occurred"),
)
README, NOTES = typo("README.md", b"teh", b"the"), typo("notes.md", b"trailing  ", b"trailing", "ruff:W291")
CODE_A, CODE_B, CODE_C = (
    Finding(path=f"{n}.py", old=b"= 1", new=b"= 2", summary=f"{n}.py: logic") for n in ("a", "b", "c")
)
GUARDED = Finding(path=".github/workflows/ci.yml", old=b"push", new=b"pull_request", summary="ci.yml: protected")


@dataclass(slots=True)
class Day:
    """One day of one box: what happens in it is told to `note`, which checks it."""

    house: MemoryHouse
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def at(self, clock: str, *, off: bool = False) -> None:
        """Let the time pass until `clock` (HH:MM, +24 for the next day), with the machine on unless `off`."""
        hours, minutes = (int(part) for part in clock.split(":"))
        wanted = MORNING - 8 * 3600 * SECOND + (hours * 3600 + minutes * 60) * SECOND
        seconds = (wanted - self.house.clock.now()) / SECOND
        if seconds < 0:
            raise ValueError(f"{clock} is over")
        (self.house.machine.off if off else self.house.clock.advance)(seconds)
        if off:
            self.house.restart_guard()

    def note(self, what: str, found: str, expected: str) -> None:
        """One line of the table; where what was found is not what has to be, the day is wrong."""
        now = datetime.datetime.fromtimestamp(self.house.clock.now() // SECOND, datetime.UTC)
        live = f"{self.house.names().count('live.promoted') - self.house.names().count('live.reverted')} live"
        self.rows.append((now.strftime("%d. %H:%M"), what, found, live))
        if found != expected:
            self.wrong.append(f"{what}: {found}, not {expected}")

    def improve(self, *findings: Finding, mode: Mode | None = None, expected: str) -> list[str]:
        """Scan with exactly these findings; the ids of the changes, in their order."""
        self.house.findings[:] = findings
        self.house.deliver()
        answer = self.house.improve(mode=mode)
        rows = [*answer["changes"], *answer["known"]]
        rows.sort(key=lambda row: [f.summary for f in findings].index(row["summary"]))
        how = f" --mode {mode.value}" if mode else ""
        names = ", ".join(row["summary"] for row in rows)
        self.note(f"`improve{how}`: {names}", "; ".join(map(outcome, rows)), expected)
        return [str(row["id"]) for row in rows]

    def apply(self, expected: str) -> None:
        """What `greenroom resume` applies, and delivers."""
        found = "; ".join(map(told, self.house.apply_windows())) or "nothing is due"
        self.house.deliver()
        self.note("`resume`", found, expected)

    def opt_in(
        self, rule: str, until: str | None = None, envelope: bytes | None = None, expected: str = "passed"
    ) -> Digest | None:
        """The owner agrees beforehand; the opt-in's id."""
        ends = None
        if until is not None:
            hours, minutes = (int(part) for part in until.split(":"))
            ends = Instant(MORNING - 8 * 3600 * SECOND + (hours * 3600 + minutes * 60) * SECOND)
        verdict = self.house.opt_in(rule, until=ends, envelope=envelope)
        rows = standing.reconsider(self.house.house, self.house.tell)["changes"]
        self.house.deliver()
        found = "; ".join(["passed" if isinstance(verdict, Passed) else verdict.rule, *map(told, rows)])
        self.note(f"`opt-in add {rule}`" + (f" until {until}" if until else ""), found, expected)
        return verdict.produced.get("opt-in") if isinstance(verdict, Passed) else None

    def opt_out(self, opt_in: Digest, rule: str, expected: str) -> None:
        """The owner takes an opt-in back."""
        self.house.opt_out(opt_in)
        rows = standing.reconsider(self.house.house, self.house.tell)["changes"]
        found = "; ".join(map(told, rows)) or "passed"
        self.note(f"`opt-in remove {rule}`", found, expected)

    def said(self, what: str, verdict: Verdict, expected: str) -> None:
        """One verdict."""
        self.note(what, "passed" if isinstance(verdict, Passed) else f"refused: {verdict.rule}", expected)

    def ends(self) -> None:
        """What must be true of the whole log: nothing twice, nothing of level 3, no window cut short or cancelled."""
        events = self.house.log.events()
        promoted = Counter(str(event.change) for event in events if event.name == "live.promoted")
        self.note("promoted twice", str(sum(count > 1 for count in promoted.values())), "0")
        levels = [change.risk.level for change in self.house.changes() if change.risk and change.id in promoted]
        self.note("level 3 applied", str(sum(level == 3 for level in levels)), "0")
        early = 0
        for applied in (event for event in events if event.name == "window.applied"):
            opened = [e for e in events if e.name == "window.opened" and e.change == applied.change]
            gone = [e for e in events if e.name == "window.cancelled" and e.change == applied.change]
            early += applied.at - opened[-1].at < 3600 * SECOND or bool(gone)
        self.note("applied before its window's end, or cancelled", str(early), "0")


def told(row: dict[str, Any]) -> str:
    """A change, and what became of it."""
    return f"{row['summary']}: {outcome(row)}"


def outcome(row: dict[str, Any]) -> str:
    """What became of a change, in words."""
    if row["held"]:
        return "a person" if row["held"]["rule"] == "needs-approval" else f"held: {row['held']['rule']}"
    if row["window"]:
        ends = datetime.datetime.fromtimestamp(int(row["window"]) // SECOND, datetime.UTC)
        return f"window to {ends:%H:%M}"
    return {"kept": "applied", "reverted": "taken back", "aborted": f"refused: {row['ended']}"}.get(
        str(row["state"]), str(row["state"])
    )


def supervised(day: Day) -> None:
    """Windows, a cancel, the machine off, an opt-in taken back, one that ends, an old one replayed, the day's cap."""
    house = day.house
    day.said("`mode supervised`", house.set_mode(Mode.SUPERVISED), "passed")
    first = house.opt_in_paper("codespell")
    spelling = day.opt_in("codespell", envelope=first)
    day.opt_in("ruff:W291")
    day.at("8:05")
    wanted = "window to 09:05; window to 09:05; a person; a person; a person"
    asked = (GUIDE, NOTES, typo("README.md", b"teh", b"the", "ruff:F401"), CODE_A, GUARDED)
    ids = day.improve(*asked, expected=wanted)
    day.at("8:30")
    day.note("`cancel`: notes.md", outcome(house.cancel_window(ids[1])), "a person")
    day.at("9:00")
    day.apply("nothing is due")
    day.at("9:06")
    day.apply("guide.md: adress (codespell): applied")
    day.improve(NOTES, FAQ, GUARDED, expected="a person; window to 10:06; a person")
    day.at("9:40")
    day.note("the machine is off until 12:00", "off", "off")
    day.at("12:00", off=True)
    day.apply("faq.md: recieve (codespell): window to 13:00")
    day.at("13:01")
    day.apply("faq.md: recieve (codespell): applied")
    day.improve(NEWS, expected="window to 14:01")
    day.at("13:30")
    day.opt_out(spelling or Digest(""), "codespell", "news.md: occured (codespell): a person")
    day.said("the opt-in of 08:00, handed in again", house.opt_in("", envelope=first), "refused: order-spent")
    day.at("14:10")
    day.apply("nothing is due")
    day.opt_in("codespell", until="15:30", expected="passed; news.md: occured (codespell): window to 15:10")
    day.at("15:11")
    day.apply("news.md: occured (codespell): applied")
    day.improve(README, expected="window to 16:11")
    day.at("16:12")
    day.apply("README.md: teh (codespell): a person")
    day.opt_in("codespell", expected="passed; README.md: teh (codespell): window to 17:12")
    house.approve(day.improve(CODE_A, expected="a person")[0])
    day.note("`approve`: a.py", "applied" if house.changes()[-1].state.value == "kept" else "not", "applied")
    day.improve(README, expected="held: day-cap-changes")
    day.at("17:13")
    day.apply("nothing is due")
    day.at("33:00")
    house.approve(day.improve(CODE_B, GUARDED, expected="a person; a person")[0])
    day.improve(README, GUARDED, expected="window to 10:00; a person")
    day.at("34:01")
    day.apply("README.md: teh (codespell): applied")


def autonomous(day: Day) -> None:
    """Level 2 verified twice, level 1 by opt-in, level 3 held; a second verify that wavers; the cap; a bad watch."""
    house = day.house
    day.said("`mode autonomous`", house.set_mode(Mode.AUTONOMOUS), "passed")
    day.opt_in("codespell", until="12:00")
    day.at("8:05")
    day.improve(CODE_A, expected="applied")
    day.improve(GUIDE, GUARDED, expected="applied; a person")
    day.improve(GUARDED, NOTES, expected="a person; a person")
    day.at("9:00")
    day.improve(FAQ, mode=Mode.SUPERVISED, expected="window to 10:00")
    day.at("9:30")
    day.note("the machine is off until 11:00", "off", "off")
    day.at("11:00", off=True)
    day.apply("faq.md: recieve (codespell): window to 12:00")
    day.at("12:01")
    day.apply("faq.md: recieve (codespell): a person")
    day.improve(NEWS, expected="a person")
    honest = house.workshop.results
    house.keeper._results = _wavering(house, honest)
    day.improve(CODE_B, expected="a person")
    house.keeper._results, house.checks["tests"] = honest, "pass"
    house.checks["live-tests"] = "fail"
    day.improve(CODE_C, expected="taken back")
    house.checks["live-tests"] = "pass"
    house.stop()
    day.note("`stop`, then `resume`", "went on" if house.resume()["resumed"] else "nothing went on", "nothing went on")
    day.said("`lift`", house.lift(), "passed")
    again = "passed; faq.md: recieve (codespell): window to 13:01; news.md: occured (codespell): applied"
    removed = day.opt_in("codespell", expected=again)
    day.opt_out(removed or Digest(""), "codespell", "passed")
    day.improve(README, GUARDED, expected="a person; a person")
    house.commit({"d.py": b"w = 1\n"})
    more = Finding(path="d.py", old=b"= 1", new=b"= 2", summary="d.py: logic")
    day.improve(more, expected="held: day-cap-changes")


def looked(day: Day) -> None:
    """What goes live by itself day after day, each day within its cap, is held until a person looks."""
    house = day.house
    day.said("`mode autonomous`", house.set_mode(Mode.AUTONOMOUS), "passed")
    house.commit({"d.py": b"w = 1\n", "e.py": b"v = 1\n"})
    more = [Finding(path=f"{n}.py", old=b"= 1", new=b"= 2", summary=f"{n}.py: logic") for n in ("d", "e")]
    for clock, pair in (("8:05", (CODE_A, CODE_B)), ("33:00", (CODE_C, more[0]))):
        day.at(clock)
        for each in pair:
            day.improve(each, expected="applied")
    day.at("57:00")
    (last,) = day.improve(more[1], expected="held: not-looked-at")
    again = verbs.resume(house.house, change_id=last, tell=house.tell)["resumed"]
    day.note(f"`resume {more[1].summary}`", outcome(again[0]), "held: not-looked-at")
    (unseen,) = house.guard.unseen()
    day.note("`looked` shows", f"{unseen['count']} changes", f"{CAP} changes")
    day.said("`looked`, with the owner's key", house.looked(unseen["subject"], unseen["through"]), "passed")
    again = verbs.resume(house.house, change_id=last, tell=house.tell)["resumed"]
    house.deliver()
    day.note(f"`resume {more[1].summary}`", outcome(again[0]), "applied")


def _wavering(house: MemoryHouse, honest: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def results(run: Any) -> Any:
        house.checks["tests"] = "flaky" if run.occasion is not None and run.check == "tests" else "pass"
        return honest(run)

    return results


def played(play: Callable[[Day], None], directory: Path) -> Day:
    """A day, played to its end in a box of its own."""
    house = MemoryHouse(directory, files=FILES)
    house.clock.set(MORNING)
    text = shipped_constitution().replace(b"changes: 50", f"changes: {CAP}".encode())
    house.constitute(text)
    day = Day(house)
    try:
        play(day)
        day.ends()
    finally:
        house.close()
    return day


def main() -> int:
    """Print the days; 0 when each line came out as it has to."""
    wrong: list[str] = []
    for play in (supervised, autonomous, looked):
        with tempfile.TemporaryDirectory() as directory:
            day = played(play, Path(directory))
        title = "Three days nobody looks at" if play is looked else f"Mode `{play.__name__}`"
        print(f"{title} (windows of an hour, at most {CAP} changes a day)\n")
        print("| time | what happens | what comes of it | live |\n|---|---|---|---|")
        for row in day.rows:
            print(f"| {' | '.join(row)} |")
        print()
        wrong += day.wrong
    for each in wrong:
        print(f"WRONG: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
