from __future__ import annotations

import dataclasses
from typing import Any

import policy_cases as cases
import pytest

from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Arg, ArgRule
from greenroom.domain.ports import Totals
from greenroom.domain.proof import Contribution
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Kind, Stage, Subject, Trust, Undo
from greenroom.policy import decide, rules
from greenroom.policy.decide import CedarPolicy
from greenroom.policy.manifests import manifest_digest
from greenroom.policy.question import Law, ask, law

POLICY = cases.make_policy()
LAW: Law = law(cases.POLICY, cases.CONSTITUTION, cases.MANIFESTS)


def may(stage: Stage = Stage.APPROVE, policy: CedarPolicy = POLICY, **given: Any) -> Verdict:
    plan = given.get("plan", cases.plan())
    evidence = given.get("evidence", cases.evidence())
    return policy.may(given.get("change", cases.change()), stage, plan, given.get("facts", cases.facts()), evidence)


def amended(**sections: Any) -> CedarPolicy:
    """The policy of a constitution with some sections changed."""
    found = cases.CONSTITUTION
    for name, value in sections.items():
        part = dataclasses.replace(getattr(found, name), **value) if isinstance(value, dict) else value
        found = dataclasses.replace(found, **{name: part})
    return cases.make_policy(found)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_good_change_passes_every_stage(stage: Stage) -> None:
    """Nothing stands in the way of a change that keeps every rule."""
    assert may(stage) == Passed()


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stop_holds_every_stage(stage: Stage) -> None:
    """Under a stop nothing goes on, whatever else is wrong, and the remedy is the owner's lift."""
    verdict = may(stage, facts=cases.facts(stopped=True, live=None, layers={}), plan=None, evidence=())
    assert isinstance(verdict, Held)
    assert verdict.rule == "stopped"
    assert "lift" in verdict.remedy


_NO_NET = digest_of("tool", b"?")
REFUSALS: dict[str, dict[str, Any]] = {
    "plan-missing": {"plan": None},
    "plan-mismatch": {"plan": cases.plan(base=cases.OTHER)},
    "unknown-subject": {"facts": cases.facts(live=None)},
    "base-moved": {"facts": cases.facts(live=cases.OTHER)},
    "plan-empty": {"plan": dataclasses.replace(cases.plan(), steps=())},
    "plan-too-long": {"plan": cases.plan(*(cases.step(name=f"s{n}") for n in range(33)))},
    "plan-order": {"plan": cases.plan(cases.step(after=("later",)), cases.step(name="later"))},
    "plan-too-parallel": {"plan": cases.plan(*(cases.step(name=f"s{n}") for n in range(5)))},
    "unknown-tool": {"plan": cases.plan(dataclasses.replace(cases.step(), tool=_NO_NET))},
    "argument-missing": {"plan": cases.plan(dataclasses.replace(cases.step(), args={}))},
    "argument-blob-not-in-plan": {"plan": cases.plan(blobs=())},
    "trust-raised": {"plan": cases.plan(cases.step(patch=Arg(value=cases.PATCH, trust=Trust.PERSON)))},
    "tripcode-needed": {"plan": cases.plan(cases.step("factory_reset_t3"))},
    "layer-missing": {"facts": cases.facts(layers={**cases.LAYERS, "seccomp": False})},
    "not-sealed": {"change": cases.change(green=None)},
    "not-rehearsed": {"change": cases.change(seals=())},
    "snapshot-missing": {
        "plan": cases.plan(cases.step("config_update_t2", file="system/a.json", key="theme", value="dark")),
        "facts": cases.facts(snapshots=frozenset({"another"})),
    },
    "nothing-changed": {
        "change": cases.change(green=cases.BASE),
        "evidence": tuple(dataclasses.replace(item, about=cases.BASE) for item in cases.evidence()),
    },
    "evidence-of-another-green": {"evidence": (*cases.evidence(), cases.item("scan", about=cases.OTHER))},
    "evidence-missing": {"evidence": cases.evidence(without="scan")},
    "flaky": {"evidence": cases.evidence(cases.item("tests", "flaky"))},
    "tests-failed": {"evidence": cases.evidence(cases.item("tests", "fail"))},
    "tests-forged": {"evidence": cases.evidence(cases.item("tests", "fail", facts={"why": "tests-forged"}))},
    "evidence-unusable": {"evidence": cases.evidence(cases.item("reseal", "broken-before"))},
}


