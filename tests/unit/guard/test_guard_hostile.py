"""A hostile executor: every call with wrong, foreign, expired, replayed and forged papers. Live never moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.events import GUARD_ONLY, Event
from greenroom.domain.outcomes import DiffClass, FileDiff, Finding, ScanResult, TestRun
from greenroom.domain.plan import Arg
from greenroom.domain.proof import Predicate, Warrant
from greenroom.domain.trees import File, manifest_of
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import Kind, Mode, Subject, Trust
from greenroom.guard.promote import check_green
from greenroom.testing.keeper import GOLDEN, golden_of
from greenroom.testing.papers import SECOND, SUBJECT, TOOLS, PaperHouse, Papers, constitution, papers, promoted

pytestmark = pytest.mark.slow

Bend = Callable[[Papers], Any]


def _rule(answer: object) -> str:
    return answer.rule if isinstance(answer, Refused | Held) else f"passed: {answer}"


def _put(name: str, make: Callable[[Papers], Any]) -> Bend:
    def bend(made: Papers) -> None:
        made.receipts[name] = make(made)

    return bend


def _green_run(**request: Any) -> Bend:
    return _put("green", lambda made: made.test_run("base-on-green", request={"overlay": ["base", "work"]} | request))


def _green_with(**members: Any) -> Bend:
    return _put("green", lambda made: made.test_run("base-on-green", **members))


def _forged(made: Papers) -> Any:
    return made.test_run("base-on-green", by=made.house.stranger["keeper"])


def _by_owner(made: Papers) -> Any:
    return made.test_run("base-on-green", by=made.house.owner)


def _seals(make: Callable[[Papers], Any]) -> Bend:
    def bend(made: Papers) -> None:
        made.seals = make(made)

    return bend


def _one_build(made: Papers) -> Any:
    return (made.seal(build="same"), made.seal(build="same"))


def _failed_steps(made: Papers) -> Any:
    return (made.step_run("rehearsal"), made.step_run("application", exit=1))


def _sentinel(made: Papers) -> Any:
    result = TestRun(framework="pytest", python="3.11", outcomes={"t::a": "passed"}, sentinel="passed")
    return made.test_run("base-on-green", result=result)


def _secret(made: Papers) -> Any:
    found = Finding(rule="github-token", path="a.py", line=1, message="a token", points=100, blocks=True)
    return made.diff_run("scan", "scan_diff_t0", ScanResult(findings=(found,)))


def _replan(made: Papers, golden: Digest) -> None:
    """All papers made anew on another golden."""
    made.plan = dataclasses.replace(made.plan, golden=golden)
    made.plan_digest = made.house.store.put("plan", documents.encode(made.plan))
    made.seals = (made.seal(), made.seal())
    made.receipts |= {
        "classify": made.diff_run("classify", "classify_diff_t0", DIFF),
        "scan": made.diff_run("scan", "scan_diff_t0", ScanResult(findings=())),
        "loosened": made.diff_run("loosened", "compare_tests_t0", ScanResult(findings=())),
        "base": made.test_run("base"),
        "green": made.test_run("base-on-green"),
        "own": made.test_run("own", check="own-tests"),
    }


DIFF = DiffClass(files=(FileDiff(path="README", line_class="docs", added=1, removed=1, why="prose"),))
BENT: dict[str, tuple[Bend, str]] = {
    "a receipt that a stranger signed": (_put("green", _forged), "statement-forged"),
    "a receipt that the owner's key signed": (_put("green", _by_owner), "statement-forged"),
    "no receipt of the tests on Green": (lambda m: m.receipts.pop("green"), "evidence"),
    "no receipt of the scan": (lambda m: m.receipts.pop("scan"), "evidence"),
    "tests on base passed off as tests on Green": (
        _put("green", lambda m: m.test_run("base-on-green", mounted={"work": m.base, "base": m.base})),
        "receipt-wrong-trees",
    ),
    "tests of Green's own in the place of base's": (
        _put("green", lambda m: m.test_run("base-on-green", request={"overlay": None})),
        "receipt-wrong-overlay",
    ),
    "tests narrowed to one": (
        _put(
            "green", lambda m: m.test_run("base-on-green", request={"overlay": ["base", "work"], "args": {"only": "x"}})
        ),
        "receipt-wrong-args",
    ),
    "a rehearsal passed off as a run": (
        _put("green", lambda m: m.test_run("base-on-green", request={"overlay": ["base", "work"], "dry_run": True})),
        "receipt-wrong-args",
    ),
    "a test command that the card does not show": (
        lambda m: m.receipts.update(
            base=m.test_run("base", request={"args": {"argv": "true"}}),
            green=m.test_run("base-on-green", request={"overlay": ["base", "work"], "args": {"argv": "true"}}),
            own=m.test_run("own", check="own-tests", request={"args": {"argv": "true"}}),
        ),
        "card-differs",
    ),
    "another test command on Green than on base": (_green_run(args={"argv": "true"}), "receipt-wrong-args"),
    "a test command that is no command line": (_green_run(args={"argv": "pytest 'open"}), "receipt-wrong-args"),
    "a test command that its rule does not allow": (_green_run(args={"argv": "-c true"}), "receipt-wrong-args"),
    "a test command that is longer than its rule allows": (
        _green_run(args={"argv": "pytest " + "x" * 4096}),
        "receipt-wrong-args",
    ),
    "a test command that is a number": (_green_run(args={"argv": 1}), "receipt-wrong-args"),
    "a classification made again with words that its rule does not allow": (
        _put(
            "classify",
            lambda m: m.diff_run(
                "classify", "classify_diff_t0", DiffClass(files=()), request={"args": {"reproduce": "ruff:F401;x"}}
            ),
        ),
        "receipt-wrong-args",
    ),
    "another tool": (_green_with(tool=TOOLS["scan_diff_t0"]), "receipt-wrong-tool"),
    "a tool that the policy does not know": (
        _put("green", lambda m: m.test_run("base-on-green", tool=digest_of("tool", b"?"))),
        "receipt-wrong-tool",
    ),
    "another toolchain": (
        _put("green", lambda m: m.test_run("base-on-green", golden=digest_of("golden", b"?"))),
        "receipt-wrong-golden",
    ),
    "a run in a role of no check": (_put("extra", lambda m: m.test_run("own", check="tests")), "receipt-unknown-role"),
    "a run of no check": (
        _put("extra", lambda m: m.diff_run("import", "scan_diff_t0", None)),
        "receipt-unknown-role",
    ),
    "one run twice": (
        lambda m: m.receipts.update(a=m.test_run("base", run="r"), b=m.test_run("base", "failed", run="r")),
        "receipt-repeated",
    ),
    "two draws of one run": (
        lambda m: m.receipts.update(first=m.test_run("base-on-green", "failed")),
        "receipt-of-a-second-draw",
    ),
    "two draws with other arguments": (
        lambda m: m.receipts.update(first=m.test_run("base", request={"args": {"argv": "true"}})),
        "receipt-of-a-second-draw",
    ),
    "a second run without the first": (
        lambda m: m.receipts.update(green=m.test_run("base-on-green-again")),
        "evidence",
    ),
    "a run that was made for something else": (
        _green_with(occasion=digest_of("statement", b"w")),
        "receipt-of-another-occasion",
    ),
    "a suite that another run told": (_green_with(suite=digest_of("statement", b"s")), "receipt-of-another-suite"),
    "a golden of Green's dependencies": (
        lambda m: _replan(m, golden_of(m.house.store, m.green)),
        "golden-of-another-tree",
    ),
    "a golden of no tree": (
        lambda m: _replan(m, m.house.store.put("golden", documents.encode(GOLDEN))),
        "golden-of-another-tree",
    ),
    "a golden that is no golden": (lambda m: _replan(m, Digest(m.base)), "golden-of-another-tree"),
    "a golden that nobody has": (lambda m: _replan(m, digest_of("golden", b"?")), "not-stored"),
    "a forged sentinel": (_put("green", _sentinel), "evidence"),
    "failing tests": (_put("green", lambda m: m.test_run("base-on-green", "failed")), "evidence"),
    "a secret in the diff": (_put("scan", _secret), "evidence"),
    "a run that was cut off": (
        _put("green", lambda m: m.test_run("base-on-green", ended_by="wall", exit=137)),
        "evidence",
    ),
    "a run without a result": (_put("green", lambda m: m.test_run("base-on-green", result=None)), "evidence"),
    "one build": (_seals(lambda m: m.seals[:1]), "evidence"),
    "one build sealed twice": (_seals(_one_build), "evidence"),
    "a seal that a stranger signed": (
        _seals(lambda m: (m.seals[0], m.seal(by=m.house.stranger["keeper"]))),
        "statement-forged",
    ),
    "a seal of another plan": (
        _seals(lambda m: (m.seals[0], m.seal(plan=digest_of("plan", b"?")))),
        "seal-of-another-plan",
    ),
    "a seal of another base": (
        _seals(lambda m: (m.seals[0], m.seal(base=digest_of("tree", b"?")))),
        "seal-of-another-plan",
    ),
    "a seal of another Green": (_seals(lambda m: (m.seals[0], m.seal(green=m.base))), "evidence"),
    "a seal without its steps": (_seals(lambda m: (m.seals[0], m.seal(steps=()))), "seal-steps"),
    "a seal with a step that failed": (_seals(lambda m: (m.seals[0], m.seal(steps=_failed_steps(m)))), "seal-steps"),
    "a receipt that is not there": (_put("green", lambda m: digest_of("statement", b"?")), "not-stored"),
    "a receipt that is no statement": (_put("green", lambda m: m.plan_digest), "not-a-statement"),
}


@pytest.mark.parametrize("name", BENT)
def test_guard_refuses_bent_evidence(house: PaperHouse, name: str) -> None:
    """Papers that do not prove what they should give no warrant, whatever the consent says."""
    bend, rule = BENT[name]
    made = papers(house)
    made.approve()
    bend(made)
    if rule == "evidence":
        house.use_real_evidence()
    answer = house.guard.warrant(made.dossier())
    assert not isinstance(answer, str)
    assert answer.where
    assert answer.remedy
    assert _rule(answer) == rule if rule != "evidence" else _rule(answer) != "card-differs"
    assert house.guard.live(SUBJECT) == house.base
    assert "warrant.issued" not in house.names()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another base": ({"base": digest_of("tree", b"?")}, "plan-of-another-subject"),
    "another subject": ({"subject": Subject(kind=Kind.WORKSPACE, address="/other")}, "plan-of-another-subject"),
    "another Green": ({"green": digest_of("tree", b"?")}, "receipt-wrong-trees"),
    "a plan that is not there": ({"plan": digest_of("plan", b"?")}, "not-stored"),
    "a plan that is no plan": ({"plan": digest_of("blob", b"?")}, "dossier-malformed"),
    "another change": ({"change": "change-9"}, "consent-of-another-change"),
    "no change": ({"change": ""}, "dossier-malformed"),
    "no card": ({"card": None}, "consent-of-another-change"),
    "no consent": ({"consents": ()}, "needs-approval"),
    "a receipt as consent": ({"consents": (digest_of("plan", b"?"),)}, "not-a-statement"),
    "a higher mode than the owner's": ({"mode": Mode.AUTONOMOUS, "consents": ()}, "needs-approval"),
    "too many receipts": ({"receipts": (digest_of("statement", b"?"),) * 200}, "too-many-receipts"),
    "too many consents": ({"consents": (digest_of("statement", b"?"),) * 200}, "too-many-consents"),
}


@pytest.mark.parametrize("name", WRONG)
def test_guard_refuses_wrong_dossiers(house: PaperHouse, name: str) -> None:
    """A dossier that puts good papers together wrongly gives no warrant."""
    members, rule = WRONG[name]
    made = papers(house)
    made.approve()
    assert _rule(house.guard.warrant(made.dossier(**members))) == rule
    assert house.guard.live(SUBJECT) == house.base


def test_guard_refuses_a_consent_to_another_green(house: PaperHouse) -> None:
    """What was approved is what is promoted: a changed Green needs a fresh yes."""
    first = papers(house)
    first.approve()
    changed = papers(house, text=b"something else\n")
    changed.card, changed.consents = first.card, first.consents
    assert _rule(house.guard.warrant(changed.dossier())) == "consent-of-another-change"


def test_guard_refuses_a_forged_consent(house: PaperHouse) -> None:
    """A yes that another key signed is no yes, and the refusal is logged."""
    made = papers(house)
    made.card = house.store.put("card", documents.encode(made.make_card()))
    refused = house.hand_in(made.consent(), house.stranger["owner"])
    assert _rule(refused) == "statement-forged"
    assert "consent.refused" in house.names()
    envelope = house.stranger["owner"].sign(Predicate.CONSENT, made.green, documents.encode(made.consent()))
    made.consents = (house.store.put("statement", envelope),)
    assert _rule(house.guard.warrant(made.dossier())) == "statement-forged"


def test_guard_refuses_a_consent_about_something_else(house: PaperHouse) -> None:
    """The statement's subject must be what its body allows."""
    made = papers(house)
    made.card = house.store.put("card", documents.encode(made.make_card()))
    envelope = house.owner.sign(Predicate.CONSENT, made.base, documents.encode(made.consent()))
    assert _rule(house.guard.consent(envelope)) == "wrong-subject"


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"expires": Instant(1)}, "consent-expired"),
        ({"expires": Instant(4_000_000_000 * SECOND)}, "consent-too-long"),
        ({"nonce": "short"}, "consent-malformed"),
        ({"green": digest_of("tree", b"?")}, "consent-of-another-card"),
        ({"shown": digest_of("card", b"?")}, "not-stored"),
    ],
)
def test_guard_takes_no_unfit_consent(house: PaperHouse, members: dict[str, Any], rule: str) -> None:
    """An expired, endless, malformed or foreign consent is refused when it is handed in."""
    made = papers(house)
    made.card = house.store.put("card", documents.encode(made.make_card()))
    assert _rule(house.hand_in(made.consent(**members))) == rule


