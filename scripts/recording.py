"""Records docs/recording.cast and draws docs/recording.svg: a real session in a throw-away box.

    python scripts/recording.py

A shell runs in a pseudo-terminal, in a temporary home with a copy of a sample that ships with the project. This script
types the commands, a passphrase, a yes, and the keys of the pager; all else is what the commands printed, at the time
they printed it. The names of the changes are read from there, so they differ from run to run. One thing is replaced:
the path of the temporary home, by `~`. The file is an asciicast of version 2
(https://docs.asciinema.org/manual/asciicast/v2/); its `idle_time_limit` tells players to shorten longer waits.
"""

from __future__ import annotations

import codecs
import fcntl
import itertools
import json
import os
import pty
import re
import secrets
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyte
from cast_svg import draw

ROOT = Path(__file__).resolve().parent.parent
GREENROOM = Path(sys.executable).parent / "greenroom"
CAST = ROOT / "docs" / "recording.cast"
SVG = ROOT / "docs" / "recording.svg"
TITLE = "A session with Greenroom: a finding is proposed, verified, approved, made live, and taken back"
COLUMNS, ROWS = 112, 30
PROMPT = "$ "
KEY_SECONDS = 0.06
READING_SECONDS = 1.5
SETTLED_SECONDS = 0.3
PATIENCE_SECONDS = 300.0

Event = tuple[float, str]
"""Seconds since the beginning, and what was printed."""