@pytest.mark.parametrize("stage", [Stage.APPROVE, Stage.PROMOTE])
@pytest.mark.parametrize("rule", REFUSALS)
def test_each_broken_rule_refuses_by_its_name(rule: str, stage: Stage) -> None:
    """What breaks a rule is refused with the rule, a place and a remedy."""
    verdict = may(stage, **REFUSALS[rule])
    assert isinstance(verdict, Refused)
    assert verdict.rule == rule
    assert verdict.where
    assert verdict.remedy


_BAKING = Held(rule="change-baking", where="change c-0 is still watched", remedy="greenroom resume")
HOLDS: dict[str, dict[str, Any]] = {
    "change-baking": {"facts": cases.facts(health=(_BAKING,))},
    "policy-mismatch": {"facts": cases.facts(policy=digest_of("policy", b"another"))},
    "violation-seen": {"facts": cases.facts(violations=("tests/base, run r: ended by memory",))},
    "inconclusive": {"evidence": cases.evidence(cases.item("tests", "inconclusive"))},
    "disk-low": {"facts": cases.facts(disk_free_bytes=1)},
    "day-cap-changes": {"facts": cases.facts(totals=Totals(changes=50))},
    "day-cap-lines": {"facts": cases.facts(totals=Totals(lines=4999))},
    "day-cap-risk": {"facts": cases.facts(totals=Totals(risk=1500))},
    "day-cap-spend": {"facts": cases.facts(totals=Totals(spend_micro=1))},
}


@pytest.mark.parametrize("rule", HOLDS)
def test_what_can_pass_later_is_held(rule: str) -> None:
    """What a person or a later day can mend waits, with a place and a remedy."""
    verdict = may(Stage.PROMOTE, **HOLDS[rule])
    assert isinstance(verdict, Held)
    assert verdict.rule == rule
    assert verdict.where
    assert verdict.remedy


def test_a_kept_snapshot_lets_a_step_of_the_system_on() -> None:
    """The same plan passes when Green was kept before its step; a step of a lower tier needs none."""
    system = cases.plan(cases.step("config_update_t2", file="system/a.json", key="theme", value="dark"))
    assert may(plan=system, facts=cases.facts(snapshots=frozenset({"apply"}))) == Passed()
    strict = amended(plan={"snapshot_from_tier": 1})
    refused = may(policy=strict)
    assert isinstance(refused, Refused)
    assert (refused.rule, "apply_patch_t1" in refused.where) == ("snapshot-missing", True)


def test_health_is_asked_before_the_act_alone() -> None:
    """While another promotion bakes, a change may be planned, tried and agreed to; a swap that was done stands."""
    ill = cases.facts(health=(_BAKING,))
    for stage in Stage:
        assert isinstance(may(stage, facts=ill), Held if stage is Stage.PROMOTE else Passed)
    assert may(Stage.PROMOTE, facts=cases.facts(health=(_BAKING,), live=cases.GREEN)) == Passed()


LIVE = (cases.item("live-tests"),)
SERVICE = cases.change(subject=Subject(kind=Kind.SERVICE, address="shop"))


def test_code_is_good_when_its_tests_pass_on_what_is_live() -> None:
    """A workspace answers no probe: its postcondition is its tests; without their evidence it is not marked good."""
    watched = cases.facts(watched=True)
    assert may(Stage.WATCH, facts=watched, evidence=LIVE) == Passed()
    missing = may(Stage.WATCH, facts=watched, evidence=())
    assert isinstance(missing, Refused)
    assert (missing.rule, missing.where) == ("evidence-missing", "live-tests")


