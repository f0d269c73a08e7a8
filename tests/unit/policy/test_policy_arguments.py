from __future__ import annotations

import policy_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.arguments import int_range, problems
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Arg, ArgRule, ArgType, Step, ToolManifest
from greenroom.domain.vocabulary import Trust


def rules_broken(
    kind: ArgType,
    value: str | int,
    *,
    allow: str = "[^x]*",
    deny: str = "",
    trust: Trust = Trust.BOX,
    max_bytes: int = 64,
    blobs: tuple[str, ...] = (),
) -> list[str]:
    """The rules that an argument of one kind breaks."""
    rule = ArgRule(type=kind, allow=allow, deny=deny, min_trust=Trust.BOX, max_bytes=max_bytes)
    tool = cases.TOOLS["scan_diff_t0"]
    manifest = ToolManifest(**{name: getattr(tool, name) for name in ToolManifest.__slots__} | {"args": {"it": rule}})
    step = Step(id="s", tool=cases.PATCH, args={"it": Arg(value=value, trust=trust)})
    return [problem.rule for problem in problems(step, manifest, blobs)]


@pytest.mark.parametrize(
    ("kind", "value", "allow"),
    [
        ("text", "a word", "[a-z ]+"),
        ("text", "näïve\n\tlines", ".*\\n.*"),
        ("path", "system/app.json", "system/.+"),
        ("int", 7, "1..10"),
        ("int", -3, "-5..-1"),
    ],
)
def test_what_fits_its_rule_has_no_problem(kind: ArgType, value: str | int, allow: str) -> None:
    """A value of the right type, size and words passes."""
    assert rules_broken(kind, value, allow=allow) == []


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", 5, "argument-type"),
        ("text", "x", "argument-not-allowed"),
        ("text", "a" * 65, "argument-too-long"),
        ("text", "é" * 33, "argument-too-long"),
        ("text", "a\x1b[2J", "argument-control-characters"),
        ("text", "a\u202eb", "argument-control-characters"),
        ("text", "a\u200bb", "argument-control-characters"),
        ("text", "\ud800", "argument-control-characters"),
        ("path", "/etc/passwd", "argument-path"),
        ("path", "a/../b", "argument-path"),
        ("path", "a//b", "argument-path"),
        ("path", "a\\b", "argument-path"),
        ("path", "~/a", "argument-path"),
        ("path", "-rf", "argument-path"),
        ("path", ".git/config", "argument-path"),
        ("path", "", "argument-path"),
        ("digest", "blob:12", "argument-type"),
        ("digest", str(cases.PATCH), "argument-too-long"),
        ("int", "7", "argument-type"),
        ("int", True, "argument-type"),
    ],
)
def test_what_does_not_fit_names_the_rule(kind: ArgType, value: str | int, expected: str) -> None:
    """Each kind of misfit has its own rule."""
    allow = "1..10" if kind == "int" else "[^x]*"
    assert expected in rules_broken(kind, value, allow=allow)


@pytest.mark.parametrize("value", [0, 11, 2**70, -1])
def test_numbers_stay_inside_their_caps(value: int) -> None:
    """A number outside LEAST..MOST is refused."""
    assert rules_broken("int", value, allow="1..10") == ["argument-out-of-range"]


def test_a_denied_part_refuses_an_allowed_whole() -> None:
    """`deny` beats `allow`, wherever in the value it matches."""
    assert rules_broken("text", "a..b", allow=".*", deny="\\.\\.") == ["argument-denied"]


def test_a_digest_must_be_among_the_blobs_of_the_plan() -> None:
    """Content that the plan does not name is not content of the plan."""
    digest = str(cases.PATCH)
    assert rules_broken("digest", digest, allow="blob:.*", max_bytes=80) == ["argument-blob-not-in-plan"]
    assert rules_broken("digest", digest, allow="blob:.*", max_bytes=80, blobs=(digest,)) == []


def test_commands_are_a_persons_words_only() -> None:
    """A command needs a person's trust even where its rule asks for less."""
    assert rules_broken("argv", "pytest -q", trust=Trust.BOX) == ["argument-trust"]
    assert rules_broken("argv", "pytest -q", trust=Trust.PERSON) == []


@pytest.mark.parametrize("value", ["", "  ", "pytest 'open", "pytest \\", " a" * 300])
def test_a_command_is_a_line_of_words_with_its_quotes_closed(value: str) -> None:
    """What cannot be split into words is no command."""
    assert rules_broken("argv", value, trust=Trust.PERSON, max_bytes=4096) == ["argument-type"]


def test_words_of_too_little_trust_are_refused() -> None:
    """A rule's minimum trust holds."""
    assert rules_broken("text", "a", trust=Trust.UNTRUSTED) == ["argument-trust"]


def test_unknown_and_missing_arguments_are_refused() -> None:
    """A step gives exactly what the manifest takes."""
    step = cases.step("config_update_t2", file="system/a.json", extra="1")
    found = [problem.rule for problem in problems(step, cases.TOOLS["config_update_t2"], ())]
    assert found == ["argument-unknown", "argument-missing", "argument-missing"]


@given(st.one_of(st.text(max_size=80), st.integers()), st.sampled_from(["text", "path", "int", "digest", "argv"]))
def test_any_value_gets_an_answer(value: str | int, kind: ArgType) -> None:
    """No value makes the checker fail, and what passes as a path stays inside."""
    broken = rules_broken(kind, value, allow="0..9" if kind == "int" else ".*", trust=Trust.PERSON)
    if kind == "path" and not broken:
        assert isinstance(value, str)
        assert not value.startswith("/")
        assert ".." not in value.split("/")


@pytest.mark.parametrize("allow", ["", "5", "a..b", "1..", "..2", "1...3"])
def test_a_range_that_is_none_is_unusable(allow: str) -> None:
    """The rule of a number is checked when the policy is loaded."""
    with pytest.raises(Unusable):
        int_range(allow)
