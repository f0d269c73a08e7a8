"""What is shown is what is there: no character hides, reorders or controls the screen; nothing is left out."""

from __future__ import annotations

import io
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import Bug, Exit, GreenroomError, NotFound, Tampered, Unreachable, Unusable
from greenroom.entrypoints.cli import consent, output, render, runs
from greenroom.entrypoints.cli.safe import safe, safe_block

pytestmark = pytest.mark.slow

BAD = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@given(st.text())
def test_safe_leaves_nothing_that_controls(text: str) -> None:
    """Every character of the answer is visible or a plain space."""
    assert not {unicodedata.category(c) for c in safe(text)} & BAD
    assert not {unicodedata.category(c) for c in safe_block(text) if c not in "\n\t"} & BAD


@given(st.text(alphabet=st.characters(blacklist_categories=tuple(BAD))))  # type: ignore[arg-type]
def test_safe_leaves_plain_text_alone(text: str) -> None:
    """What can be seen is shown as it is, in any script."""
    assert safe(text) == safe_block(text) == text


@pytest.mark.parametrize("character", [*BIDI, "\x1b", "\x00", "\x7f", "\x9b", "\u200b", "\ufeff", "\u2028", "\udc80"])
def test_safe_spells_out(character: str) -> None:
    """Each known trick is spelled out by its number."""
    assert safe(f"a{character}b") == f"a\\u{{{ord(character):04x}}}b"


def test_safe_block_keeps_lines_but_no_carriage_return() -> None:
    """A carriage return would write over what stands there."""
    assert safe_block("a\r\n\tb") == "a\\u{000d}\n\tb"
    assert safe("a\nb") == "a\\u{000a}b"


def shown(item: Any, width: int = 80) -> str:
    out = render.console()
    out.file = io.StringIO()
    out.width = width
    out.print(item, soft_wrap=True)
    return out.file.getvalue()


def shown_runs(rows: list[dict[str, Any]]) -> str:
    out = render.console()
    out.file = io.StringIO()
    out.width = 100
    runs.show(out, rows)
    return out.file.getvalue()


CARD: dict[str, Any] = {
    "summary": "s",
    "rationale": "r",
    "expected": "e",
    "confidence": 90,
    "subject": {"kind": "workspace", "address": "/r"},
    "files": [{"path": "a.py", "line_class": "logic", "added": 1, "removed": 2, "why": "w"}],
    "evidence": [
        {
            "check": "tests",
            "verdict": "pass",
            "facts": {"ran": "7", "none": ""},
            "findings": [{"name": "n", "why": "found-why", "points": 1}],
        }
    ],
    "risk": {"contributions": [{"name": "few", "points": 3, "why": "small"}], "level": 1},
    "agree": "person",
    "origin": {"actor": "proposer:x", "door": "improve", "engine": "codestral@2025.1", "prompt": "text:9", "trust": 1},
    "plan": "plan:1",
    "base": "tree:1",
    "green": "tree:2",
    "golden": "golden:1",
    "patch": "blob:1",
    "proposal": "text:1",
    "tools": {"plan step apply": "tool:1"},
    "environment": {"python tested": "3.11"},
    "suggested_tests": ["tests/test_a.py"],
    "notes": ["a note"],
}
ROW: dict[str, Any] = {"id": "k3f9x2", "state": "verified", "held": None, "ended": None, "summary": "s", "rule": "r"}


SCORE = {"axis": "policy", "points": 41, "why": "score-why"}
DEBATE: dict[str, Any] = {
    "ruling": "ACCEPT",
    "why": "debate-why",
    "rounds": [
        {"round": 1, "ruling": "REJECT", "why": "judge-why", "reviews": [{"error": "none-given"}]},
        {
            "round": 2,
            "ruling": "ACCEPT",
            "why": "debate-why",
            "reviews": [{"reviewer": "rules", "version": "7", "round": 2, "scores": [SCORE]}],
        },
    ],
}
RUN: dict[str, Any] = {
    "receipt": "statement:1",
    "check": "tests",
    "role": "base-on-green",
    "verdict": "fail",
    "well": False,
    "telling": True,
    "exit": 9,
    "ended_by": "wall",
    "seconds": 12.34,
    "attempt": 2,
    "tests": {"failed": 3},
    "notes": ["run-note"],
    "stdout": "text:1",
    "stderr": "text:2",
    "truncated": True,
}
LOST: dict[str, Any] = {"receipt": "statement:2", "check": "scan", "verdict": "", "well": False, "problem": "gone-why"}