def test_guard_holds_on_a_consent_that_expired_since(house: PaperHouse) -> None:
    """A yes holds for its time only; afterwards the person is asked again, and a fresh yes is enough."""
    made = papers(house)
    made.approve()
    house.clock.advance(601)
    assert _rule(house.guard.warrant(made.dossier())) == "consent-expired"
    made.approve()
    assert isinstance(house.guard.warrant(made.dossier()), str)


def test_guard_spends_a_consent_once(house: PaperHouse) -> None:
    """After a revert the same yes does not promote the same change again."""
    made, _ = promoted(house)
    house.guard.revert(SUBJECT, made.change, "ada")
    assert _rule(house.guard.warrant(made.dossier())) == "consent-spent"


def test_guard_spends_a_warrant_once(house: PaperHouse) -> None:
    """After a revert the same warrant does not promote again."""
    made, warrant = promoted(house)
    house.guard.revert(SUBJECT, made.change, "ada")
    assert _rule(house.guard.promote(warrant)) == "warrant-spent"
    assert house.guard.live(SUBJECT) == made.base


def test_guard_two_warrants_of_one_consent_promote_once(house: PaperHouse) -> None:
    """Two warrants may rest on one consent, but only one of them is ever spent."""
    made = papers(house)
    made.approve()
    first, second = house.guard.warrant(made.dossier()), house.guard.warrant(made.dossier())
    assert isinstance(first, str)
    assert isinstance(second, str)
    assert isinstance(house.guard.promote(first), Passed)
    house.guard.revert(SUBJECT, made.change, "ada")
    assert _rule(house.guard.promote(second)) == "consent-spent"
    assert house.guard.live(SUBJECT) == made.base


