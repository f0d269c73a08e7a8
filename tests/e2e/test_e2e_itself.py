"""Greenroom's own repository on a real box: a person agrees to every change of it, whatever the box may do alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from e2e_box import CALM, Evidence, House

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

OWN: Mapping[str, str] = {
    **CALM,
    "pyproject.toml": CALM["pyproject.toml"].replace('"calm"', '"greenroom"'),
    "README.md": "# Greenroom\n\nThe adress of it.\n",
    "scripts/number.py": '"""Numbers."""\n\n\nclass Number:\n    """A number."""\n\n    pass\n',
}


@pytest.fixture
def alone(house: House) -> Iterator[House]:
    """The box in mode autonomous, with an opt-in to codespell; afterwards it asks a person again."""
    house.ok("mode", "autonomous")
    house.ok("opt-in", "add", "codespell")
    yield house
    house.run("opt-in", "remove", "codespell")
    house.ok("mode", "propose")


def test_e2e_greenroom_itself_is_for_a_person(alone: House, evidence: Evidence) -> None:
    """Held at level 3 with the reason on the card; a yes carries it; in an unpacked release it is refused."""
    house, place = alone, alone.repository("itself", OWN)
    words = ("improve", str(place), "--only", "codespell", "--only", "unused")
    rows = house.json(*words).data["changes"]
    assert sorted(row["rule"].partition(":")[0] for row in rows) == ["codespell", "unused"]
    for row in rows:
        assert (row["state"], row["level"], row["held"]["rule"]) == ("verified", 3, "needs-approval")
        assert "level 3" in row["held"]["where"]
    shown = house.run("show", rows[0]["id"]).out
    assert "greenroom-itself: Greenroom itself, by pyproject.toml" in shown
    assert "3 only a person" in shown
    assert house.ok("resume")["resumed"] == []
    assert "adress" in (place / "README.md").read_text()
    assert house.ok("approve", rows[0]["id"], "--yes")["state"] == "kept"

    release = house.home / "src" / "greenroom-1.0"
    for name, text in OWN.items():
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).write_text(text)
    answer = house.json("improve", str(release), "--only", "codespell")
    (change,) = answer.data["changes"]
    assert evidence.add("Greenroom itself, from a release", change["verdict"], answer.code) == "greenroom-itself"
    assert change["verdict"]["where"] == "Greenroom itself, by pyproject.toml"
    house.log_is_whole()
