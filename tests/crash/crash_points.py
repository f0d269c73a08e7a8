"""The catalogue of the suite: every named point where a process is killed, and the command on whose way it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JUDGED = ("src/greenroom", "tests/crash")
"""What an outcome speaks of: the product, and the suite itself."""

IMPROVE_STAGES = ("plan", "debate", "simulate", "verify", "approve")
APPROVE_STAGES = ("approve", "promote", "watch")
PLACES = ("begun", "asked", "intent-logged", "ran", "result-logged", "saved")

EXECUTOR = {
    "improve": (
        "import.brought",
        "import.adopted",
        "import.noted",
        "propose.lined",
        "propose.saved",
        "propose.taken",
        "carry.ended",
    ),
    "approve": ("consent.taken", "consent.saved", "carry.ended", "carry.wanted", "delivery.logged", "delivery.noted"),
    "later": ("consent.result-logged", "consent.saved-for-later", "release.saved"),
    "reject": ("reject.logged", "reject.saved"),
    "revert": (
        "revert.noted",
        "revert.taken-back",
        "revert.saved",
        "revert.wanted",
        "delivery.logged",
        "delivery.noted",
    ),
}
EXECUTOR["first"] = ("import.brought", "import.adopted", "import.noted", "import.prepared")
GUARD = {
    "first": (
        "adopt.intended",
        "ref.laid-out",
        "ref.made",
        "ref.written",
        "ref.moved",
        "adopt.begun",
        "adopt.logged",
        "adopt.finished",
    ),
    "improve": ("adopt.intended", "ref.written", "ref.moved", "adopt.begun", "adopt.logged", "adopt.finished"),
    "approve": (
        "consent.stored",
        "consent.logged",
        "warrant.signed",
        "warrant.issued",
        "promote.noted",
        "promote.intended",
        "ref.written",
        "promote.staged",
        "ref.moved",
        "promote.swapped",
        "promote.logged",
        "promote.finished",
        "watch.logged",
        "watch.finished",
    ),
    "reject": ("withdraw.noted",),
    "revert": (
        "revert.marked",
        "revert.intended",
        "ref.written",
        "revert.staged",
        "ref.moved",
        "revert.swapped",
        "revert.logged",
        "revert.finished",
    ),
}
KEEPER_PREPARES = ("prepare.found", "prepare.fetched", "prepare.installed", "prepare.registered", "prepare.remembered")
KEEPER_BUILDS = ("build.applied", "build.sealed", "build.signed")
KEEPER_RUNS = ("run.laid-out", "run.ended", "run.signed")
LOG_APPENDS = ("log.tagged", "log.journal-flushed")
LOG_PUBLISHES = ("log.signed", "log.tiles-written", "log.checkpoint-written")
CLI = (
    "delivery.wanted",
    "delivery.transferred",
    "delivery.branch-locked",
    "delivery.files-written",
    "delivery.moved",
)

ELSEWHERE = {
    "tests/unit/guard/test_guard_crash.py": ("stop.pulled", "stop.logged", "lift.logged", "lift.released"),
    "tests/unit/guard/test_guard_windows.py": (
        "window.logged",
        "window.opened",
        "window.cancelled",
        "window.cancel-logged",
    ),
    "tests/unit/audit/test_audit_epochs.py": (
        "epoch.key-saved",
        "epoch.certified",
        "epoch.key-aside",
        "epoch.key-in-place",
        "epoch.key-replaced",
    ),
    "tests/unit/audit/test_audit_keepers.py": ("epoch.signed",),
    "tests/unit/guard/test_guard_keepers.py": ("keeper.chain-extended", "keeper.logged"),
    "tests/unit/guard/test_guard_budget.py": ("reserve.counted", "settle.logged"),
    "tests/unit/pipeline/test_pipeline_verbs.py": ("again.saved",),
    "tests/unit/pipeline/test_pipeline_deciding.py": ("child.saved",),
}
"""Points of no command's journey, by the file of the tests that kill at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Kill `role` while a person's command `journey` runs.

    At the `nth` time that it passes `point`, or, without a point, from outside, `nth` quarters of the way through.
    """

    journey: str
    role: str
    point: str = ""
    nth: int = 1
    quick: bool = False

    @property
    def process(self) -> str:
        """What is killed, in words."""
        return {"log": "guard (its log)", "cli": "command line"}.get(self.role, self.role)

    @property
    def crash_at(self) -> str:
        """The value of GREENROOM_CRASH_AT, less the marker; empty where the crash comes from outside."""
        return f"{self.role}:{self.point}#{self.nth}" if self.point else ""

    def __str__(self) -> str:
        where = self.point or "outside"
        return f"{self.journey}-{self.role}:{where}#{self.nth}"


QUICK = frozenset(
    {
        "first-guard:ref.laid-out#1",
        "first-guard:ref.made#1",
        "first-guard:adopt.begun#1",
        "first-executor:import.prepared#1",
        "first-keeper:prepare.fetched#1",
        "first-keeper:prepare.installed#1",
        "first-keeper:prepare.registered#1",
        "improve-executor:import.adopted#1",
        "improve-executor:propose.lined#1",
        "improve-executor:propose.saved#1",
        "improve-executor:simulate.ran#1",
        "improve-executor:verify.result-logged#1",
        "improve-guard:adopt.begun#1",
        "improve-keeper:bring.signed#1",
        "improve-keeper:build.sealed#2",
        "improve-keeper:run.ended#7",
        "improve-log:log.journal-flushed#5",
        "improve-guard:outside#2",
        "improve-keeper:outside#3",
        "approve-executor:consent.taken#1",
        "approve-executor:consent.saved#1",
        "approve-executor:promote.intent-logged#1",
        "approve-executor:promote.ran#1",
        "approve-executor:promote.saved#1",
        "approve-executor:watch.result-logged#1",
        "approve-executor:carry.ended#1",
        "approve-executor:delivery.noted#1",
        "approve-guard:warrant.issued#1",
        "approve-guard:promote.noted#1",
        "approve-guard:promote.intended#1",
        "approve-guard:promote.staged#1",
        "approve-guard:ref.moved#1",
        "approve-guard:promote.swapped#1",
        "approve-guard:promote.logged#1",
        "approve-guard:promote.finished#1",
        "approve-guard:watch.logged#1",
        "approve-keeper:run.ended#2",
        "approve-log:log.tagged#7",
        "approve-log:log.checkpoint-written#1",
        "approve-log:log.bundle-sealed#1",
        "approve-cli:delivery.files-written#1",
        "approve-cli:delivery.moved#1",
        "approve-executor:outside#2",
        "approve-rescue:outside#3",
        "later-executor:release.saved#1",
        "reject-executor:reject.saved#1",
        "revert-executor:revert.noted#1",
        "revert-executor:revert.taken-back#1",
        "revert-executor:revert.saved#1",
        "revert-guard:revert.marked#1",
        "revert-guard:revert.staged#1",
        "revert-guard:revert.swapped#1",
        "revert-log:log.journal-flushed#2",
    }
)
"""What CI runs: each kind of point once, and every point of the swap."""


def cases() -> list[Case]:
    """Every case, in the order of the catalogue."""
    return [*_executor(), *_guard(), *_keeper(), *_log(), *_cli(), *_outside()]


def _executor() -> Iterator[Case]:
    for journey, stages in (("improve", IMPROVE_STAGES), ("approve", APPROVE_STAGES)):
        for stage in stages:
            for place in PLACES:
                yield Case(journey=journey, role="executor", point=f"{stage}.{place}")
    for journey, points in EXECUTOR.items():
        for point in points:
            yield Case(journey=journey, role="executor", point=point)


def _guard() -> Iterator[Case]:
    for journey, points in GUARD.items():
        for point in points:
            yield Case(journey=journey, role="guard", point=point)


def _keeper() -> Iterator[Case]:
    for point in ("bring.read", "bring.signed", *KEEPER_PREPARES):
        yield Case(journey="first", role="keeper", point=point)
    for point in KEEPER_RUNS:
        for nth in (2, 3):
            yield Case(journey="first", role="keeper", point=point, nth=nth)
    for point in ("bring.read", "bring.signed"):
        yield Case(journey="improve", role="keeper", point=point)
    for point in KEEPER_BUILDS:
        for nth in (1, 2):
            yield Case(journey="improve", role="keeper", point=point, nth=nth)
    for point in KEEPER_RUNS:
        for nth in (1, 3, 5, 7, 9):
            yield Case(journey="improve", role="keeper", point=point, nth=nth)
        for nth in (1, 2):
            yield Case(journey="approve", role="keeper", point=point, nth=nth)


def _log() -> Iterator[Case]:
    """Each append of a command, before and after its flush; the publishing that follows; the start; a full bundle."""
    for point in LOG_APPENDS:
        for journey, appends in (("improve", (1, 3, 5, 7, 9, 11)), ("approve", range(1, 13)), ("revert", (1, 2, 3))):
            for nth in appends:
                yield Case(journey=journey, role="log", point=point, nth=nth)
    for point in LOG_PUBLISHES:
        for nth in (1, 2, 3):
            yield Case(journey="approve", role="log", point=point, nth=nth)
    for point in ("log.recovered", "log.bundle-sealed"):
        yield Case(journey="approve", role="log", point=point)


def _cli() -> Iterator[Case]:
    for journey in ("approve", "revert"):
        for point in CLI:
            yield Case(journey=journey, role="cli", point=point)


def _outside() -> Iterator[Case]:
    for role in ("executor", "guard", "keeper", "rescue"):
        moments = {"first": range(1, 4), "improve": range(1, 5), "approve": range(1, 6), "revert": range(1, 4)}
        for journey, times in moments.items():
            for nth in times:
                yield Case(journey=journey, role=role, nth=nth)


def code_digest() -> str:
    """The SHA-256 (hex) of every file of the product and of this suite, with its name."""
    found = hashlib.sha256()
    paths = (path for top in JUDGED for path in (ROOT / top).rglob("*") if path.is_file())
    for path in sorted(path for path in paths if "__pycache__" not in path.parts):
        data = path.read_bytes()
        found.update(f"{path.relative_to(ROOT)} {len(data)}\n".encode() + data)
    return found.hexdigest()


CODE = code_digest()
"""The code as it was when the suite began."""