def everywhere(value: Any, text: str) -> Any:
    """`value` with `text` in every place that outside text may reach."""
    if isinstance(value, dict):
        fixed = ("agree", "level", "verdict", "points", "confidence", "added", "removed")
        return {key: each if key in fixed else everywhere(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [everywhere(each, text) for each in value]
    return text if isinstance(value, str) else value


def the_card(card: dict[str, Any]) -> dict[str, Any]:
    held = {"rule": "needs-approval", "where": "w", "remedy": "m"}
    return {**ROW, "held": held, "card": card, "change": {"card": "card:1"}, "debate": DEBATE, "runs": [RUN, LOST]}


def test_card_shows_all_of_it() -> None:
    """Every member of the card is on the screen, however narrow it is."""
    for width in (60, 200):
        text = "".join(shown(render.card(the_card(CARD)), width).split())
        for said in ("tests/test_a.py", "found-why", "debate-why", "needs-approval", "anote", "tool:1", "3.11", "+3"):
            assert said in text, (width, said)
        for said in (
            "codestral@2025.1",
            "text:9",
            "1wordsofthebox",
            "none-given",
            "score-why",
            "judge-why",
            "gone-why",
        ):
            assert said in text, (width, said)
        assert "3of100" in text
        assert "aperson(level1low)" in text


def test_card_shows_its_debate_and_its_runs() -> None:
    """Each score with reviewer, round, axis, points and reason; each run with role, end, seconds and attempt."""
    lines = {" ".join(line.strip("\u2502 ").split()) for line in shown(render.card(the_card(CARD)), 200).splitlines()}
    assert {
        "1 no review none-given",
        "1 the judge REJECT judge-why",
        "2 rules 7 policy 41 of 100 score-why",
        "2 the judge ACCEPT debate-why",
        "tests base-on-green by wall, exit 9 12.3 2 3 failed",
        "scan cannot be read: gone-why",
    } <= lines


def test_card_shows_a_long_summary_whole() -> None:
    """Nothing of the one line that says what a change is gets cut, on a narrow screen either, carded or not."""
    words = " ".join(f"word{number}" for number in range(40))
    bare = {**the_card(CARD), "summary": words, "card": None, "runs": []}
    bare["proposal"] = {"rationale": "r", "expected": "e", "files": []}
    for said in (the_card({**CARD, "summary": words}), bare):
        told = shown(render.card(said), 60)
        assert words.replace(" ", "") in "".join(told.replace("\u2502", "").split())


@given(st.text(min_size=1, max_size=30))
def test_card_and_board_are_safe_whatever_they_show(text: str) -> None:
    """Hostile text in any member leaves nothing that controls the screen, and no markup or emoji is read."""
    card = everywhere(CARD, text) | {"agree": "person", "risk": everywhere(CARD["risk"], text)}
    screen = shown(render.card(the_card(card)), 100) + shown(render.board([{**ROW, "summary": text, "rule": text}]))
    screen += shown(render.verdict_line({"is": "held", "rule": text, "where": text, "remedy": text}))
    debate, rows = everywhere(DEBATE, text), [everywhere(RUN, text), everywhere(LOST, text)]
    bare = {**the_card(card), "card": None, "proposal": {"rationale": text, "expected": text, "files": [text]}}
    screen += shown(render.card({**bare, "debate": debate, "runs": rows}), 100)
    screen += shown_runs(runs.with_output(rows, lambda digest: text.encode("utf-8", "surrogatepass")))
    assert not {unicodedata.category(c) for c in screen if c not in "\n\t"} & BAD


def test_runs_show_the_end_of_what_was_printed_and_say_what_is_left_out() -> None:
    """Of a long stream the last bytes are shown, with the number of those before them; bytes that are no text too."""
    data = b"first\n" + b"x" * runs.MAX_SHOWN_BYTES + b"\xff\x1b[2Jlast\r\n"
    (row,) = runs.with_output([RUN], lambda digest: data if digest == "text:1" else b"")
    assert row["printed"]["stdout"]["left_out"] == len(data) - runs.MAX_SHOWN_BYTES
    screen = shown_runs([row])
    assert "\\xff\\u{001b}[2Jlast\n" in screen
    assert "first" not in screen
    assert f"the last {runs.MAX_SHOWN_BYTES} bytes; {row['printed']['stdout']['left_out']} before them" in screen
    assert "-- stderr: empty" in screen
    assert "it printed more than is kept" in screen


def test_runs_that_ended_well_or_cannot_be_read_print_nothing() -> None:
    """Output is asked of the store for the telling runs only; where that fails, the others are shown all the same."""

    def gone(digest: str) -> bytes:
        raise NotFound("not-stored", "the store-why")

    well = {**RUN, "well": True, "telling": False}
    assert [("printed" in row) for row in runs.with_output([well, LOST, RUN], gone)] == [False, False, True]
    assert "cannot be read: the store-why" in shown_runs(runs.with_output([RUN], gone))
    assert "every run ended well" in shown_runs([well])
    assert "no run was made" in shown_runs([])


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[link=http://a]x[/link]", ":smile:", "[/]"])
def test_screen_shows_markup_as_it_is_written(text: str) -> None:
    """Text in brackets is text."""
    assert text in shown(render.board([{**ROW, "summary": text}]))
    assert text in shown(render.card(the_card({**CARD, "summary": text})))


@pytest.mark.parametrize("length", [79, 500, 5000])
def test_diff_is_shown_whole(length: int) -> None:
    """Long lines are not cut, wrapped apart or stripped of their blanks."""
    text = f"@@ -1 +1 @@\n-{'a ' * length}\n+{'b ' * length}  \n"
    assert shown(render.diff(text)).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ({"is": "passed"}, Exit.OK),
        ({"is": "held", "rule": "needs-approval"}, Exit.HELD),
        ({"is": "refused", "rule": "no"}, Exit.REFUSED),
        ({"is": "held", "rule": "stopped"}, Exit.STOPPED),
        ({"is": "refused", "rule": "stopped"}, Exit.STOPPED),
    ],
)
def test_exit_codes_of_verdicts(verdict: dict[str, str], code: Exit) -> None:
    """A verdict's exit code is the table's."""
    assert output.exit_of(verdict) is code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unusable("a", "b"), Exit.USAGE),
        (NotFound("a", "b"), Exit.NOT_FOUND),
        (Unreachable("a", "b"), Exit.UNREACHABLE),
        (Tampered("a", "b"), Exit.TAMPERED),
        (Bug("a", "b"), Exit.BUG),
    ],
)
def test_report_says_reference_place_and_remedy(error: GreenroomError, code: Exit, capsys: Any) -> None:
    """On stderr for a person; with --json also one document on stdout; the code is the error's."""
    error.where, error.remedy = "here\x1b", "do this"
    assert output.report(error, as_json=False) is code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "greenroom: b [a]\n  where:  here\\u{001b}\n  remedy: do this\n"
    assert output.report(error, as_json=True) is code
    body = json.loads(capsys.readouterr().out)["error"]
    assert body == {"reference": "a", "message": "b", "where": "here\x1b", "remedy": "do this", "exit": int(code)}