def _warrant(house: PaperHouse, made: Papers) -> Any:
    made.approve()
    return house.guard.warrant(made.dossier())


def test_guard_refuses_an_expired_warrant(house: PaperHouse) -> None:
    """A warrant holds for its time only."""
    warrant = _warrant(house, papers(house))
    house.clock.advance(600)
    assert _rule(house.guard.promote(warrant)) == "warrant-expired"


def test_guard_refuses_a_warrant_of_an_earlier_policy(house: PaperHouse) -> None:
    """A changed constitution voids every warrant that is not spent."""
    warrant = _warrant(house, papers(house))
    house.use()
    assert _rule(house.guard.promote(warrant)) == "policy-changed"


def test_guard_refuses_forged_warrants(house: PaperHouse) -> None:
    """A warrant that the guard did not sign, or signed but never issued, promotes nothing."""
    made = papers(house)
    digest = _warrant(house, made)
    body = house.owner.open(house.store.get(digest), Predicate.WARRANT, "guard").body
    forged = house.envelope(house.stranger["guard"], Predicate.WARRANT, made.green, documents.decode(Warrant, body))
    assert _rule(house.guard.promote(forged)) == "statement-forged"
    other = dataclasses.replace(documents.decode(Warrant, body), nonce="0" * 32)
    unknown = house.envelope(house.signer, Predicate.WARRANT, made.green, other)
    assert _rule(house.guard.promote(unknown)) == "warrant-spent"
    assert _rule(house.guard.promote(made.plan_digest)) == "not-a-statement"
    assert house.guard.live(SUBJECT) == made.base