def main() -> int:
    """Record the session and draw it; 0 when every command printed what it should."""
    missing = [name for name in ("git", "less") if not shutil.which(name)]
    if missing:
        print(f"recording: install {' and '.join(missing)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
        home = Path(scratch)
        environment = prepare(home)
        terminal = Terminal(home / "tidywords", environment)
        try:
            session(terminal)
        finally:
            terminal.close()
            subprocess.run([GREENROOM, "down"], env=environment, stdout=subprocess.DEVNULL, check=False)
    write(shortened(terminal.printed, str(home)), forbidden=(str(home), home.name, str(ROOT)))
    SVG.write_text(draw(CAST.read_text()))
    print(f"{CAST}\n{SVG}")
    return 0


def session(terminal: Terminal) -> None:
    """What a person types, and what they wait for."""
    passphrase = secrets.token_urlsafe(12) + "\r"
    asked = [("passphrase: ", passphrase), ("once more:  ", passphrase)]
    terminal.run("greenroom init", asked, expect="owner key: protected by a passphrase")
    found = terminal.run("greenroom improve . --max 2", expect="next: greenroom approve ")
    change = re.findall(r"next: greenroom approve (\w+)", found)[-1]
    terminal.run(f"greenroom show {change} | less", [(":", " "), (":", "q")], expect="who must agree")
    yes = [("[y/N] ", "y\r"), ("passphrase of the owner's key: ", passphrase)]
    terminal.run(f"greenroom approve {change}", yes, expect="delivered to your branch")
    terminal.run("git log --oneline", expect="Mend typo")
    terminal.run(f"greenroom revert {change}", expect="is reverted")
    terminal.run("git log --oneline", expect=f"Revert {change}")
    terminal.run("greenroom log check", expect="log: whole")


class Terminal:
    """A shell in a pseudo-terminal of fixed size, and all that was printed there, with the times."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.printed: list[Event] = []
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._began = time.monotonic()
        self._child, self._fd = pty.fork()
        if self._child == 0:
            os.chdir(place)
            os.execve("/bin/sh", ["sh", "-i"], environment)  # noqa: S606 - the shell is what is recorded
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._wait(PROMPT)

    def run(self, command: str, answers: Iterable[tuple[str, str]] = (), *, expect: str) -> str:
        """Type a command and what it asks for; returns what it printed, once the shell asks for the next.

        Each answer is typed when the cursor stands behind its question. Raises SystemExit when `expect` is not printed.
        """
        first = len(self.printed)
        self._type(command + "\r")
        for question, answer in answers:
            self._wait(question)
            self._read(READING_SECONDS)
            self._type(answer)
        self._wait(PROMPT)
        self._read(READING_SECONDS)
        text = "".join(each for _, each in self.printed[first:])
        if expect not in text:
            raise SystemExit(f"recording: `{command}` did not print {expect!r}:\n{text}")
        return text

    def close(self) -> None:
        """Hang up, as closing a window does."""
        os.close(self._fd)
        os.waitpid(self._child, 0)

    def _type(self, text: str) -> None:
        for key in text:
            os.write(self._fd, key.encode())
            self._read(KEY_SECONDS)

    def _wait(self, question: str) -> None:
        """Read until the cursor stands behind `question`, alone at the shell's prompt, and nothing more comes."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while self._read(SETTLED_SECONDS) or not self._asks(question):
            if time.monotonic() > ends:
                raise SystemExit(f"recording: waited in vain for {question!r}:\n" + "\n".join(self._screen.display))

    def _asks(self, question: str) -> bool:
        cursor = self._screen.cursor
        line = self._screen.display[cursor.y][: cursor.x]
        return line == question if question == PROMPT else line.endswith(question)

    def _read(self, seconds: float) -> bool:
        """Take in what is printed within `seconds`; True if anything was."""
        ends, before = time.monotonic() + seconds, len(self.printed)
        while (left := ends - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                text = self._decode(os.read(self._fd, 65536))
                self._stream.feed(text)
                self.printed.append((time.monotonic() - self._began, text))
        return len(self.printed) > before


def prepare(home: Path) -> dict[str, str]:
    """A home with the sample as a git repository; returns the environment of a person who works there."""
    home.chmod(0o711)  # The sandbox user passes through, and reads nothing.
    box = home / ".local" / "state" / "greenroom"
    for made in (box.parent.parent, box.parent):
        made.mkdir(mode=0o711)
    place = home / "tidywords"
    shutil.copytree(ROOT / "samples" / "tidywords", place)
    environment = {
        "HOME": str(home),
        "GREENROOM_HOME": str(box),
        "PATH": f"{GREENROOM.parent}:/usr/bin:/bin",
        "LOGNAME": "you",
        "LANG": "C.UTF-8",
        "TERM": "linux",
        "PS1": f"\x1b[1;32m{PROMPT}\x1b[0m",
        "GIT_PAGER": "cat",
        "LESSHISTFILE": "-",
    }
    identity = ["-c", "user.name=you", "-c", "user.email=you@localhost"]
    for words in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], ["commit", "--quiet", "-m", "Begin"]):
        subprocess.run(["git", *identity, *words], cwd=place, env=environment, check=True)
    return environment


def shortened(events: Iterable[Event], home: str) -> Iterator[Event]:
    """The events with `~` for the home; what stands behind it in a table stays in its column."""
    cells = [(round(at, 3), letter) for at, text in events for letter in text]
    whole = "".join(letter for _, letter in cells)
    for found in reversed([*re.finditer(re.escape(home) + r"(\S*)(  )?", whole)]):
        padding = " " * (len(home) - 1) + found[2] if found[2] else ""
        cells[found.start() : found.end()] = [(cells[found.start()][0], f"~{found[1]}{padding}")]
    for at, group in itertools.groupby(cells, key=lambda cell: cell[0]):
        yield at, "".join(letter for _, letter in group)


def write(events: Iterable[Event], forbidden: Iterable[str]) -> None:
    """Write the asciicast. Raises SystemExit when a word that is forbidden is in it."""
    header = {
        "version": 2,
        "width": COLUMNS,
        "height": ROWS,
        "timestamp": int(time.time()),
        "idle_time_limit": READING_SECONDS,
        "title": TITLE,
        "env": {"TERM": "linux"},
    }
    lines = [header, *([at, "o", text] for at, text in events)]
    whole = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    for word in forbidden:
        if word in whole:
            raise SystemExit(f"recording: {word!r} of this machine is in the recording")
    CAST.write_text(whole)


if __name__ == "__main__":
    sys.exit(main())