def test_json_is_ascii(capsys: Any) -> None:
    """What is not ASCII is escaped, so that no terminal is told anything."""
    output.print_json({"text": "\u202e\x1b\u00e9"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out) == {"text": "\u202e\x1b\u00e9"}


def test_consent_needs_a_terminal_or_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without either it is unusable, never a yes; a passphrase is asked at a terminal only."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert consent.ask("?", yes=True, no_input=True)
    for no_input in (True, False):
        with pytest.raises(Unusable) as caught:
            consent.ask("?", yes=False, no_input=no_input)
        assert caught.value.reference == "no-terminal"
    with pytest.raises(Unusable) as locked:
        consent.passphrase("to approve")
    assert locked.value.reference == "owner-key-locked"


def test_progress_says_what_a_person_needs() -> None:
    """One line an event, safe; intents and the unknown are silent."""
    held = {"is": "held", "rule": "needs-approval", "where": "", "remedy": ""}
    stage = {"event": "stage", "change": "k3", "stage": "approve", "phase": "result", "verdict": held}
    assert render.progress(stage) == "  k3  approve   held: needs-approval"
    assert render.progress({**stage, "phase": "intent"}) is None
    assert render.progress({"event": "else"}) is None
    line = render.progress({"event": "import", "subject": "workspace:/r\x1b"})
    assert line is not None
    assert "\x1b" not in line
