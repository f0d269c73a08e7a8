"""The catalogue of the journeys with two findings: a restack with a carried yes, both ways to take back, a rebuild."""

from __future__ import annotations

from collections.abc import Iterator

from crash_points import APPROVE_STAGES, GUARD, IMPROVE_STAGES, Case

REBUILDS = ("lost", "earlier", "damaged")
"""A database that is lost, one of before, and one that is none any more."""
JOURNEYS = ("restack", "all-after", "undo", *REBUILDS)
RESTACK = ("restack.child-saved", "restack.logged", "restack.saved", "restack.carried", "release.saved", "carry.wanted")
CARRY = ("carry.signed", "carry.logged")
REBUILD = ("rebuild.made", "rebuild.kept", "rebuild.logged", "rebuild.bared", "rebuild.placed")
SWAP = tuple(point for point in GUARD["approve"] if not point.startswith("consent."))

PAIR_QUICK = frozenset(
    {
        "restack-executor:restack.child-saved#1",
        "restack-executor:restack.carried#1",
        "restack-guard:carry.logged#1",
        "all-after-guard:revert.swapped#2",
        "undo-executor:undo.saved#1",
        "earlier-cli:rebuild.kept#1",
        "earlier-cli:rebuild.folded#1",
        "lost-cli:rebuild.logged#1",
    }
)
"""What CI runs."""


STAGES = {"restack": (*IMPROVE_STAGES, *APPROVE_STAGES[1:]), "undo": IMPROVE_STAGES}
"""The stages that the child goes through, and the opposite change before anybody is asked."""


def pair_cases() -> list[Case]:
    """Every case, in the order of the catalogue.

    Each point of these journeys' own, each point of the guard's swaps, and of the rest, which the journeys with one
    finding pass at every place, those on either side of an effect.
    """
    return [*_restack(), *_all_after(), *_undo(), *_rebuild()]


def _restack() -> Iterator[Case]:
    for point in (*RESTACK, "carry.ended", "delivery.logged", "delivery.noted"):
        yield Case(journey="restack", role="executor", point=point)
    yield Case(journey="restack", role="executor", point="carry.ended", nth=2)
    yield from _stages("restack")
    for point in (*CARRY, *SWAP):
        yield Case(journey="restack", role="guard", point=point)
    yield from _keeper("restack", (1, 5))
    yield from _log("restack", (5, 11, 12, 13, 16))
    yield from _cli("restack")
    yield from _outside("restack")


def _all_after() -> Iterator[Case]:
    for nth in (1, 2):
        for point in ("revert.noted", "revert.taken-back", "revert.saved", "revert.wanted"):
            yield Case(journey="all-after", role="executor", point=point, nth=nth)
        for point in GUARD["revert"]:
            yield Case(journey="all-after", role="guard", point=point, nth=nth)
    for point in ("delivery.logged", "delivery.noted"):
        yield Case(journey="all-after", role="executor", point=point)
    yield from _log("all-after", (1, 2, 3, 4))
    yield from _cli("all-after")
    yield from _outside("all-after")


def _undo() -> Iterator[Case]:
    for point in ("undo.saved", "carry.ended", "consent.taken", "promote.ran"):
        yield Case(journey="undo", role="executor", point=point)
    yield from _stages("undo")
    for point in ("consent.logged", "promote.swapped", "promote.logged", "watch.logged"):
        yield Case(journey="undo", role="guard", point=point)
    yield from _keeper("undo", (3,))
    yield from _log("undo", (1, 5, 12))
    yield from _outside("undo")


def _rebuild() -> Iterator[Case]:
    for journey in REBUILDS:
        for point in REBUILD:
            yield Case(journey=journey, role="cli", point=point)
        for point in ("log.tagged", "log.journal-flushed", "log.recovered"):
            yield Case(journey=journey, role="log", point=point)
    yield Case(journey="earlier", role="cli", point="rebuild.folded")
    yield Case(journey="damaged", role="cli", point="rebuild.runs-dropped")


def _stages(journey: str) -> Iterator[Case]:
    for stage in STAGES[journey]:
        for place in ("ran", "saved"):
            yield Case(journey=journey, role="executor", point=f"{stage}.{place}")


def _keeper(journey: str, runs: tuple[int, ...]) -> Iterator[Case]:
    for point in ("build.sealed", "build.signed"):
        yield Case(journey=journey, role="keeper", point=point)
    for nth in runs:
        yield Case(journey=journey, role="keeper", point="run.ended", nth=nth)


def _log(journey: str, appends: tuple[int, ...]) -> Iterator[Case]:
    for nth in appends:
        yield Case(journey=journey, role="log", point="log.journal-flushed", nth=nth)


def _cli(journey: str) -> Iterator[Case]:
    for point in ("delivery.files-written", "delivery.moved"):
        yield Case(journey=journey, role="cli", point=point)


def _outside(journey: str) -> Iterator[Case]:
    for role in ("executor", "guard", "keeper", "rescue"):
        yield Case(journey=journey, role=role)
