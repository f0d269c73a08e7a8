"""Standing consent on a real box: a window from the command line, a cancel, and logic that is verified twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from e2e_box import CALM, House, git

from greenroom.policy.constitution import default_text

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

REPOSITORY: Mapping[str, str] = {
    **CALM,
    "pyproject.toml": CALM["pyproject.toml"].replace('version = "1"', 'version = "1"\nrequires-python = ">=3.9"'),
    "guide.md": "# Guide\n\nThe adress of it.\n",
    "spare.py": '"""Spare."""\n\nimport os\nimport sys\n\nPATH = sys.path\n',
    "number.py": '"""Numbers."""\n\n\nclass Number:\n    """A number."""\n\n    pass\n',
}


@pytest.fixture
def short(house: House, tmp_path: Path) -> Iterator[House]:
    """The box with windows of ten seconds; afterwards it asks a person again."""
    for name, seconds in (("short", b"10"), ("usual", b"3600")):
        text = default_text().replace(b"apply_window_seconds: 3600", b"apply_window_seconds: " + seconds)
        (tmp_path / name).write_bytes(text)
    house.ok("constitution", "edit", str(tmp_path / "short"))
    yield house
    for rule in ("codespell", "ruff:F401"):
        house.run("opt-in", "remove", rule)
    house.ok("mode", "propose")
    house.ok("constitution", "edit", str(tmp_path / "usual"))


def test_e2e_standing_consent(short: House) -> None:
    """Of two low changes one is cancelled, one applied and delivered; logic goes by two verifies; all is logged."""
    house, place = short, short.repository("standing", REPOSITORY)
    house.ok("mode", "supervised")
    for rule in ("codespell", "ruff:F401"):
        house.ok("opt-in", "add", rule, "--repo", str(place), "--expires", "1d")
    first, second = house.ok("improve", str(place), "--only", "codespell", "--only", "ruff")["changes"]
    for row in (first, second):
        assert (row["state"], row["held"], row["level"]) == ("approved", None, 1)
        assert row["window"]
    assert [each["change"] for each in house.ok("status")["windows"]] == [first["id"], second["id"]]
    assert house.json("cancel", first["id"]).data["held"]["rule"] == "needs-approval"
    house.run("down")
    (applied,) = house.ok("resume", "--wait")["resumed"]
    assert (applied["id"], applied["state"]) == (second["id"], "kept")
    assert "import os" not in (place / "spare.py").read_text()
    assert "adress" in (place / "guide.md").read_text()

    house.ok("mode", "autonomous")
    (logic,) = house.ok("improve", str(place), "--only", "unused")["changes"]
    assert (logic["state"], logic["level"]) == ("kept", 2)
    assert "pass" not in (place / "number.py").read_text()
    assert git(place, "rev-list", "--count", "HEAD").strip() == "3"

    promoted = {entry["change"]: entry["digests"] for entry in house.logged("live.promoted")}
    assert "opt-in" in promoted[second["id"]]
    assert not any(name.startswith("consent") for each in (second, logic) for name in promoted[each["id"]])
    assert [entry["change"] for entry in house.logged("window.applied")][-1:] == [second["id"]]
    assert [entry["change"] for entry in house.logged("window.cancelled")][-1:] == [first["id"]]
    house.log_is_whole()
