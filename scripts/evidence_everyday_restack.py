"""Ten changes of one base, promoted one after the other; the third of five taken back both ways. Prints Markdown.

A repository of its own in a throw-away box, the built-in proposers, the real command line. In between the person
commits work of their own, and writes over what one of the changes mends. Exits non-zero where live, the branch or the
log are not what they should be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GREENROOM = str(Path(sys.executable).parent / "greenroom")
PROPOSERS = ("ruff", "codespell", "modernise", "unused", "strings")
PARTS = {
    "head": '"""A small shop."""\n\nimport os\nimport sys\n\n\n',
    "f-string": 'def greeting():\n    """Say hello."""\n    words = f"hello"\n    return words\n\n\n',
    "semicolon": 'def total(prices):\n    """Sum of the prices."""\n    found = sum(prices);\n    return found\n\n\n',
    "membership": 'def missing(name, names):\n    """True when it is not there."""\n    return not name in names\n\n\n',
    "identity": 'def given(value):\n    """True for any value."""\n    return not value is None\n\n\n',
    "literal": 'def empty(text):\n    """True for no text."""\n    return text is ""\n\n\n',
    "class": 'class Shelf(object):\n    """Where things stand."""\n\n    size = 3\n\n\n',
    "placeholder": 'def later():\n    """Nothing yet."""\n    size = 3\n    pass\n    return size\n\n\n',
    "return": 'def tell(out):\n    """Write to out."""\n    out.append(1)\n    return None\n\n\n',
    "typo": 'def price(value):\n    """The price, as we recieve it."""\n    return value\n\n\n',
    "string": 'def fail():\n    """Always fails."""\n    raise ValueError("could not seperate the parts")\n\n\n',
    "end": 'def here():\n    """The directory."""\n    return sys.argv[:1]\n',
}
MORE = (
    '\n\n# More.\ndef one():\n    """More."""\n    return f"x"\n',
    '\n\n# More.\ndef two():\n    """More."""\n    return "x" is "y"\n',
    '\n\n# More.\ndef three():\n    """More."""\n    return [0][0];\n',
    '\n\n# More.\ndef four():\n    """More."""\n    return not one is None\n',
    '\n\n# More.\ndef five(value):\n    """What we recieve."""\n    return value\n',
)
TESTS = (
    "import shop\n\n\ndef test_greeting():\n    assert shop.greeting() == 'hello'\n\n\n"
    "def test_total():\n    assert shop.total([1, 2]) == 3\n\n\n"
    "def test_missing():\n    assert shop.missing('a', 'b')\n\n\ndef test_given():\n    assert shop.given(1)\n"
)
PROJECT = (
    '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.9"\n\n'
    '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
)
WANTED = 10
Row = tuple[str, ...]


def main() -> int:
    """Print both tables; 0 when everything was as it should be."""
    with tempfile.TemporaryDirectory(prefix="greenroom-restack-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the sandbox user passes through, and reads nothing
        os.environ["GREENROOM_HOME"] = str(Path(scratch) / "box")
        greenroom("init", "--no-input")
        try:
            return story(Path(scratch) / "shop")
        finally:
            subprocess.run([GREENROOM, "down"], check=False)


def story(place: Path) -> int:
    """The whole run in one repository."""
    repository(place)
    began = time.monotonic()
    found = greenroom("improve", str(place), "--max", "20", *(word for name in PROPOSERS for word in ("--only", name)))
    waiting = [row["id"] for row in found["changes"] if (row["held"] or {}).get("rule") == "needs-approval"]
    print(f"{len(found['changes'])} changes of one base proposed, {len(waiting)} wait for approval, ", end="")
    print(f"in {time.monotonic() - began:.0f} s\n")
    if len(waiting) < WANTED + 1:
        return 1
    conflicting = next(row["id"] for row in found["changes"] if row["rule"] == "ruff:E713")
    chosen = [change for change in waiting if change != conflicting][:WANTED]
    later = chosen[5:7]
    for change in later:
        greenroom("approve", change, "--yes", "--no-promote")
    rows: list[Row] = []
    for number, change in enumerate(chosen, 1):
        if number in (4, 8):
            rows.append(own_commit(place, number))
        rows.append(promoted(place, number, change, later))
    rows.append(conflict(place, conflicting))
    table(("", "change", "rule", "how", "goes on as", "seconds", "state", "branch has it"), rows)
    kept = [row[4].removeprefix("itself ").strip() for row in rows if row[0].isdigit()]
    taken = both_ways(place, kept[-5:])
    checked = greenroom("log", "check")
    print(f"\n`greenroom log check`: {'ok' if checked['ok'] else 'NOT OK'}, {checked['size']} entries")
    good = all("NO" not in cell for row in (*rows, *taken) for cell in row) and checked["ok"]
    return 0 if good and len(kept) == WANTED else 1


def promoted(place: Path, number: int, change: str, later: list[str]) -> Row:
    """Approve a change, or promote it by the yes that was given before; its row."""
    before, began = greenroom("list", "--all")["changes"], time.monotonic()
    rule = next(row["rule"] for row in before if row["id"] == change)
    words = ("promote", change) if change in later else ("approve", change, "--yes")
    row = greenroom(*words)
    seconds = time.monotonic() - began
    consent = ((row.get("restacked") or {}).get("consent") or {}).get("is")
    how = f"`{words[0]}`" + (", the earlier yes carried" if consent == "passed" else "")
    if row["id"] == change:
        return (
            str(number),
            change,
            rule,
            how,
            f"itself {change}",
            f"{seconds:.0f}",
            row["state"],
            delivered(place, row),
        )
    return (str(number), change, rule, how, row["id"], f"{seconds:.0f}", row["state"], delivered(place, row))


def own_commit(place: Path, number: int) -> Row:
    """The person commits above and below what waits, and takes it in."""
    path = place / "shop.py"
    path.write_text(f"# Note {number} of the owner.\n{path.read_text()}\n\nNOTE_{number} = {number}\n")
    git(place, "commit", "-qam", f"My own work, {number}")
    began = time.monotonic()
    found = greenroom("improve", str(place), "--only", "data")
    held = [row for row in greenroom("list")["changes"] if (row["held"] or {}).get("rule") == "base-moved"]
    live = greenroom("status")["live"][found["subject"]] == found["live"]
    return (
        "",
        "the person's own commit",
        "",
        "`improve`",
        f"{len(held)} wait as base-moved",
        f"{time.monotonic() - began:.0f}",
        "adopted",
        "yes" if live else "NO",
    )


def conflict(place: Path, change: str) -> Row:
    """The person writes over the very lines; the change is held with both sides."""
    path = place / "shop.py"
    path.write_text(path.read_text().replace("    return not name in names\n", "    return names.count(name) == 0\n"))
    git(place, "commit", "-qam", "My own way")
    greenroom("improve", str(place), "--only", "data")
    began = time.monotonic()
    row = greenroom("approve", change, "--yes")
    (found,) = greenroom("diff", change)["conflicts"]
    sides = "not name in names" in str(found["base"]) and "names.count" in str(found["theirs"])
    state = f"held: {row['verdict']['rule']}" if sides else "NO sides"
    return (
        "",
        change,
        "ruff:E713",
        "`approve`",
        row["verdict"]["where"],
        f"{time.monotonic() - began:.0f}",
        state,
        "unmoved",
    )


def both_ways(place: Path, five: list[str]) -> list[Row]:
    """The third of five: undone by a change, then all after it taken back."""
    rows: list[Row] = []
    third = five[2]
    refused = greenroom("revert", third)
    rows.append(
        (f"`revert {third}`", refused["verdict"]["rule"], "; ".join(offer["line"] for offer in refused["offers"]))
    )
    undo = greenroom("revert", third, "--as-change")
    rows.append((f"`revert {third} --as-change`", f"{undo['state']}, {undo['held']['rule']}", undo["id"]))
    before = (place / "shop.py").read_text()
    kept = greenroom("approve", undo["id"], "--yes")
    after = (place / "shop.py").read_text()
    rows.append(
        (
            f"`approve {undo['id']}`",
            kept["state"],
            "one change taken back in the branch" if before != after else "NO change",
        )
    )
    above = greenroom("revert", third, "--all-after")
    said = (
        above["verdict"]["rule"] if above["verdict"]["is"] != "passed" else f"took back {', '.join(above['reverted'])}"
    )
    rows.append((f"`revert {third} --all-after`, over own commits", above["verdict"]["is"], said))
    rows += all_after(place)
    print()
    table(("command", "answer", "and"), rows)
    return rows


def all_after(place: Path) -> list[Row]:
    """Five more changes, and the third of them taken back with all after it."""
    path = place / "shop.py"
    path.write_text(path.read_text() + "".join(MORE))
    git(place, "commit", "-qam", "Five more")
    found = greenroom("improve", str(place), "--max", "20", *(word for name in PROPOSERS for word in ("--only", name)))
    waiting = [row["id"] for row in found["changes"] if (row["held"] or {}).get("rule") == "needs-approval"]
    texts, kept = [path.read_text()], []
    for change in waiting[:5]:
        kept.append(greenroom("approve", change, "--yes")["id"])
        texts.append(path.read_text())
    answer = greenroom("revert", kept[2], "--all-after")
    same = len(kept) == 5 and path.read_text() == texts[2] != texts[3]
    said = "the branch is as it was after the second" if same else "NO: the branch differs"
    taken = ", ".join(answer["reverted"])
    words = f"`revert {kept[2]} --all-after`, the third of five"
    return [(words, answer["verdict"]["is"], f"took back {taken}; {said}")]


def repository(place: Path) -> None:
    """A git repository with one commit."""
    (place / "tests").mkdir(parents=True)
    (place / "shop.py").write_text("".join(f"# The {name}.\n{text}" for name, text in PARTS.items()))
    (place / "tests" / "test_shop.py").write_text(TESTS)
    (place / "pyproject.toml").write_text(PROJECT)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "The shop")


def delivered(place: Path, row: dict[str, Any]) -> str:
    """Whether the person's branch stands at what is live."""
    head = git(place, "rev-parse", "HEAD")
    return "yes" if row.get("commit") == head else f"NO: {row['verdict'].get('rule', '')}"


def git(place: Path, *words: str) -> str:
    """Plain git, as the person runs it."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def greenroom(*words: str) -> dict[str, Any]:
    """Run a command and read its JSON."""
    done = subprocess.run([GREENROOM, *words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 3, 4):
        log = Path(os.environ["GREENROOM_HOME"]) / "run" / "processes.log"
        print(log.read_text()[-4000:], file=sys.stderr)
        raise SystemExit(f"greenroom {' '.join(words)} ended with {done.returncode}: {done.stdout.decode()[:500]}")
    plain: dict[str, Any] = json.loads(done.stdout)
    return plain


def table(names: Row, rows: list[Row]) -> None:
    """A Markdown table."""
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
