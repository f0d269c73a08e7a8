"""The recording in the README: an asciicast that players read, and the picture that is drawn from it."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAST = ROOT / "docs" / "recording.cast"
SVG = ROOT / "docs" / "recording.svg"
LARGEST = 300_000
NAMESPACE = "{http://www.w3.org/2000/svg}"


def script(name: str) -> ModuleType:
    """A script of the project as a module, found by the others by its name."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def cast(*events: tuple[float, str], **header: Any) -> str:
    """A small asciicast of 20 by 3."""
    head = {"version": 2, "width": 20, "height": 3, "idle_time_limit": 1.5, "title": "a < b", **header}
    return "".join(json.dumps(line) + "\n" for line in [head, *([at, "o", text] for at, text in events)])


def test_the_cast_is_an_asciicast_of_version_2() -> None:
    """A header with the size, then printed text at times that rise."""
    header, *events = (json.loads(line) for line in CAST.read_text().splitlines())
    assert header["version"] == 2
    assert header["width"] > 80
    assert header["height"] >= 24
    assert {kind for _, kind, _ in events} == {"o"}
    times = [at for at, _, _ in events]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))


def test_the_cast_shows_the_whole_way_of_a_change() -> None:
    """init, improve, show, approve, revert and log check were typed, and the product answered."""
    printed = "".join(json.loads(line)[2] for line in CAST.read_text().splitlines()[1:])
    place = 0
    for words in (
        "greenroom init",
        "owner key: protected by a passphrase",
        "greenroom improve . --max 2",
        "wait for approval; live is unchanged",
        "greenroom show",
        "who must agree",
        "greenroom approve",
        "Approve this change?",
        "delivered to your branch",
        "greenroom revert",
        "is reverted",
        "greenroom log check",
        "log: whole",
    ):
        place = printed.index(words, place)


@pytest.mark.parametrize("file", [CAST, SVG], ids=lambda path: path.name)
def test_the_recording_names_no_place_and_no_user_of_the_machine_that_made_it(file: Path) -> None:
    """No home, no temporary directory, no checkout, no user at a host; the sandbox's own places are the product's."""
    whole = file.read_text()
    assert re.findall(r"/(?:work|root|opt|home|srv|mnt|var|Users|tmp/)[^\s,<\"]*", whole) == []
    assert re.findall(r"\w@\w+", whole) == []


def test_the_picture_is_the_cast_drawn() -> None:
    """Nothing in the picture was made by hand: drawing the cast gives it byte for byte."""
    assert script("cast_svg").draw(CAST.read_text()) == SVG.read_text()


def test_the_picture_is_plain_svg_that_asks_nobody_for_anything() -> None:
    """Well-formed, small, titled; no script, no handler, no reference, and text as text."""
    assert SVG.stat().st_size < LARGEST
    root = ElementTree.parse(SVG).getroot()
    elements = list(root.iter())
    assert {element.tag for element in elements} <= {
        NAMESPACE + tag for tag in ("svg", "title", "style", "rect", "g", "text")
    }
    assert root[0].tag == NAMESPACE + "title"
    assert root[0].text
    names = {name for element in elements for name in element.attrib}
    assert not [name for name in names if "href" in name or name.startswith("on")]
    style = next(element.text or "" for element in elements if element.tag == NAMESPACE + "style")
    assert not re.search(r"url\(|@import|@font-face", style)


def test_who_wants_no_animation_sees_the_last_screen() -> None:
    """Animations are for those who want any only; what was overwritten is hidden without them."""
    drawn = script("cast_svg").draw(cast((0.0, "one"), (1.0, "\r\x1b[Ktwo"), (2.0, "\r\n3\r\n4\r\n5")))
    plain, wanted, animated = drawn.partition("@media (prefers-reduced-motion:no-preference)")
    assert wanted
    assert "animation" not in plain
    assert "@keyframes" in animated
    hidden = re.findall(r'<g class="k o k\d+"><text[^>]*>([^<]*)<', drawn)
    staying = re.findall(r'<g class="k k\d+">(.*?)</g>', drawn)
    assert hidden == ["one"]
    assert re.findall(r">([^<]+)</text>", "".join(staying)) == ["two", "3", "4", "5"]
    assert ".s{transform:translate(0px,-18px)}" in plain


def test_a_long_wait_is_shortened_in_the_picture() -> None:
    """A minute between two lines is drawn as the limit that the header gives."""
    frames = list(
        script("cast_svg").screens(
            {"width": 9, "height": 2, "idle_time_limit": 1.5}, [[0.5, "o", "a"], [60.5, "o", "b"]]
        )
    )
    assert [frame.at for frame in frames] == [0.0, 0.5, 2.0]


def test_the_home_is_shown_as_a_tilde_and_columns_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the path was printed in two parts, and in a table."""
    script("cast_svg")
    events = [(0.0, "at /tmp/gree"), (1.0, "nroom-x/box\r\n"), (2.0, "| /tmp/greenroom-x/a   |")]
    shown = list(script("recording").shortened(events, "/tmp/greenroom-x"))
    assert shown == [(0.0, "at ~/box"), (1.0, "\r\n"), (2.0, "| ~/a" + " " * 18 + "|")]
    assert len(shown[2][1]) == len(events[2][1])


def test_a_word_of_the_machine_stops_the_recording(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path that was not replaced is never written."""
    script("cast_svg")
    monkeypatch.setattr(script("recording"), "CAST", tmp_path / "cast")
    with pytest.raises(SystemExit, match="of this machine"):
        script("recording").write([(0.0, "in /tmp/greenroom-x")], forbidden=("greenroom-x",))
    assert not (tmp_path / "cast").exists()
