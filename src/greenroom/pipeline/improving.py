"""Improve: take a repository in, find what is worth changing, carry each finding as far as it goes.

A finding that is known is not proposed again; one whose change was held for a passing reason is tried again.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Proposer
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.proposal import MAX_PROPOSAL_BYTES, origin_of
from greenroom.domain.scan import Scan
from greenroom.domain.settings import Merged, Values
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, State, Subject, Trust, address_of
from greenroom.pipeline.carrying import carry_on, cut_short, last_live, outdated, row_of, settle_siblings, want
from greenroom.pipeline.changes import Delivery, Line
from greenroom.pipeline.holds import RETRIED
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.settings import TEST_COMMAND, Within, proposers_of, settle
from greenroom.pipeline.stages.plan import read_proposal

MODES = tuple(Mode)
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


def improve(
    house: House,
    directory: int,
    *,
    path: str,
    branch: str,
    only: Sequence[str],
    mode: Mode | None,
    tell: Tell,
    test_command: str | None = None,
    own: Values | None = None,
) -> dict[str, Any]:
    """Import the repository behind the descriptor `directory`, find what is worth changing, carry each finding.

    `path` and `branch` name the subject; the keeper checks the descriptor itself. Every change ends refused, or
    held for a person. When whoever asked hangs up (`tell.gone`), the change under way is finished and no other begun.
    `test_command` is kept for the subject, empty forgets it; it is shown on each card and binds each consent.
    `own` are the box's own settings, which the repository's `greenroom.toml` narrows; Unusable where it is malformed.
    """
    asked = proposers_of(own or {}, only)
    _chosen(house, asked)
    subject = workspace(path, branch)
    if test_command is not None:
        house.settings.put(subject, TEST_COMMAND, test_command)
    tell({"event": "import", "subject": str(subject)})
    brought = bring(house, subject, directory, path=path, branch=branch)
    if not isinstance(brought, Import):
        return {"subject": str(subject), "verdict": verdict_plain(brought), "changes": []}
    tell({"event": "imported", "tree": brought.tree, "commit": brought.commit})
    settled = settle(house, subject, brought.tree, own or {}, only)
    if not isinstance(settled, Merged):
        verdict = verdict_plain(settled)
        return {"subject": str(subject), "live": brought.tree, "verdict": verdict, "changes": []}
    prepared = house.prepare(brought.tree)
    if isinstance(prepared, Held):
        return {"subject": str(subject), "live": brought.tree, "verdict": verdict_plain(prepared), "changes": []}
    golden, notes = prepared[0], (*prepared[1], *map(str, settled.notes))
    tell({"event": "prepared", "golden": golden, "notes": list(notes)})
    status = house.guard.status()
    lowered = status.mode if mode is None else min(mode, status.mode, key=MODES.index)
    answer: dict[str, Any] = {
        "subject": str(subject),
        "live": brought.tree,
        "changes": [],
        "known": [],
        "failed": [],
        "ended": [],
        "scans": [],
    }
    for name, make in _chosen(house, asked).items():
        if getattr(tell, "gone", False):
            break
        if name not in settled.list("proposers"):
            continue
        _propose(house, name, Within(make(golden), settled), subject, brought, golden, lowered, answer, tell)
    if mode is not None and mode is not lowered:
        notes = (*notes, f"the box is in mode {status.mode.value}; --mode may only lower it")
    return {**answer, "verdict": verdict_plain(cut_short(house) or Passed()), "notes": list(notes)}


def workspace(path: str, branch: str) -> Subject:
    """The subject that a repository's path and branch name."""
    return Subject(kind=Kind.WORKSPACE, address=address_of(path, branch))


def bring(house: House, subject: Subject, directory: int, *, path: str, branch: str) -> Import | Refused | Held:
    """Import and adopt; open changes of another base are held as `base-moved`."""
    envelope = house.keeper.bring(subject, directory, branch or None)
    if isinstance(envelope, Refused):
        return envelope
    body = house.attestor.open(house.store.get(envelope), Predicate.IMPORT, "keeper").body
    brought = documents.decode(Import, body)
    house.crash_point("import.brought")
    held = _undelivered(house, subject, brought.commit)
    if held is not None:
        return held
    adopted = house.guard.adopt(envelope)
    house.crash_point("import.adopted")
    if isinstance(adopted, Refused):
        return adopted
    at = house.guard.position(subject)
    if adopted != brought.tree:
        if brought.branch:
            return _behind(brought, at)
        brought = dataclasses.replace(brought, tree=adopted)
    _note_import(house, subject, brought, path, at)
    house.crash_point("import.noted")
    settle_siblings(house, subject)
    return brought


def _propose(
    house: House,
    name: str,
    proposer: Proposer,
    subject: Subject,
    brought: Import,
    golden: Digest,
    mode: Mode,
    answer: dict[str, Any],
    tell: Tell,
) -> None:
    tell({"event": "propose", "proposer": name})
    try:
        found = list(proposer.propose(subject, brought.tree))
    except Unusable as error:
        _failed(answer, name, error)
        return
    scan = getattr(proposer, "scan", None)
    if isinstance(scan, Scan):
        answer["scans"].append({"proposer": name, **documents.to_plain(scan)})
    for body in found:
        if getattr(tell, "gone", False):
            return
        change = _new_change(house, name, body, subject, brought, golden, mode, answer, tell)
        if change is not None:
            answer["changes"].append(carry_on(house, change.id, tell))


