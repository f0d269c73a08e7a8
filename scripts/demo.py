"""The demo: the main job on a real repository, in a throw-away box with a throw-away key.

It fetches a pinned source release of a real package (or takes the sample that ships with the project when there is
no network), looks for findings, carries them through the gate, shows the card of each, promotes one, reverts it, and
checks the log.
At a terminal you approve; without one the demo's own key does, and that is what the log says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from greenroom.brokers.release import fetch_release
from greenroom.domain.errors import GreenroomError

ROOT = Path(__file__).resolve().parent.parent
GREENROOM = str(Path(sys.executable).parent / "greenroom")
PACKAGE = ("dictdiffer", "0.9.0", "17bacf5fbfe613ccf1b6d512bd766e6b21fb798822a133aa86098b8ac9997578")
SCRIPT = "demo script"
AT_TERMINAL = sys.stdin.isatty() and sys.stdout.isatty()


def main() -> int:
    """Run the demo; 0 when every step did what it should."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="greenroom-demo-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the sandbox user passes through, and reads nothing
        os.environ["GREENROOM_HOME"] = str(Path(scratch) / "box")
        try:
            return run(Path(scratch), began)
        finally:
            command("down", quiet=True)


def run(scratch: Path, began: float) -> int:
    """The steps, each a command that a person could type."""
    source, what = subject(scratch)
    say(f"1. A throw-away box, and a repository: {what}")
    command("init", "--no-input")
    say("2. Look for findings, and carry each through plan, debate, simulate and verify")
    found = answer("improve", str(source))
    command("list", "--all")
    for row in found["changes"]:
        command("show", row["id"])
    waiting = [row for row in found["changes"] if (row["held"] or {}).get("rule") == "needs-approval"]
    refused = [row for row in found["changes"] if row["state"] == "aborted"]
    if not waiting:
        say("Nothing came through the gate; the reasons are in the cards above.")
        return 1
    before = found["live"]
    chosen = min(waiting, key=lambda row: (row["level"], row["risk"]))
    say(f"3. Once more the card of {chosen['id']}, with its diff, and your agreement")
    promoted = approve(chosen["id"])
    if not promoted:
        say("You did not approve, so nothing was changed. That is how it should be.")
        return 0
    say("4. What is live now, and taking it back with one command")
    promoted_live = live()
    command("revert", chosen["id"])
    after = live()
    say("5. The log: every step, signed; whole or not")
    command("log", "check")
    ok = promoted_live == chosen["green"] and after == before
    summary(what, found, waiting, refused, chosen, ok=ok, seconds=time.monotonic() - began)
    return 0 if ok else 1


def subject(scratch: Path) -> tuple[Path, str]:
    """The directory to improve, and what it is."""
    name, version, sha256 = PACKAGE
    try:
        place = fetch_release(name, version, sha256, scratch, environment=os.environ)
    except GreenroomError as error:
        print(f"no source release could be fetched ({error}); the sample that ships with Greenroom is used")
        return repository(scratch), "the sample `tidywords` that ships with Greenroom, as a git repository"
    return place, f"the source release {name} {version} from the package index (sha256 {sha256[:12]}...)"


def repository(scratch: Path) -> Path:
    """The sample as a git repository."""
    place = scratch / "tidywords"
    shutil.copytree(ROOT / "samples" / "tidywords", place)
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place}
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], **quiet)
    subprocess.run(["git", "add", "--all"], **quiet)
    identity = ["-c", "user.name=demo", "-c", "user.email=demo@localhost"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "The sample"], **quiet)
    return place


def approve(change: str) -> bool:
    """Approve at the terminal, or with the demo's own key; True when it was promoted."""
    if AT_TERMINAL:
        command("approve", change, check=False)
    else:
        print("no terminal: approved by the demo script with the demo's own key, not by a person", flush=True)
        command("approve", change, "--yes", "--actor", SCRIPT)
    row = next(row for row in answer("list", "--all")["changes"] if row["id"] == change)
    return bool(row["state"] == "kept")


def live() -> str:
    """The live digest of the only subject."""
    return str(next(iter(answer("status")["live"].values())))


def summary(
    what: str,
    found: dict[str, Any],
    waiting: list[dict[str, Any]],
    refused: list[dict[str, Any]],
    chosen: dict[str, Any],
    *,
    ok: bool,
    seconds: float,
) -> None:
    """What happened, for a person."""
    who = "you" if AT_TERMINAL else "the demo script, not a person"
    print(
        f"""
What happened
  repository   {what}
  found        {len(found["changes"])} small changes worth making
  came through {len(waiting)}; refused by the gate: {len(refused)}
  approved     {chosen["id"]} ({chosen["summary"]}), by {who}
  promoted     it was live for a moment; then one command took it back
  live         {"the same as at the start, byte for byte" if ok else "NOT as at the start: please report this"}
  seconds      {seconds:.0f}

The box was thrown away. Make your own:
  {GREENROOM} init
  {GREENROOM} improve REPO"""
    )


def command(*words: str, check: bool = True, quiet: bool = False) -> None:
    """Run a greenroom command as a person would."""
    if not quiet:
        print(f"$ greenroom {' '.join(words)}", flush=True)
    out = subprocess.DEVNULL if quiet else None
    subprocess.run([GREENROOM, *words], check=check and not quiet, stdout=out, stderr=out)


def answer(*words: str) -> dict[str, Any]:
    """Run a greenroom command and read its JSON; where all was refused or held, that is in it."""
    print(f"$ greenroom {' '.join(words)}", flush=True)
    done = subprocess.run([GREENROOM, *words, "--json"], check=False, stdout=subprocess.PIPE)
    if done.returncode not in (0, 3, 4):
        done.check_returncode()
    plain: dict[str, Any] = json.loads(done.stdout)
    return plain


def say(text: str) -> None:
    """A heading."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
