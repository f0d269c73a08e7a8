"""Rules that the guard refuses or holds with, each tried by itself: without the check behind it, its test fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Bug, Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.ports import UndoRecord
from greenroom.domain.proof import Predicate, Warrant
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.guard.papers import MAX_PAPER_BYTES, Lift
from greenroom.guard.stop import StopSwitch
from greenroom.testing.papers import SUBJECT, PaperHouse, Papers, papers, promoted

MALFORMED: tuple[dict[str, Any], ...] = (
    {"name": ""},
    {"name": "plan\n.intent"},
    {"key": ""},
    {"key": "k" * 600},
    {"schema": 2},
    {"digests": {"x" * 65: digest_of("text", b"")}},
)
ELSEWHERE = Subject(kind=Kind.WORKSPACE, address="elsewhere")
NOBODYS = digest_of("statement", b"nobody signed this")


def told(answer: object, rule: str) -> Refused | Held:
    """The refusal or hold of that rule, which says where and what would help."""
    assert isinstance(answer, Refused | Held), answer
    assert answer.rule == rule
    assert answer.where
    assert answer.remedy
    return answer


def warranted(house: PaperHouse) -> tuple[Papers, Digest]:
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert not isinstance(warrant, Refused | Held), warrant
    return made, warrant


def opened(house: PaperHouse, warrant: Digest) -> tuple[Warrant, UndoRecord]:
    document = documents.decode(Warrant, house.signer.open(house.store.get(warrant), Predicate.WARRANT, "guard").body)
    undo = house.signer.open(house.store.get(document.undo), Predicate.UNDO, "guard").body
    return document, documents.decode(UndoRecord, undo)


def with_undo(house: PaperHouse, warrant: Digest, **bent: Any) -> Digest:
    """The same warrant, as open, over an undo record that is bent: what a guard gone wrong could have signed."""
    document, undo = opened(house, warrant)
    record = dataclasses.replace(undo, **bent)
    other = dataclasses.replace(document, undo=house.envelope(house.signer, Predicate.UNDO, record.live, record))
    digest = house.envelope(house.signer, Predicate.WARRANT, document.green, other)
    house.guard._room.ledger.issue(digest, document.change, 1, 1)
    return digest


def restaged(house: PaperHouse, tree: Digest) -> None:
    """Somebody moves the pointer past the guard."""
    live = house.guard.live(SUBJECT)
    assert live is not None
    staged = house.release.stage(SUBJECT, tree, "past the gate", house.clock.now())
    assert house.release.swap(SUBJECT, live, tree, staged)


def unmoved(house: PaperHouse, made: Papers) -> None:
    assert house.guard.live(SUBJECT) == made.base
    assert "live.promoting" not in house.names()


@pytest.mark.parametrize("bent", [{"live": digest_of("tree", b"another")}, {"subject": ELSEWHERE}], ids=str)
def test_guard_promotes_over_no_other_undo(house: PaperHouse, bent: dict[str, Any]) -> None:
    """`undo-differs`: an undo record of another live state, or of another subject, could not take the swap back."""
    made, warrant = warranted(house)
    told(house.guard.promote(with_undo(house, warrant, **bent)), "undo-differs")
    unmoved(house, made)


def test_guard_promotes_over_no_stale_undo(house: PaperHouse) -> None:
    """`undo-stale`: the same tree is live, at another position than the undo record says."""
    made, warrant = warranted(house)
    restaged(house, made.base)
    assert made.change in told(house.guard.promote(warrant), "undo-stale").remedy
    unmoved(house, made)


def test_guard_promotes_over_no_lost_undo(house: PaperHouse) -> None:
    """`undo-lost`: without the files that it names the swap could not be taken back."""
    made, warrant = warranted(house)
    house.store.erase(opened(house, warrant)[1].bundle)
    assert "greenroom restore" in told(house.guard.promote(warrant), "undo-lost").remedy
    unmoved(house, made)


def test_guard_reverts_with_no_other_undo(house: PaperHouse) -> None:
    """`undo-differs`: a revert by an undo record of another state fails, and pulls the stop."""
    made, warrant = promoted(house)
    other = with_undo(house, warrant, live=made.green)
    room = house.guard._room
    room.ledger._do("UPDATE generations SET paper = ? WHERE paper = ?", other, warrant)
    told(house.guard.revert(SUBJECT, made.change, "ada"), "undo-differs")
    assert house.guard.live(SUBJECT) == made.green
    assert house.guard.status().stopped


def _another(_: Subject) -> Digest:
    return digest_of("tree", b"another")


def _broken(_: Subject) -> Digest:
    raise Tampered("live-broken", "a live file was changed", where="README")


@pytest.mark.parametrize("rehash", [_another, _broken])
def test_guard_stops_when_what_is_live_is_not_green(
    house: PaperHouse, monkeypatch: pytest.MonkeyPatch, rehash: Callable[[Subject], Digest]
) -> None:
    """`live-differs`: after the swap the live files are read again; another byte stops the box."""
    made, warrant = warranted(house)
    monkeypatch.setattr(house.release, "rehash", rehash)
    assert f"greenroom revert {made.change}" in told(house.guard.promote(warrant), "live-differs").remedy
    status = house.guard.status()
    assert (status.stopped, status.stopped_by) == (True, "live differs from Green")


def test_guard_touches_no_live_that_moved_past_it(house: PaperHouse) -> None:
    """`live-moved`: such a live state is neither marked good nor taken back; a failed revert stops the box."""
    made, _ = promoted(house)
    runs = made.live_runs()
    restaged(house, house.tree({"a.py": b"x = 2\n"}))
    told(house.guard.mark_good(made.change, runs), "live-moved")
    told(house.guard.revert(SUBJECT, made.change, "ada"), "live-moved")
    assert not {"live.marked-good", "live.reverting", "live.reverted"} & set(house.names())


def test_guard_says_when_live_moves_during_a_revert(house: PaperHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """`live-moved`: the swap back finds another position, and the box stops."""
    made, _ = promoted(house)
    monkeypatch.setattr(house.release, "swap", lambda *_: False)
    assert "greenroom log" in told(house.guard.revert(SUBJECT, made.change, "ada"), "live-moved").remedy
    assert (house.guard.live(SUBJECT), house.guard.status().stopped) == (made.green, True)


def test_guard_lifts_no_stop_that_came_meanwhile(house: PaperHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """`stopped-again`: a stop that is set while another is lifted stays."""
    house.guard.stop("eve")
    stop = house.guard.stop_id()
    release = StopSwitch.release

    def late(switch: StopSwitch, named: Digest) -> bool:
        switch.pull("mallory", house.clock.now())
        return release(switch, named)

    monkeypatch.setattr(StopSwitch, "release", late)
    told(house.order(Lift, stop=stop), "stopped-again")
    assert house.guard.status().stopped_by == "mallory"


@pytest.mark.parametrize("call", ["consent", "set_mode", "lift"])
def test_guard_reads_no_paper_without_bound(house: PaperHouse, call: str) -> None:
    """`consent-too-large`, `order-too-large`: what is handed in is bounded before it is parsed."""
    rule = "consent-too-large" if call == "consent" else "order-too-large"
    told(getattr(house.guard, call)(b" " * (MAX_PAPER_BYTES + 1)), rule)


def test_guard_takes_at_most_sixteen_seals(house: PaperHouse) -> None:
    """`too-many-seals`: what a dossier can make the guard read is bounded."""
    made = papers(house)
    made.approve()
    seals = tuple(made.seal() for _ in range(17))
    told(house.guard.warrant(made.dossier(seals=seals)), "too-many-seals")


@pytest.mark.parametrize("request_of", [[], {"args": []}, {"dry_run": False}])
def test_guard_believes_no_receipt_without_its_request(house: PaperHouse, request_of: Any) -> None:
    """`receipt-without-request`: what a run was asked is part of what it proves."""
    made = papers(house)
    asked = house.store.put("text", documents.encode(request_of))
    made.approve()
    made.receipts["green"] = made.test_run("base-on-green", args=asked)
    told(house.guard.warrant(made.dossier()), "receipt-without-request")


def test_guard_makes_no_card_again_that_names_no_proposal(house: PaperHouse) -> None:
    """`card-outdated`: the card of an earlier Greenroom cannot be compared; the remedy makes another."""
    made = papers(house)
    made.card = house.store.put("card", documents.encode(made.make_card(proposal=None)))
    consent = house.hand_in(made.consent())
    answer = house.guard.warrant(made.dossier(consents=(consent,)))
    assert made.change in told(answer, "card-outdated").remedy


def test_guard_warrants_nothing_that_no_signed_tool_did(house: PaperHouse) -> None:
    """`unknown-tool`: a step by a tool that the owner did not sign."""
    made = papers(house)
    step = dataclasses.replace(made.plan.steps[0], tool=digest_of("text", b"no tool of this policy"))
    plan = house.store.put("plan", documents.encode(dataclasses.replace(made.plan, steps=(step,))))
    told(house.guard.warrant(made.dossier(plan=plan)), "unknown-tool")


def test_guard_warrants_nothing_that_changes_nothing(house: PaperHouse) -> None:
    """`no-change`: Green is what is live."""
    made = papers(house)
    told(house.guard.warrant(made.dossier(green=made.base)), "no-change")


@pytest.mark.parametrize("call", ["promote", "adopt"])
@pytest.mark.parametrize("named", [NOBODYS, digest_of("blob", b"no statement")], ids=["lost", "blob"])
def test_guard_says_what_helps_against_papers_that_are_not_there(house: PaperHouse, call: str, named: Digest) -> None:
    """Whatever a caller names, the refusal says where and what would help."""
    rule = "not-stored" if named == NOBODYS else "not-a-statement"
    told(getattr(house.guard, call)(named), rule)


@pytest.mark.parametrize("bent", MALFORMED, ids=str)
def test_guard_logs_no_malformed_event(house: PaperHouse, bent: dict[str, Any]) -> None:
    """`bad-event`: a caller's entry is refused before it is written."""
    usual: dict[str, Any] = {"key": "k", "at": house.clock.now(), "actor": "executor", "name": "plan.intent"}
    before = house.names()
    with pytest.raises(Unusable) as caught:
        house.guard.append(Event(**(usual | bent)))
    assert caught.value.reference == "bad-event"
    assert house.names() == before


def test_ledger_says_that_a_line_is_not_there(house: PaperHouse) -> None:
    """`no-generation`, `no-warrant`: our own mistake, and not a silent no."""
    ledger = house.guard._room.ledger
    with pytest.raises(Bug, match="no generation 99"):
        ledger.move(99, "kept")
    made, warrant = promoted(house)
    ledger._do("DELETE FROM warrants WHERE digest = ?", warrant)
    with pytest.raises(Bug, match="never issued"):
        ledger._weight(ledger.of_change(made.change)[-1])