def test_guard_refuses_green_that_was_changed_in_the_store(house: PaperHouse) -> None:
    """Green is rehashed before the swap: a changed byte is found."""
    made = papers(house)
    warrant = _warrant(house, made)
    house.store.spoil(digest_of("blob", b"the words\n"), b"evil words")
    assert _rule(house.guard.promote(warrant)) == "wrong-bytes"
    assert house.guard.live(SUBJECT) == made.base


def test_guard_refuses_green_whose_manifest_lies(house: PaperHouse) -> None:
    """A manifest that gives a file another size than it has is found before the swap."""
    made = papers(house)
    blob = house.store.put("blob", b"the words\n")
    lying = manifest_of([File(path=b"README", executable=False, size=1, blob=blob)])
    house.store.spoil(made.green, lying.encode())
    with pytest.raises(Unusable, match="wrong-bytes"):
        check_green(house.guard._room, made.green)
    with pytest.raises(Unusable, match="green-differs"):
        check_green(house.guard._room, house.store.put("tree", lying.encode()))


def test_guard_refuses_when_live_moved_on(house: PaperHouse) -> None:
    """The person's own commit makes waiting changes base-moved, at the warrant and at the swap."""
    made = papers(house)
    warrant = _warrant(house, made)
    house.clock.advance(1)
    house.guard.adopt(house.imported(house.tree({"b": b"1"})))
    assert _rule(house.guard.promote(warrant)) == "base-moved"
    assert _rule(house.guard.warrant(made.dossier())) == "base-moved"


