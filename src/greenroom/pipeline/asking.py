"""Asking: the plan of a typed request, laid out before anything of it runs: steps, tools, level, what is written.

The steps are those that the verbs take when a door calls them; nothing here takes one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import ToolManifest
from greenroom.domain.proof import Predicate, Warrant
from greenroom.domain.requests import (
    KNOWN,
    TOPICS,
    Request,
    RequestPlan,
    RequestStep,
    ToolUse,
    plan_of_reading,
)
from greenroom.domain.verdict import Passed, Refused, Verdict
from greenroom.domain.vocabulary import Mode, State, Subject
from greenroom.pipeline.house import House
from greenroom.pipeline.plain import verdict_plain

EVENT = "request.confirmed"
STORED = "the box: its store (trees, patches, papers of runs), its log, the state of its changes"
NOTHING_OF_YOURS = "your repository: nothing"
TAKING_IN = ("import_git_t1", "read_settings_t0")
SCANNING = ("codegen_t0",)
PREPARING = ("find_requirements_t0", "install_wheels_t1")
TESTING = ("run_tests_t1",)
CARRYING = (*PREPARING, "apply_patch_t1", "classify_diff_t0", "scan_diff_t0", "compare_tests_t0", *TESTING)
WHO_AGREES: Mapping[Mode, str] = {
    Mode.PROPOSE: "each proposal's own, on its card; nothing goes live before you approve it",
    Mode.SUPERVISED: "each proposal's own, on its card; level 1 goes live after its apply window where you opted in, "
    "everything above waits for you",
    Mode.AUTONOMOUS: "each proposal's own, on its card; level 1 goes live where you opted in, level 2 after two equal "
    "verifies, level 3 waits for you",
}


def lay_out(house: House, request: Request, place: Mapping[str, Any] | None) -> dict[str, Any]:
    """The plan of `request` about the repository at `place`, and whether it can be begun, as JSON values.

    Raises Unusable `unknown-request`.
    """
    if request.name not in _PLANS or request.name not in KNOWN:
        raise Unusable("unknown-request", f"no request {request.name[:80]!r}", remedy=f"one of: {', '.join(_PLANS)}")
    for name, arg in request.args.items():
        KNOWN[request.name].slots[name].check(str(arg.value))
    made = _PLANS[request.name](house, request, place)
    if isinstance(made, Refused):
        return {"plan": None, "verdict": verdict_plain(made)}
    stopped = house.guard.status().stopped and request.name in _RUNS
    remedy = "the owner lifts the stop with `greenroom lift`; then ask again"
    verdict: Verdict = Refused(rule="stopped", where="a stop is set", remedy=remedy) if stopped else Passed()
    return {"plan": documents.to_plain(made), "verdict": verdict_plain(verdict)}


def confirm(house: House, plan: Mapping[str, Any], *, actor: str) -> dict[str, Any]:
    """Log that a person agreed to a plan as it was shown; the plan is kept under its digest. The words are not."""
    shown = documents.from_plain(RequestPlan, dict(plan))
    kept = house.store.put("text", documents.encode(shown))
    house.guard.append(
        Event(
            key=f"{EVENT}/{secrets.token_hex(16)}",
            at=house.clock.now(),
            actor=actor,
            name=EVENT,
            about=shown.request.name,
            digests={"request": kept},
        )
    )
    return {"request": kept}


def last_change(house: House, path: str | None, branch: str | None) -> Change | None:
    """The change that was promoted last and is live, of all subjects or of those at `path`; None where there is none.

    Which one is last is told by what the guard says that live stands on, and by its warrants.
    """
    found: list[tuple[int, Change]] = []
    for subject in house.changes.subjects():
        if path is not None and not _is_at(subject, path, branch):
            continue
        changes = [standing.change for standing in house.guard.standing(subject) if standing.change is not None]
        if changes:
            change = house.changes.get(changes[-1])
            found.append((_since(house, change), change))
    return max(found, key=lambda each: each[0])[1] if found else None


def _is_at(subject: Subject, path: str, branch: str | None) -> bool:
    place, _, named = subject.address.partition("#")
    return place == path and branch in (None, "", named)


def _since(house: House, change: Change) -> int:
    """When its warrant was to expire: later for what was promoted later. 0 where no warrant can be read."""
    if change.warrant is None:
        return 0
    try:
        opened = house.attestor.open(house.store.get(change.warrant), Predicate.WARRANT, "guard")
        return int(documents.decode(Warrant, opened.body).expires)
    except (NotFound, Unusable):
        return 0


def _scan(house: House, request: Request, place: Mapping[str, Any] | None) -> RequestPlan | Refused:
    at = _require(place)
    only = request.value("only")
    names = only.split(",") if only else sorted(set(house.proposers()) - house.optional)
    unknown = sorted(set(names) - set(house.proposers()))
    if unknown:
        remedy = f"one of: {', '.join(sorted(house.proposers()))}"
        return Refused(rule="unknown-proposer", where=unknown[0], remedy=remedy)
    words = ", ".join(f"{name} ({TOPICS[name]})" if name in TOPICS else name for name in names)
    most, within = request.value("most") or "10", request.value("within")
    mode = house.guard.status().mode
    bound = f", beginning none after {within}" if within else ""
    steps = (
        RequestStep(verb="improve", what=f"take {_named(at)} in", tools=_tools(house, TAKING_IN)),
        RequestStep(verb="improve", what=f"look with {words}", tools=_tools(house, SCANNING)),
        RequestStep(
            verb="improve",
            what=f"carry at most {most} proposals through the gate, up to approval{bound}",
            tools=_tools(house, CARRYING),
        ),
    )
    args = {"path": at["path"], "branch": at["branch"], "only": only or "", "most": most, "within": within or ""}
    says = KNOWN[request.name].says({"path": at["path"], **({"only": only} if only else {})})
    yours = NOTHING_OF_YOURS if mode is Mode.PROPOSE else "your branch: what goes live as the mode allows"
    return RequestPlan(
        says=f"{says} with {', '.join(names)}, at most {most} proposals{bound}, mode {mode.value}",
        request=request,
        args=args,
        steps=steps,
        level=WHO_AGREES[mode],
        writes=(STORED, yours),
        notes=_dirty(at),
    )


def _tests(house: House, request: Request, place: Mapping[str, Any] | None) -> RequestPlan | Refused:
    at = _require(place)
    steps = (
        RequestStep(verb="tests", what=f"copy {_named(at)} in; it is not adopted", tools=_tools(house, TAKING_IN)),
        RequestStep(verb="tests", what="prepare what it and its tests require", tools=_tools(house, PREPARING)),
        RequestStep(verb="tests", what="run its tests once, in the sandbox", tools=_tools(house, TESTING)),
    )
    return RequestPlan(
        says=f"run the tests of {_named(at)}",
        request=request,
        args={"path": at["path"], "branch": at["branch"]},
        steps=steps,
        level="0: it tells you something and changes nothing",
        writes=("the box: its store (the tree, the papers of the runs), its log", NOTHING_OF_YOURS),
        notes=_dirty(at),
    )


def _revert(house: House, request: Request, place: Mapping[str, Any] | None) -> RequestPlan | Refused:
    asked = request.value("path") is not None and place is not None
    path, branch = (place["path"], request.value("branch")) if asked and place is not None else (None, None)
    change = last_change(house, path, branch)
    where = f"of {path}" if path else "of this box"
    if change is None:
        remedy = "`greenroom list` shows what is live"
        return Refused(rule="nothing-to-revert", where=f"no change {where} is live", remedy=remedy)
    line = house.board.line(change.id)
    what = f"take change {change.id} back ({line.summary if line else ''}), live in {change.subject}"
    return RequestPlan(
        says=f"revert the last change {where}: {change.id}",
        request=request,
        args={"change": change.id},
        steps=(RequestStep(verb="revert", what=what),),
        level="your word is enough: the earlier tree goes live again at once, as with `greenroom revert`",
        writes=(
            "live: a further commit with the earlier tree",
            "your branch: fast-forwarded to it",
            "the box: its log",
        ),
        notes=() if change.state in (State.PROMOTED, State.KEPT) else (f"the change is {change.state.value}",),
    )


def _briefing(house: House, request: Request, place: Mapping[str, Any] | None) -> RequestPlan | Refused:
    del house, place
    return plan_of_reading(request)


def _require(place: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if place is None:
        raise Unusable("bad-call", "this request is about a repository, and none is named")
    return place


def _named(place: Mapping[str, Any]) -> str:
    return f"{place['path']} ({place['branch']}, {place['head'][:12]})" if place["branch"] else str(place["path"])


def _dirty(place: Mapping[str, Any]) -> tuple[str, ...]:
    """What is not committed is not looked at; nothing to say of an unpacked release."""
    return ("what is not committed there is not part of it",) if place.get("dirty") else ()


def _tools(house: House, names: tuple[str, ...]) -> tuple[ToolUse, ...]:
    signed = house.tools()
    return tuple(_tool(house, name, signed[name]) for name in names if name in signed)


def _tool(house: House, name: str, manifest: Digest) -> ToolUse:
    tier = documents.decode(ToolManifest, house.store.get(manifest)).tier
    return ToolUse(name=name, manifest=manifest, tier=int(tier))


_PLANS: Mapping[str, Callable[[House, Request, Mapping[str, Any] | None], RequestPlan | Refused]] = {
    "fix": _scan,
    "improve": _scan,
    "tests": _tests,
    "revert": _revert,
    "briefing": _briefing,
}
"""How the plan of each request is made."""
_RUNS = frozenset({"fix", "improve", "tests"})
"""Requests that run something, which a stop forbids; a revert works under it."""
