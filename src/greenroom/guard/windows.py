"""Apply windows: how long a change that an opt-in lets through waits, so that a person can still cancel it.

A window is over when the machine was on for its whole length, by a clock that nobody sets, and the box's own time is
past its end. The guard itself need not run meanwhile: processes that left because they were idle take nothing from it.
A machine that was off or suspended, a lifted stop, another opt-in or another plan begin it afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Warrant
from greenroom.domain.standing import APPLY_WINDOW, OptIn, Window
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Subject, subject_of
from greenroom.guard.journal import tidy
from greenroom.guard.room import Room
from greenroom.guard.uptime import Uptime

MOST_TOLD = 200
_SECOND = 1_000_000_000
_READ = "SELECT subject, base, green, change, plan, opt_in, opened, ends, boot, awake, asleep, cancelled FROM windows"
_PENDING, _DONE = "pending ", "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A window as it is kept: what the machine's clocks said when it was opened, and who cancelled it."""

    window: Window
    plan: Digest
    uptime: Uptime
    cancelled: str

    @property
    def length(self) -> int:
        """Nanoseconds."""
        return self.window.ends - self.window.opened


def wait(room: Room, dossier: Dossier, opt_in: OptIn, now: Instant) -> Held | None:
    """None when the window of this change is over; else held until then, the window opened where there was none."""
    stands = cancelled(room, dossier)
    if stands is not None:
        return stands
    kept = _find(room, dossier.subject, dossier.base, dossier.green)
    try:
        uptime = room.uptime()
    except Unusable as error:
        return _to_a_person(dossier, error.message)
    if kept is None or not _same(kept, dossier, opt_in):
        return _open(room, dossier, opt_in, now, uptime, "")
    if not uptime.on_since(kept.uptime):
        return _open(room, dossier, opt_in, now, uptime, "afresh")
    awake = uptime.awake_ns - kept.uptime.awake_ns
    if awake >= kept.length and now >= kept.window.ends:
        return None
    return _held(kept.window.change, Instant(max(kept.window.ends, now + kept.length - awake)))


def cancelled(room: Room, asked: Dossier | Warrant) -> Held | None:
    """Held where a person cancelled the window of what this change would make of its base."""
    kept = _find(room, asked.subject, asked.base, asked.green)
    return _to_a_person(asked, "its apply window was cancelled") if kept is not None and kept.cancelled else None


def cancel(room: Room, change: ChangeId, actor: str) -> Verdict:
    """Keep a change that waits in its window from being applied by an opt-in, for good; anyone may. Twice is once.

    It holds for every window under that name. What one would make of its base is then never applied without a
    person, under whatever name it is handed in.
    """
    green: Digest | None = None
    for kept in (kept for kept in _all(room) if kept.window.change == change):
        with room.locks.of(kept.window.subject):
            found = _find(room, kept.window.subject, kept.window.base, kept.window.green)
            if found is None or room.release.live(found.window.subject) != found.window.base:
                continue
            if found.cancelled != _DONE:
                _note(room, found.window, _PENDING + tidy(actor))
                room.crash_point("window.cancelled")
                _finish_cancel(room, found.window, _PENDING + tidy(actor))
            green = green or found.window.green
    if green is not None:
        return Passed(produced={"green": green})
    remedy = (
        "it waits in no window: `greenroom show ID` says where it stands, `greenroom revert ID` takes a live one back"
    )
    return Refused(rule="no-window", where=change[:128], remedy=remedy)


def lapsed(room: Room, subject: Subject, base: Digest, green: Digest, opt_in: Digest) -> bool:
    """True when the window that a warrant rests on was cancelled since, or begun afresh for something else."""
    kept = _find(room, subject, base, green)
    return kept is None or bool(kept.cancelled) or kept.window.opt_in != opt_in


def waiting(room: Room, opt_ins: Sequence[OptIn]) -> tuple[Window, ...]:
    """The windows by one of `opt_ins` that are open on what is live, the first to end first."""
    counting = {each.id for each in opt_ins}
    rows = [kept.window for kept in _all(room) if not kept.cancelled and kept.window.opt_in in counting]
    found = [each for each in rows if room.release.live(each.subject) == each.base]
    return tuple(sorted(found, key=lambda each: (each.ends, each.change))[:MOST_TOLD])