def test_guard_lowers_trust_that_a_plan_claims(house: PaperHouse) -> None:
    """A plan that says its words are a person's is weighed as what was taken in."""
    asked: list[Trust] = []
    policy = house.policies[house.first].policy
    weigh = policy.weigh
    policy.weigh = lambda plan, evidence, debate: (
        asked.extend(arg.trust for step in plan.steps for arg in step.args.values()) or weigh(plan, evidence, debate)
    )
    made = papers(house)
    step = dataclasses.replace(made.plan.steps[0], args={"patch": Arg(value=made.patch, trust=Trust.PERSON)})
    made.plan = dataclasses.replace(made.plan, steps=(step,))
    made.plan_digest = house.store.put("plan", documents.encode(made.plan))
    made.seals = (made.seal(), made.seal())
    house.guard.warrant(made.dossier())
    assert asked == [Trust.BOX]


@pytest.mark.parametrize(
    "members",
    [
        {"patch": digest_of("blob", b"a harmless patch")},
        {"base": digest_of("tree", b"?")},
        {"golden": digest_of("golden", b"?")},
        {"evidence": ()},
        {"environment": {"test-command": "true"}},
        {"subject": Subject(kind=Kind.WORKSPACE, address="/other")},
    ],
)
def test_guard_refuses_a_card_that_deceives(house: PaperHouse, members: dict[str, Any]) -> None:
    """A card that says something else than the papers prove allows nothing, though the person signed it."""
    made = papers(house)
    made.card = house.store.put("card", documents.encode(made.make_card(**members)))
    made.consents = (house.hand_in(made.consent()),)
    answer = house.guard.warrant(made.dossier())
    assert _rule(answer) == "card-differs"
    assert next(iter(members)) in answer.where or "test-command" in answer.where


