"""The measure of the secret rules counts what it says that it counts."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
TOKEN = "gh" + "p_" + "R7kQ2mZx9LtVb4NsWc6YhJd8FgPa3EuKo5Ti"
OTHER = "n" + "pm_" + "Q8wErTy1UiOp2AsDf3GhJk4LzXc5VbNm6QwE"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("secrets_recall")


def written(path: Path, *cases: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(case) for case in cases), encoding="utf-8")
    return path


def test_benchmarks_secrets_give_each_fixture_one_answer(measure: Any, tmp_path: Path) -> None:
    """Found, beside, missed, alarm and quiet are counted once each, by kind too."""
    path = written(
        tmp_path / "cases.jsonl",
        {"text": f"x = '{TOKEN}'", "secret": True, "kind": "one"},
        {"text": f"x = '{TOKEN}'\ny = 'hunter'", "secret": True, "kind": "one", "values": ["hunter"]},
        {"text": "y = 'hunter'", "secret": True, "kind": "one"},
        {"text": f"# {OTHER}", "secret": False, "kind": "two"},
        {"text": "nothing of that sort", "secret": False, "kind": "two"},
    )
    found = measure.cases(path)
    assert {answer: found[answer] for answer in measure.ANSWERS} == dict.fromkeys(measure.ANSWERS, 1)
    assert found["by_kind"] == {"one": {"found": 1, "beside": 1, "missed": 1}, "two": {"alarm": 1, "quiet": 1}}


def test_benchmarks_secrets_find_a_part_of_a_value(measure: Any, tmp_path: Path) -> None:
    """A finding that is a part of a value, or has the value in it, is that secret."""
    path = written(
        tmp_path / "cases.jsonl",
        {"text": f"'{TOKEN}'", "secret": True, "values": [f"account:{TOKEN}"]},
        {"text": f"'{TOKEN}'", "secret": True, "values": [TOKEN[4:20]]},
    )
    assert measure.cases(path)["found"] == 2


def test_benchmarks_secrets_count_alarms_by_directory(measure: Any, tmp_path: Path) -> None:
    """Every text file counts, binary ones and links do not, and a place names no secret."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "a.cfg").write_text(f"first\ntoken {TOKEN}\n", encoding="utf-8")
    (tmp_path / "one" / "b.bin").write_bytes(b"\0" + TOKEN.encode())
    (tmp_path / "one" / "link").symlink_to("a.cfg")
    (tmp_path / "two" / "c.py").write_text("x = 1\n", encoding="utf-8")
    one, two = measure.false_alarms([tmp_path / "one", tmp_path / "two"])
    assert (one["name"], one["files"], one["lines"], one["places"]) == ("one", 1, 2, ["a.cfg:2 github-token"])
    assert (two["files"], two["lines"], two["places"]) == (1, 1, [])


def test_benchmarks_secrets_print_json_and_a_table(
    measure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both forms give the made secrets, the directories and the fixtures."""
    path = written(tmp_path / "cases.jsonl", {"text": f"'{TOKEN}'", "secret": True})
    given = ["secrets_recall.py", str(tmp_path), "--count", "1", "--cases", str(path)]
    monkeypatch.setattr("sys.argv", [*given, "--json"])
    measure.main()
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"recall", "false_alarms", "cases"}
    assert result["cases"]["found"] == 1
    monkeypatch.setattr("sys.argv", given)
    measure.main()
    assert "fixtures: found 1, beside 0, missed 0, alarm 0, quiet 0" in capsys.readouterr().out