def test_a_service_is_good_when_its_probes_were_green_long_enough() -> None:
    """The seconds are the constitution's; one less is too short, and says how many there were."""
    short = may(Stage.WATCH, change=SERVICE, facts=cases.facts(watched=True, probe_green_s=9), evidence=LIVE)
    assert isinstance(short, Held)
    assert (short.rule, short.where) == ("probe-short", "probes were green for 9 of 10 seconds")
    assert (
        may(Stage.WATCH, change=SERVICE, facts=cases.facts(watched=True, probe_green_s=10), evidence=LIVE) == Passed()
    )
    patient = amended(tests={"probe_seconds": 3600})
    assert isinstance(may(Stage.WATCH, patient, change=SERVICE, facts=cases.facts(watched=True), evidence=LIVE), Held)


def test_a_watch_that_saw_a_violation_or_a_failure_marks_nothing_good() -> None:
    """A run that a wall ended, and tests that fail on what is live."""
    violated = cases.facts(watched=True, violations=("live-tests/base, run r: ended by wall",))
    verdict = may(Stage.WATCH, facts=violated, evidence=LIVE)
    assert isinstance(verdict, Held)
    assert (verdict.rule, verdict.where) == ("violation-seen", violated.violations[0])
    assert verdict.remedy
    failed = may(Stage.WATCH, facts=cases.facts(watched=True), evidence=(cases.item("live-tests", "fail"),))
    assert isinstance(failed, Refused)
    assert failed.rule == "live-tests-failed"


def test_a_day_cap_is_asked_again_at_the_next_midnight() -> None:
    """A full day ends at midnight UTC; the instant is told."""
    verdict = may(facts=cases.facts(totals=Totals(changes=50)))
    assert isinstance(verdict, Held)
    assert verdict.ask_again is not None
    assert verdict.ask_again > cases.NOW
    assert verdict.ask_again % (24 * 3600 * 10**9) == 0


def test_the_last_change_of_the_day_fits_exactly() -> None:
    """A cap is the number that is still allowed."""
    assert may(facts=cases.facts(totals=Totals(changes=49))) == Passed()


def test_a_swap_that_was_done_is_not_refused_when_asked_again() -> None:
    """After a crash between swap and save, promote is asked again with Green live and counted."""
    done = cases.facts(live=cases.GREEN, totals=Totals(changes=50, risk=1500), disk_free_bytes=1)
    assert may(Stage.PROMOTE, facts=done) == Passed()
    assert isinstance(may(Stage.APPROVE, facts=done), Refused)


def test_a_finding_that_fails_is_told_as_rule_and_place() -> None:
    """A secret in the diff names the rule that found it and the line."""
    found = Contribution(name="secret-aws-key", points=50, why="src/pkg/core.py:3: an access key")
    verdict = may(evidence=cases.evidence(cases.item("scan", "fail", findings=(found,))))
    assert isinstance(verdict, Refused)
    assert (verdict.rule, verdict.where) == ("secret-aws-key", found.why)


def test_a_failing_check_speaks_before_a_hold() -> None:
    """What can never pass is refused even when the disk is full too."""
    verdict = may(
        Stage.PROMOTE,
        facts=cases.facts(disk_free_bytes=1),
        evidence=cases.evidence(cases.item("loosened", "fail")),
    )
    assert isinstance(verdict, Refused)
    assert verdict.rule == "loosened-failed"


def test_tests_broken_before_pass_the_gate() -> None:
    """Too few tests raise the consent level; they do not refuse."""
    assert may(evidence=cases.evidence(cases.item("tests", "broken-before"))) == Passed()


