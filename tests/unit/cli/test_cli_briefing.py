"""`greenroom briefing` over a house in memory: as text, as a page, as STATE.json."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_cli_commands import EVIL, Door, door

from greenroom.domain.errors import Exit
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

__all__ = ["door"]


def test_cli_briefing_tells_what_happened_and_what_needs_a_person(door: Door) -> None:
    """What waits comes with the command to type; what was promoted and taken back says when and by whom."""
    change = door.waiting()
    assert door("briefing") == Exit.OK
    assert f"greenroom approve {change}" in door.out
    assert door("approve", change, "--yes") == Exit.OK
    assert door("revert", change) == Exit.OK
    found = door.json("briefing", "--since", "today")
    assert door.code == Exit.OK
    assert found["counts"] == {"adopted": 1, "changes": 1, "held": 0, "promoted": 1, "refused": 0, "reverted": 1}
    assert found["promoted"][0]["change"] == found["reverted"][0]["change"] == change
    assert found["reverted"][0]["by"].startswith("person:")
    assert found["needs"] == []
    assert (found["spent"]["lines"], found["spent"]["money_micro"]) == (2, 0)
    assert found["spent"]["runs"] > 0
    assert door("briefing") == Exit.OK
    assert "nothing needs you" in door.out


def test_cli_briefing_tells_what_was_refused_with_rule_and_remedy(door: Door) -> None:
    """A change whose own tests fail is ended by verify."""
    door.house.checks["tests"] = "fail"
    assert door("improve", door.repo) == Exit.REFUSED
    (item,) = door.json("briefing")["refused"]
    assert (item["by"], item["rule"]) == ("verify", "test-broken")
    assert item["where"]
    assert item["remedy"]


def test_cli_briefing_under_a_stop_names_the_way_out_first(door: Door) -> None:
    """`greenroom lift` stands before all else."""
    door.waiting()
    door.house.stop()
    found = door.json("briefing")
    assert found["stopped"] is True
    assert [need["command"].split()[1] for need in found["needs"]] == ["lift", "approve"]


def test_cli_briefing_of_another_time_leaves_out_what_was_not_then(door: Door) -> None:
    """What waits is told as of now; what happened only where it happened in the span."""
    change = door.waiting()
    assert door("approve", change, "--yes") == Exit.OK
    door.house.clock.advance(3 * 86_400)
    found = door.json("briefing", "--since", "24h")
    assert (found["counts"]["changes"], found["promoted"]) == (0, [])
    assert len(door.json("briefing", "--since", "4d")["promoted"]) == 1
    assert door.json("briefing", "--since", "4d", "--until", "2d")["counts"]["promoted"] == 1
    assert door.json("briefing", "--since", "2d", "--until", "1d")["counts"]["promoted"] == 0


class Page(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]


def test_cli_briefing_as_a_page_asks_for_nothing_and_shows_all_text_as_text(door: Door, tmp_path: Path) -> None:
    """One file without a link, a script or a picture; what a repository says is escaped, also what cannot be seen."""
    summary = f"<script>alert(1)</script><img src=x onerror=y> & \"'{EVIL}"
    door.house.findings = [Finding(path="README.md", old=b"teh", new=b"the", summary=summary)]
    door.waiting()
    target = tmp_path / "b.html"
    assert door("briefing", "--html", str(target)) == Exit.OK
    text = target.read_text()
    page = Page()
    page.feed(text)
    assert set(page.tags) <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "table",
        "tr",
        "td",
        "code",
    }
    assert page.links == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not re.search(r"url\(|@import|https?://", text)
    assert "default-src 'none'" in text
    assert not set(EVIL) & set(text) - set("[31mredgnirts")
    assert door("briefing") == Exit.OK
    assert "\x1b" not in door.out


def test_cli_briefing_writes_state_json_whole_and_the_same_as_json(door: Door, tmp_path: Path) -> None:
    """The file is what --json prints; one that is there is replaced; one that cannot be written is named."""
    door.waiting()
    target = tmp_path / "STATE.json"
    target.write_text("old")
    found = door.json("briefing", "--state", str(target))
    assert json.loads(target.read_text()) == found
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".STATE")] == []
    assert door("briefing", "--state", str(tmp_path / "no" / "STATE.json")) == Exit.USAGE
    assert "bad-file" in door.err


@pytest.mark.parametrize("words", [("--since", "tomorrow"), ("--since", "1h", "--until", "1d"), ("--until", "nope")])
def test_cli_briefing_names_a_time_that_is_none(door: Door, words: tuple[str, ...]) -> None:
    """2 and `bad-span`."""
    assert door("briefing", *words) == Exit.USAGE
    assert "bad-span" in door.err