def _new_change(
    house: House,
    name: str,
    body: bytes,
    subject: Subject,
    brought: Import,
    golden: Digest,
    mode: Mode,
    answer: dict[str, Any],
    tell: Tell,
) -> Change | None:
    if len(body) > MAX_PROPOSAL_BYTES:
        answer["failed"].append({"proposer": name, "reference": "proposal-too-large", "message": f"{len(body)} bytes"})
        return None
    request = house.store.put("text", body)
    trust = min(Trust.BOX, Trust(brought.trust))
    change = Change(
        id=ChangeId("".join(secrets.choice(_ALPHABET) for _ in range(6))),
        subject=subject,
        origin=origin_of(name, trust),
        request=request,
        mode=mode,
        state=State.PROPOSED,
        base=brought.tree,
        golden=golden,
    )
    try:
        proposal = read_proposal(house.store, change)
        if proposal.proposer != name:
            raise Unusable("another-proposer", f"{name} proposed in the name of {proposal.proposer[:80]!r}")
    except Unusable as error:
        _failed(answer, name, error)
        return None
    same = [house.changes.get(found) for found in house.board.known(subject, proposal.fingerprint)]
    known = [found for found in same if found.base == brought.tree and _settled(found)]
    if known and outdated(house, known[-1]):
        # The policy refuses it by the rule that says why, which ends it; the finding is then a new change.
        _propose_anew(house, known.pop(), answer, tell)
    if known and known[-1].hold is not None and known[-1].hold.rule in RETRIED:
        return house.changes.save(dataclasses.replace(known[-1], hold=None))
    if known:
        answer["known"].append(row_of(house, known[-1]))
        return None
    line = Line(change=change.id, summary=proposal.summary, rule=proposal.rule, fingerprint=proposal.fingerprint)
    house.board.put(line)
    house.crash_point("propose.lined")
    saved = house.changes.save(change)
    house.crash_point("propose.saved")
    return saved


def _propose_anew(house: House, change: Change, answer: dict[str, Any], tell: Tell) -> None:
    house.changes.save(dataclasses.replace(change, hold=None))
    answer["ended"].append(carry_on(house, change.id, tell))


def _failed(answer: dict[str, Any], name: str, error: Unusable) -> None:
    answer["failed"].append({"proposer": name, "reference": error.reference, "message": str(error)})


def _settled(change: Change) -> bool:
    """True when a finding is not proposed again on the same base: it is open, live, or a person said no to it."""
    return not change.terminal or change.state is State.KEPT or change.ended in ("rejected", "reverted")


def _note_import(house: House, subject: Subject, brought: Import, path: str, at: str) -> None:
    delivery = Delivery(
        subject=str(subject),
        change=last_live(house, subject),
        repository=path,
        branch=brought.branch,
        delivered=brought.commit,
        wanted=at,
        pending="delivery-pending" if brought.branch and brought.commit != at else "",
    )
    house.deliveries.put(delivery)


def _undelivered(house: House, subject: Subject, commit: str) -> Held | None:
    """What is live but not in the branch, which stands at `commit`: to take the branch in now would undo it."""
    delivery = house.deliveries.get(subject)
    if delivery is None or not delivery.branch or house.guard.position(subject) == commit:
        return None
    want(house, subject)
    delivery = house.deliveries.get(subject) or delivery
    if not delivery.pending:
        return None
    return Held(
        rule=delivery.pending,
        where=f"{delivery.repository} ({delivery.branch}) still lacks {delivery.wanted[:12]}",
        remedy=_remedy(delivery),
    )


def _behind(brought: Import, at: str) -> Held:
    """The branch went back to a commit that was taken in before; what is live since stays live."""
    return Held(
        rule="branch-behind",
        where=f"{brought.branch} is at {brought.commit[:12]}, live is {at[:12]}",
        remedy=f"bring the branch to {at[:12]}, commit on it, or take the live changes back with `greenroom revert`",
    )


def _remedy(delivery: Delivery) -> str:
    ways = f"make the branch clean and let it stand at {delivery.delivered[:12]}, with your own work on another branch"
    return f"{ways}; or `greenroom revert {delivery.change}`" if delivery.change else ways


def _chosen(house: House, only: Sequence[str]) -> Mapping[str, Callable[[Digest], Proposer]]:
    proposers = house.proposers()
    unknown = sorted(set(only) - set(proposers))
    if unknown:
        raise Unusable(
            "unknown-proposer", f"no proposer {unknown[0]!r}", remedy=f"one of: {', '.join(sorted(proposers))}"
        )
    wanted = set(only) or set(proposers) - house.optional
    return {name: make for name, make in proposers.items() if name in wanted}