def test_guard_refuses_a_card_with_less_risk(house: PaperHouse) -> None:
    """The risk that was shown must be the risk that the guard weighs."""
    made = papers(house)
    card = made.make_card()
    smaller = dataclasses.replace(card.risk, contributions=())
    made.card = house.store.put("card", documents.encode(dataclasses.replace(card, risk=smaller)))
    made.consents = (house.hand_in(made.consent()),)
    assert _rule(house.guard.warrant(made.dossier())) == "card-differs"


def test_guard_asks_the_policy_with_authority(house: PaperHouse) -> None:
    """What the policy refuses at approve or promote gets no warrant, and the refusal is logged by its rule."""
    no = Refused(rule="path-not-allowed", where="src/x", remedy="leave it alone")
    for stage in ("approve", "promote"):
        made = papers(house)
        house.use(verdicts={stage: no})
        made.approve()
        assert house.guard.warrant(made.dossier()) == no
    assert [e.about for e in house.log.events() if e.name == "warrant.refused"] == ["path-not-allowed"] * 2


def test_guard_day_caps_hold(house: PaperHouse) -> None:
    """Beyond a day's cap a change waits for the next day, also with a warrant that was issued before."""
    house.use(constitution(changes=1))
    first, second = papers(house), papers(house, name="change-2", text=b"other\n")
    first_warrant, second_warrant = _warrant(house, first), _warrant(house, second)
    assert isinstance(house.guard.promote(first_warrant), Passed)
    house.guard.revert(SUBJECT, first.change, "ada")
    answer = house.guard.promote(second_warrant)
    assert _rule(answer) == "day-cap-changes"
    assert isinstance(answer, Held)
    assert answer.ask_again is not None
    assert _rule(house.guard.warrant(second.dossier())) == "day-cap-changes"
    house.clock.set(answer.ask_again)
    second.approve()
    assert isinstance(house.guard.warrant(second.dossier()), str)


@pytest.mark.parametrize("caps", [{"lines": 1}, {"risk": 9}])
def test_guard_caps_lines_and_risk(house: PaperHouse, caps: dict[str, int]) -> None:
    """Lines and risk of a day are capped too."""
    house.use(constitution(**caps))
    made = papers(house)
    made.approve()
    assert _rule(house.guard.warrant(made.dossier())) == f"day-cap-{next(iter(caps))}"


@pytest.mark.parametrize("name", sorted(GUARD_ONLY))
def test_guard_writes_its_own_entries_alone(house: PaperHouse, name: str) -> None:
    """A caller cannot write what only the guard says."""
    with pytest.raises(Unusable, match="event-reserved"):
        house.guard.append(Event(key="x", at=Instant(1), actor="executor", name=name))


@pytest.mark.parametrize(
    "members",
    [
        {"key": "guard/promoted/x"},
        {"actor": "owner"},
        {"actor": "guard"},
        {"name": "live.anything"},
        {"key": ""},
        {"key": "k" * 1000},
        {"schema": 2},
        {"digests": {f"d{n}": digest_of("blob", b"") for n in range(99)}},
    ],
)
def test_guard_checks_what_callers_log(house: PaperHouse, members: dict[str, Any]) -> None:
    """An entry of a caller is bounded, printable, and never takes the guard's keys, names or actors."""
    usual: dict[str, Any] = {"key": "c/0/plan/intent", "at": Instant(1), "actor": "executor", "name": "plan.intent"}
    with pytest.raises(Unusable):
        house.guard.append(Event(**(usual | members)))
    before = house.log.size()
    assert house.guard.append(Event(**usual)) == before
    assert house.log.events()[-1].at == house.clock.now()


