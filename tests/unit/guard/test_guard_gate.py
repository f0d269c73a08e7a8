"""The good path: warrant, promote, watch, revert."""

from __future__ import annotations

import dataclasses

from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Predicate, Warrant
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.testing.papers import MANIFESTS, SUBJECT, PaperHouse, papers, promoted, tool


def test_guard_promotes_what_a_person_agreed_to(house: PaperHouse) -> None:
    """A change with all its papers goes live, and the log tells the whole story in order."""
    made, warrant = promoted(house)
    assert house.guard.live(SUBJECT) == made.green
    assert [n for n in house.names() if n.startswith(("warrant", "live", "consent"))] == [
        "live.adopted",
        "consent.given",
        "warrant.issued",
        "live.promoting",
        "live.promoted",
    ]
    result = house.log.events()[-1]
    assert result.actor == "ada"
    assert result.digests["warrant"] == warrant
    assert result.digests["consent-0"] == made.consents[0]


def test_guard_warrant_names_exactly_this_change(house: PaperHouse) -> None:
    """The warrant binds change, base, green, plan, policy, evidence, consent and undo, signed by the guard."""
    made, digest = promoted(house)
    body = house.owner.open(house.store.get(digest), Predicate.WARRANT, "guard").body
    warrant = documents.decode(Warrant, body)
    assert (warrant.change, warrant.base, warrant.green) == (made.change, made.base, made.green)
    assert (warrant.plan, warrant.policy) == (made.plan_digest, house.first)
    assert warrant.consents == made.consents
    assert len(warrant.evidence) == 6
    assert house.store.has(warrant.undo)


def test_guard_waits_for_a_person(house: PaperHouse) -> None:
    """Without a consent nothing is emitted: held, with the command that would make it pass."""
    answer = house.guard.warrant(papers(house).dossier())
    assert answer == Held(rule="needs-approval", where="a person must agree", remedy="greenroom approve change-1")
    assert "warrant.issued" not in house.names()


def test_guard_promotes_once(house: PaperHouse) -> None:
    """A warrant handed in again while its change stands has no second effect."""
    made, warrant = promoted(house)
    entries = house.log.size()
    assert isinstance(house.guard.promote(warrant), Passed)
    assert house.guard.warrant(made.dossier()) == warrant
    assert house.log.size() == entries


def test_guard_watch_marks_good(house: PaperHouse) -> None:
    """Passing live tests mark a promotion good; a second time changes nothing."""
    made, _ = promoted(house)
    receipts = made.live_runs()
    assert isinstance(house.guard.mark_good(made.change, receipts), Passed)
    assert isinstance(house.guard.mark_good(made.change, receipts), Passed)
    assert house.names().count("live.marked-good") == 1


def test_guard_watch_does_not_mark_failures(house: PaperHouse) -> None:
    """Failing live tests do not mark a promotion good, and nothing else moves."""
    made, _ = promoted(house)
    verdict = house.guard.mark_good(made.change, made.live_runs("failed"))
    assert isinstance(verdict, Refused)
    assert "live.marked-good" not in house.names()


def test_guard_watch_wants_runs_of_after_the_promotion(house: PaperHouse) -> None:
    """Live tests that ran before the promotion prove nothing about it."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    early = made.live_runs(occasion=warrant)
    house.clock.advance(5)
    house.guard.promote(warrant)
    verdict = house.guard.mark_good(made.change, early)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "receipt-too-old"


def test_guard_watch_wants_the_test_command_that_was_agreed_to(house: PaperHouse) -> None:
    """Live tests with another command than the card showed do not mark a promotion good."""
    made, warrant = promoted(house)
    asked = {"args": {"argv": "true"}}
    live = {"check": "live-tests", "occasion": warrant}
    bent = (
        made.test_run("base", request=asked, **live),
        made.test_run("base-on-green", request=asked | {"overlay": ["base", "work"]}, **live),
    )
    verdict = house.guard.mark_good(made.change, bent)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "receipt-wrong-args"
    assert "live.marked-good" not in house.names()


def test_guard_watch_stands_a_change_of_tools(house: PaperHouse) -> None:
    """Tools that were signed after the promotion make the live runs; those behind the warrant keep their own tool."""
    made, _ = promoted(house)
    changed = dataclasses.replace(tool("run_tests_t1"), per_minute=7)
    digest = digest_of("tool", documents.encode(changed))
    others = {key: manifest for key, manifest in MANIFESTS.items() if manifest.name != "run_tests_t1"}
    house.use(manifests=others | {digest: changed})
    old = house.guard.mark_good(made.change, made.live_runs())
    assert isinstance(old, Refused)
    assert old.rule == "receipt-wrong-tool"
    assert isinstance(house.guard.mark_good(made.change, made.live_runs(tool=digest)), Passed)


def test_guard_one_change_at_a_time(house: PaperHouse) -> None:
    """While a promotion is watched the next change of the subject waits."""
    first, _ = promoted(house)
    second = papers(house, first.green, name="change-2", text=b"other words\n")
    second.approve()
    answer = house.guard.warrant(second.dossier())
    assert isinstance(answer, Held)
    assert answer.rule == "change-baking"


def test_guard_reverts_to_the_byte(house: PaperHouse) -> None:
    """A revert brings the earlier tree back, once."""
    made, _ = promoted(house)
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.guard.live(SUBJECT) == made.base
    entries = house.log.size()
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.log.size() == entries


def test_guard_reverts_the_last_one_first(house: PaperHouse) -> None:
    """What others stand on is not taken back; they are named."""
    first, _ = promoted(house)
    house.guard.mark_good(first.change, first.live_runs())
    second, _ = promoted(house, base=first.green, name="change-2", text=b"other words\n")
    refused = house.guard.revert(SUBJECT, first.change, "ada")
    assert isinstance(refused, Refused)
    assert refused.rule == "not-last"
    assert "change-2" in refused.where
    assert isinstance(house.guard.revert(SUBJECT, second.change, "watch"), Passed)
    assert isinstance(house.guard.revert(SUBJECT, first.change, "ada"), Passed)
    assert house.guard.live(SUBJECT) == house.base


def test_guard_reverts_only_what_was_promoted(house: PaperHouse) -> None:
    """A change that never went live cannot be taken back."""
    refused = house.guard.revert(SUBJECT, papers(house).change, "ada")
    assert isinstance(refused, Refused)
    assert refused.rule == "not-promoted"


def test_guard_failed_revert_pulls_stop(house: PaperHouse) -> None:
    """When the earlier files are gone the revert says where they can be had, and everything stops."""
    made, _ = promoted(house)
    house.store.erase(made.base)
    refused = house.guard.revert(SUBJECT, made.change, "ada")
    assert isinstance(refused, Refused)
    assert refused.rule == "base-lost"
    assert "git bundle" in refused.remedy
    assert house.guard.status().stopped


def test_guard_reverts_by_itself_only_to_what_was_good(house: PaperHouse) -> None:
    """The watch's own revert goes to a predecessor that was marked good; a person may go further."""
    made, _ = promoted(house)
    ledger = house.guard._room.ledger
    ledger.move(ledger.standing(SUBJECT)[0].id, "baking")
    refused = house.guard.revert(SUBJECT, made.change, "watch")
    assert isinstance(refused, Refused)
    assert refused.rule == "predecessor-not-good"
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)


def test_guard_status_tells_what_is_live(house: PaperHouse) -> None:
    """Status names mode, policy and every live digest."""
    status = house.guard.status()
    assert status.live == {str(SUBJECT): house.base}
    assert status.policy == house.first
    assert not status.stopped
    assert isinstance(papers(house).dossier(), Dossier)
