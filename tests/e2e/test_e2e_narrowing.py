"""A `greenroom.toml` that comes with the person's own commit, in a real box: what waits stays within it."""

from __future__ import annotations

import pytest
from e2e_box import House, commit

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

COMMAND = 'test-command = "python -m pytest -q tests"\n'


def test_e2e_a_settings_file_that_comes_with_a_base_holds_for_what_waits(house: House) -> None:
    """An unsigned test command, a cap, an author and a denied path: each keeps a change of an earlier base back."""
    place = house.repository("narrow")
    house.take_in(place)
    change = house.good(place)["id"]
    house.wish()
    (place / "greenroom.toml").write_text(f'{COMMAND}[caps]\nlines = 1\n[commit]\nauthor = "Ada <ada@example.org>"\n')
    commit(place, "settings")
    held = house.json("improve", str(place), "--only", "wished", "--no-input")
    assert held.said["rule"] == "test-command-not-allowed", held
    with house.unmoved(place):
        answer = house.json("approve", change, "--yes")
        assert (answer.code, answer.said["rule"]) == (4, "test-command-not-allowed")
        again = house.json("resume", change)
        assert again.data["resumed"][0]["verdict"]["rule"] == "test-command-not-allowed"
    house.ok("config", "approve", str(place), "--yes")
    house.take_in(place)
    with house.unmoved(place):
        answer = house.json("approve", change, "--yes")
        assert (answer.code, answer.said["rule"]) == (4, "day-cap-lines"), answer
        assert "greenroom.toml" in answer.said["remedy"]
    child = answer.data["id"]
    shown = house.ok("show", child)["card"]["environment"]
    assert (shown["commit author"], shown["day caps"]) == ("Ada <ada@example.org>", "lines 1")
    (place / "greenroom.toml").write_text(f'{COMMAND}[paths]\ndeny = ["README.md"]\n')
    commit(place, "other settings")
    house.take_in(place)
    with house.unmoved(place):
        answer = house.json("approve", child, "--yes")
        assert (answer.code, answer.said["rule"]) == (4, "outside-paths"), answer
        assert "README.md" in answer.said["where"]
    (place / "greenroom.toml").write_text(COMMAND)
    commit(place, "settings that let it")
    house.take_in(place)
    assert house.ok("approve", child, "--yes")["state"] == "kept"
    assert "small and calm" in (place / "README.md").read_text()