def test_paths_outside_the_allowed_ones_are_refused() -> None:
    """Where the constitution names allowed paths, everything else is out of reach."""
    verdict = may(policy=amended(allowed_paths=("docs",)))
    assert verdict == Refused(
        rule="path-not-allowed", where="src/pkg/core.py", remedy=rules.remedy_of("path-not-allowed")
    )


def test_untrusted_words_do_not_touch_protected_paths() -> None:
    """A protected path refuses a fetched release's change, and lets the box's own go on to level 3."""
    touched = cases.evidence(cases.classified((".github/workflows/ci.yml", "config")))
    untrusted = cases.plan(cases.step(patch=Arg(value=cases.PATCH, trust=Trust.UNTRUSTED)))
    verdict = may(plan=untrusted, evidence=touched)
    assert isinstance(verdict, Refused)
    assert (verdict.rule, verdict.where) == ("protected-path", ".github/workflows/ci.yml")
    assert may(evidence=touched) == Passed()


@pytest.mark.parametrize("side", ["base", "green"])
def test_untrusted_words_do_not_touch_greenroom_itself(side: str) -> None:
    """Whatever path a fetched release's change has; the box's own words go on to level 3."""
    touched = cases.evidence(cases.classified(("README.md", "docs"), marks={side: "setup.py"}))
    untrusted = cases.plan(cases.step(patch=Arg(value=cases.PATCH, trust=Trust.UNTRUSTED)))
    for stage in (Stage.APPROVE, Stage.PROMOTE):
        verdict = may(stage, plan=untrusted, evidence=touched)
        assert verdict == Refused(
            rule="greenroom-itself", where="Greenroom itself, by setup.py", remedy=rules.remedy_of("greenroom-itself")
        )
        assert may(stage, evidence=touched) == Passed()


def test_a_missing_cgroup_is_excused_only_where_the_constitution_says_so() -> None:
    """With `allow_without_cgroup: false` every cgroup layer is required."""
    strict = amended(sandbox={"allow_without_cgroup": False})
    verdict = may(policy=strict)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "layer-missing"
    assert "cgroup-memory" in verdict.where
    full = {**cases.LAYERS, "cgroup-memory": True, "cgroup-pids": True, "cgroup-cpu": True}
    assert may(policy=strict, facts=cases.facts(layers=full)) == Passed()


def test_a_tripcode_lets_the_highest_tier_on() -> None:
    """Tier 3 is refused without a tripcode, and only for want of one."""
    dangerous = cases.plan(cases.step("factory_reset_t3"))
    assert may(Stage.DEBATE, plan=dangerous, facts=cases.facts(tripcode=True)) == Passed()


def test_a_draft_that_was_not_rehearsed_is_not_verified() -> None:
    """Verify needs a seal, which carries the rehearsal of each step."""
    verdict = may(Stage.VERIFY, change=cases.change(seals=()))
    assert isinstance(verdict, Refused)
    assert verdict.rule == "not-rehearsed"


def test_a_tool_with_a_network_is_refused() -> None:
    """No step of a plan reaches the network, whatever its manifest says."""
    tool = dataclasses.replace(cases.TOOLS["apply_patch_t1"], network=True)
    policy = CedarPolicy(cases.POLICY, cases.CONSTITUTION, {manifest_digest(tool): tool})
    wired = cases.plan(dataclasses.replace(cases.step(), tool=manifest_digest(tool)))
    verdict = may(Stage.DEBATE, policy, plan=wired)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "network-denied"


def test_only_a_named_tool_may_be_unrevertible() -> None:
    """A tool without an undo is refused unless the constitution names it."""
    tool = dataclasses.replace(cases.TOOLS["apply_patch_t1"], undo=Undo.NONE)
    tools = {manifest_digest(tool): tool}
    erase = cases.plan(dataclasses.replace(cases.step(), tool=manifest_digest(tool)))
    refused = may(Stage.DEBATE, CedarPolicy(cases.POLICY, cases.CONSTITUTION, tools), plan=erase)
    assert isinstance(refused, Refused)
    assert refused.rule == "unrevertible"
    named = dataclasses.replace(cases.CONSTITUTION, unrevertible_tools=("apply_patch_t1",))
    assert may(Stage.DEBATE, CedarPolicy(cases.POLICY, named, tools), plan=erase) == Passed()