def test_guard_shortens_what_an_entry_is_about(house: PaperHouse) -> None:
    """A hostile finding's name neither reaches the log whole nor keeps the entry out of it."""
    house.guard.append(
        Event(key="k", at=Instant(1), actor="executor", name="verify.result", about="a\x1b\n" + "x" * 500)
    )
    assert house.log.events()[-1].about == "a" + "x" * 199


def test_guard_adopts_what_the_keeper_read_alone(house: PaperHouse) -> None:
    """An import that is forged, of another place, of the future or stale moves nothing."""
    other = house.tree({"evil": b"1"})
    house.clock.advance(1)
    for imported, rule in (
        (house.imported(other, by=house.stranger["keeper"]), "statement-forged"),
        (house.imported(other, by=house.owner), "statement-forged"),
        (house.imported(other, source="/tmp/evil"), "import-from-elsewhere"),
        (house.imported(other, at=Instant(house.clock.now() + SECOND)), "import-from-the-future"),
        (house.imported(digest_of("tree", b"?")), "not-stored"),
        (house.imported(other, trust=7), "import-malformed"),
    ):
        assert _rule(house.guard.adopt(imported)) == rule
    made, _ = promoted(house)
    house.guard.mark_good(made.change, made.live_runs())
    assert _rule(house.guard.adopt(house.imported(other, at=Instant(house.clock.now() - SECOND)))) == "import-stale"
    assert house.guard.live(SUBJECT) == made.green


def test_guard_adopts_no_older_import(house: PaperHouse) -> None:
    """An import that was read before the last one that was taken in moves nothing."""
    house.clock.advance(1)
    older = house.imported(house.tree({"old": b"1"}))
    house.clock.advance(1)
    newer = house.tree({"b": b"1"})
    house.guard.adopt(house.imported(newer))
    assert _rule(house.guard.adopt(older)) == "import-stale"
    assert house.guard.live(SUBJECT) == newer


def test_guard_adopts_once(house: PaperHouse) -> None:
    """The state that was taken in before is not taken in again: a promotion that is not yet delivered stays live."""
    made, _ = promoted(house)
    house.guard.mark_good(made.change, made.live_runs())
    house.clock.advance(5)
    assert house.guard.adopt(house.imported(house.base)) == made.green
    assert house.names().count("live.adopted") == 1


def test_guard_adopts_no_commit_under_a_watch(house: PaperHouse) -> None:
    """While a promotion is watched, live stays what is being watched."""
    promoted(house)
    house.clock.advance(5)
    assert _rule(house.guard.adopt(house.imported(house.tree({"b": b"1"})))) == "change-baking"


def test_guard_takes_nothing_back_from_under_a_commit(house: PaperHouse) -> None:
    """A promotion on which the person has built since is not reverted."""
    made, _ = promoted(house)
    house.guard.mark_good(made.change, made.live_runs())
    house.clock.advance(5)
    house.guard.adopt(house.imported(house.tree({"b": b"1"})))
    assert _rule(house.guard.revert(SUBJECT, made.change, "ada")) == "not-last"


def test_guard_weighs_nothing_of_an_unknown_subject(house: PaperHouse) -> None:
    """A subject that was never imported has no live state to promote over."""
    made = papers(house)
    made.plan = dataclasses.replace(made.plan, subject=Subject(kind=Kind.CONFIG, address="x"))
    made.plan_digest = house.store.put("plan", documents.encode(made.plan))
    assert _rule(house.guard.warrant(made.dossier())) == "unknown-subject"


def test_guard_finds_protected_classes_by_itself(house: PaperHouse) -> None:
    """Lines are counted from the classification that the keeper signed, not from the card."""
    made = papers(house)
    big = DiffClass(files=(FileDiff(path="a.py", line_class="logic", added=900, removed=900, why="code"),))
    made.receipts["classify"] = made.diff_run("classify", "classify_diff_t0", big)
    made.approve()
    assert _rule(house.guard.warrant(made.dossier())) == "day-cap-lines"
