"""Requests in words on a real box: the plan first, then the work, then what is told of it in the morning."""

from __future__ import annotations

import json
import subprocess

import pytest
from e2e_box import House, commit, write

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
REPOSITORY = {
    "words.py": '"""Words."""\n\nimport os\nimport sys\n\n\ndef f():\n    return sys.maxsize\n',
    "tests/test_words.py": (
        "import pytest\n\nfrom words import f\n\n\ndef test_f():\n    assert f() > 1\n\n\n"
        "def test_later():\n    pytest.skip('later')\n"
    ),
}


def head(place: object) -> str:
    return subprocess.run(["git", "-C", str(place), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def test_e2e_from_words_to_results(house: House) -> None:
    """Tests run on the tree as it stands; lint is mended through the gate and taken back; the briefing has all of it.

    Nothing happens before the yes; what is asked for in words waits for the same yes as the commands' own results.
    """
    place = house.repository("asked", REPOSITORY)
    first = head(place)

    # Nothing is run, taken in or logged before a person agrees.
    shown = house.json("ask", f"could you fix the lint in {place}, please")
    assert shown.code == 4, shown
    assert shown.said["rule"] == "not-confirmed"
    tools = {tool["name"] for step in shown.data["plan"]["steps"] for tool in step["tools"]}
    assert {"import_git_t1", "codegen_t0", "run_tests_t1"} <= tools
    assert str(place) not in json.dumps(house.ok("status")["live"])

    # The tests of a tree that the box has not adopted, and does not by that.
    ran = house.ok("ask", f"run the tests of {place}", "--yes")
    assert ran["counts"] == {"passed": 1, "skipped": 1}
    assert ran["framework"] == "pytest"
    assert str(place) not in json.dumps(house.ok("status")["live"])

    # The same card, the same yes, as after `greenroom improve --only ruff`.
    found = house.ok("ask", f"fix the lint in {place}", "--yes")
    (row,) = found["changes"]
    assert row["rule"] == "ruff:F401"
    assert row["held"]["rule"] == "needs-approval"
    assert head(place) == first
    change = row["id"]
    house.ok("approve", change, "--yes")
    assert "import os" not in (place / "words.py").read_text()

    # Of all repositories of the box, it was the last one to go live.
    assert house.ok("ask", "undo the last change", "--dry-run")["plan"]["args"] == {"change": change}

    # Taken back by the words, where they name the repository.
    back = house.ok("ask", f"revert the last change of {place}", "--yes")
    assert (back["id"], back["state"]) == (change, "reverted")
    assert (place / "words.py").read_text() == REPOSITORY["words.py"]
    assert house.json("ask", f"undo the last change of {place}", "--yes").said["rule"] == "nothing-to-revert"

    # A failing suite is told with the names, and is an answer, not an error.
    write(place, {"tests/test_words.py": "from words import f\n\n\ndef test_f():\n    assert f() < 1\n"})
    commit(place, "broken")
    failed = house.json("ask", f"do the tests of {place} pass?", "--yes")
    assert failed.code == 3
    assert failed.said["rule"] == "tests-failed"
    assert failed.data["failing"] == ["tests/test_words.py::test_f"]

    _briefed(house, change, str(place))
    house.log_is_whole()


def _briefed(house: House, change: str, place: str) -> None:
    """Everything stands in the briefing, from files alone: the processes are down."""
    house.run("down")
    state, page = house.home / "STATE.json", house.home / "briefing.html"
    assert house.run("briefing", "--since", "1d", "--state", str(state), "--html", str(page)).code == 0
    found = json.loads(state.read_text())
    assert change in [item["change"] for item in found["promoted"]]
    assert change in [item["change"] for item in found["reverted"]]
    assert {"tests", "fix", "revert"} <= {each["what"] for each in found["requests"]}
    assert {"passed", "tests-failed"} <= {each["what"] for each in found["tests"]}
    assert found["spent"]["lines"] >= 1
    assert change in page.read_text()
    assert house.ok("ask", "what happened today")["briefing"]["schema"] == found["schema"]
    assert house.json("ask", f"fix the link in {place}").data["nearest"] == [f"fix the lint in {place}"]