def test_a_breach_that_the_constitution_does_not_name_is_allowed() -> None:
    """The owner decides which things never happen; taking a line out takes the rule out."""
    key = {"file": "system/app.json", "key": "auth.enabled", "value": "false"}
    opened = cases.plan(cases.step("config_update_t2", **key))
    refused = may(Stage.DEBATE, plan=opened)
    assert isinstance(refused, Refused)
    assert refused.rule == "disable-authentication"
    assert may(Stage.DEBATE, amended(never=("force-push",)), plan=opened) == Passed()


def test_a_finding_that_carries_the_name_of_a_breach_refuses() -> None:
    """A check that finds authentication switched off in the diff is as good as a step that says so."""
    found = Contribution(name="disable-authentication", points=5, why="settings.py:7")
    verdict = may(evidence=cases.evidence(cases.item("scan", findings=(found,))))
    assert isinstance(verdict, Refused)
    assert (verdict.rule, verdict.where) == ("disable-authentication", "settings.py:7")


def test_other_kinds_need_no_code_checks() -> None:
    """Required checks are data by kind."""
    subject = Subject(kind=Kind.CONFIG, address="toy")
    plan, change = cases.plan(subject=subject), cases.change(subject=subject)
    assert POLICY.checks(plan) == ("reseal", "classify", "scan")
    assert POLICY.checks(cases.plan()) == cases.CHECKS
    only = tuple(item for item in cases.evidence() if item.check in POLICY.checks(plan))
    assert may(plan=plan, change=change, evidence=only) == Passed()


def test_patterns_of_a_manifest_are_checked_when_the_policy_is_loaded() -> None:
    """A manifest with a pattern that cannot be used never comes into force."""
    rule = ArgRule(type="text", allow="(", deny="", min_trust=Trust.BOX, max_bytes=10)
    tool = dataclasses.replace(cases.TOOLS["scan_diff_t0"], args={"bad": rule})
    with pytest.raises(Unusable):
        CedarPolicy(cases.POLICY, cases.CONSTITUTION, {manifest_digest(tool): tool})


def test_every_rule_of_the_gate_has_words_and_every_word_a_rule() -> None:
    """The ids in the Cedar text that forbid are those of `rules.ORDER`, and no other."""
    text = decide.cedar_text()
    forbids = {
        block.split('")', 1)[0]
        for block in text.split('@id("')[1:]
        if "\nforbid " in f"\n{block.split(chr(10), 1)[1]}"[:9]
    }
    assert forbids == {rule.id for rule in rules.ORDER}


def test_a_long_plan_is_not_read_to_its_end() -> None:
    """A plan of a hundred thousand steps is refused for its length without being checked step by step."""
    long = dataclasses.replace(cases.plan(), steps=(cases.step(name="same"),) * 100_000)
    asked = ask(LAW, cases.change(), Stage.DEBATE, long, cases.facts(), ())
    assert asked.context["steps"] == 100_000
    verdict = may(Stage.DEBATE, plan=long)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "plan-too-long"


def test_the_policy_tells_its_digest_tools_and_manifests() -> None:
    """A warrant names the policy's digest; steps name manifests by theirs."""
    assert POLICY.digest == digest_of("policy", b"bundle")
    assert POLICY.tools == cases.BY_NAME
    assert POLICY.manifest(cases.BY_NAME["apply_patch_t1"]) == cases.TOOLS["apply_patch_t1"]
    assert POLICY.manifest(_NO_NET) is None
    assert POLICY.constitution == cases.CONSTITUTION