def begin_afresh(room: Room) -> None:
    """Let every window begin again when it is next asked for: while the box was stopped nobody could have waited."""
    room.ledger.write("UPDATE windows SET boot = '' WHERE cancelled = ''")


def recover(room: Room) -> None:
    """The log gets the cancels that a crash kept from it."""
    for kept in _all(room):
        if kept.cancelled.startswith(_PENDING):
            _finish_cancel(room, kept.window, kept.cancelled)


def _open(room: Room, dossier: Dossier, opt_in: OptIn, now: Instant, uptime: Uptime, about: str) -> Held:
    length = room.rules.current().constitution.apply_window_seconds * _SECOND
    ends = Instant(now + length)
    papers = {"opt-in": opt_in.id, "base": dossier.base, "green": dossier.green, "plan": dossier.plan}
    key = f"window/{dossier.change}/{dossier.green}/{now}"
    room.journal.write("window.opened", key, change=dossier.change, about=about, digests=papers)
    room.crash_point("window.logged")
    with room.ledger.transaction():
        # Those of an earlier live state are over; the cancelled ones stay: that state may come back.
        query = "DELETE FROM windows WHERE subject = ? AND cancelled = '' AND (base <> ? OR green = ?)"
        room.ledger.write(query, str(dossier.subject), dossier.base, dossier.green)
        room.ledger.write(
            "INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
            str(dossier.subject), dossier.base, dossier.green, dossier.change, dossier.plan, opt_in.id, str(now),
            str(ends), uptime.boot, str(uptime.awake_ns), str(uptime.asleep_ns),
        )  # fmt: skip
    room.crash_point("window.opened")
    return _held(dossier.change, ends)


def _same(kept: _Kept, dossier: Dossier, opt_in: OptIn) -> bool:
    return (kept.window.change, kept.plan, kept.window.opt_in) == (dossier.change, dossier.plan, opt_in.id)


def _to_a_person(asked: Dossier | Warrant, why: str) -> Held:
    remedy = f"greenroom approve {asked.change}"
    return Held(rule="needs-approval", where=f"{why}: a person must agree", remedy=remedy)


def _held(change: ChangeId, ends: Instant) -> Held:
    where = "an opt-in lets it through after its apply window"
    remedy = f"`greenroom cancel {change}` keeps it from that; `greenroom approve {change}` ends the wait"
    return Held(rule=APPLY_WINDOW, where=where, remedy=remedy, ask_again=ends)


def _finish_cancel(room: Room, window: Window, pending: str) -> None:
    papers = {"opt-in": window.opt_in, "base": window.base, "green": window.green}
    key = f"window-cancelled/{window.change}/{window.green}/{window.opened}"
    actor = pending.removeprefix(_PENDING)
    room.journal.write("window.cancelled", key, actor=actor, change=window.change, digests=papers)
    room.crash_point("window.cancel-logged")
    _note(room, window, _DONE)


def _note(room: Room, window: Window, cancelled: str) -> None:
    query = "UPDATE windows SET cancelled = ? WHERE subject = ? AND base = ? AND green = ?"
    room.ledger.write(query, cancelled, str(window.subject), window.base, window.green)


def _find(room: Room, subject: Subject, base: Digest, green: Digest) -> _Kept | None:
    asked = (subject, base, green)
    found = (kept for kept in _all(room) if (kept.window.subject, kept.window.base, kept.window.green) == asked)
    return next(found, None)


def _all(room: Room) -> Sequence[_Kept]:
    return [_kept([str(cell) for cell in row]) for row in room.ledger.rows(_READ)]


def _kept(row: Sequence[str]) -> _Kept:
    return _Kept(
        window=Window(
            subject=subject_of(row[0]),
            base=Digest(row[1]),
            green=Digest(row[2]),
            change=ChangeId(row[3]),
            opt_in=Digest(row[5]),
            opened=Instant(int(row[6])),
            ends=Instant(int(row[7])),
        ),
        plan=Digest(row[4]),
        uptime=Uptime(boot=row[8], awake_ns=int(row[9]), asleep_ns=int(row[10])),
        cancelled=row[11],
    )
