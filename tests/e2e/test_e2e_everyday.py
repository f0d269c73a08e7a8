"""`improve` every day on a real box: a look first, a few at a time, Ctrl-C, what is left, patches that git takes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from e2e_box import House, git

from greenroom.domain import documents
from greenroom.domain.proof import Evidence
from greenroom.domain.vocabulary import ChangeId

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
REPOSITORY = {
    "README.md": "# Words\n\nThe libary is smal.\n",
    "a.md": "# One\n\nTo recieve it is easy.\n",
    "b.md": "# Two\n\nTo recieve it is easy, and it seperates it.\n",
    "main.rs": "fn main() {}\n",
    "words.py": "def f():\n    return 1\n",
    "tests/test_words.py": (
        "import time\n\nfrom words import f\n\n\ndef test_f():\n    time.sleep(2)\n    assert f() == 1\n"
    ),
}


def below(place: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and directory: mode, time of change, content; sockets have none."""
    found = {}
    for path in sorted(place.rglob("*")):
        state = path.lstat()
        found[str(path)] = (state.st_mode, state.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


def altered(before: dict[str, tuple[int, int, bytes]], after: dict[str, tuple[int, int, bytes]]) -> list[str]:
    """What came, went or is another."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def suites(house: House, change: str) -> set[str]:
    """The receipts of the runs of base's tests behind a change."""
    found = house.changes.get(ChangeId(change))
    evidence = [documents.decode(Evidence, house.store.get(digest)) for digest in found.evidence]
    (tests,) = [item for item in evidence if item.check == "tests"]
    return set(tests.receipts)


def test_e2e_improve_every_day(house: House) -> None:
    """Nothing is written before it is asked for; base's tests run once for all; nothing is found twice or lost."""
    place = house.repository("everyday", REPOSITORY)
    words = ("improve", str(place), "--only", "codespell")
    house.run("down")
    before = below(house.box.root) | below(place)
    plan = house.ok(*words, "--dry-run")
    assert altered(before, below(house.box.root) | below(place)) == []
    assert plan["box"]["there"]
    assert plan["sandbox"]["available"]

    first = house.ok(*words, "--max", "1")
    (one,) = first["changes"]
    left = [row["id"] for row in first["left"]]
    assert (one["held"]["rule"], len(left)) == ("needs-approval", 2)
    assert [each["language"] for each in first["unread"]] == ["Rust"]
    with house.unmoved(place):
        interrupted = _interrupted(house, *words)
        assert f"under way in the box: {left[0]}" in interrupted
        assert "1 queued for the next" in interrupted
        assert "proposer   files" in interrupted
        house.ok("resume")

        out = house.home / "handed-out"
        last = house.json(*words, "--no-input", "--out", str(out))
        assert last.code == 10, last
        rows = [*last.data["known"], *last.data["changes"]]
        assert {row["id"] for row in rows} == {one["id"], *left}
        assert {row["held"]["rule"] for row in rows} == {"needs-approval"}
        assert last.data["left"] == []

    shared = set.intersection(*(suites(house, row["id"]) for row in rows))
    assert len(shared) == 1, "one run of base's tests stands behind all changes of all three commands"
    clone = house.home / "clone"
    git(house.home, "clone", "-q", str(place), str(clone))
    git(clone, "config", "user.name", "Ada")
    git(clone, "config", "user.email", "ada@example.org")
    for row in rows:
        git(clone, "am", "-q", str(out / f"{row['id']}.patch"))
    assert (clone / "a.md").read_text() == "# One\n\nTo receive it is easy.\n"
    house.log_is_whole()


def _interrupted(house: House, *words: str) -> str:
    """What improve prints when Ctrl-C meets it as it carries a change."""
    with house.started(*words) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if ", 1 of " in line)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (said, out, err)
    assert "nothing is half done" in err
    return out
