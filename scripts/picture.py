"""Draws docs/card.svg: the board and a card of a real run in the box that GREENROOM_HOME names.

GREENROOM_HOME=... python scripts/picture.py CHANGE
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from greenroom.entrypoints.cli import render

GREENROOM = str(Path(sys.executable).parent / "greenroom")
OUT = Path(__file__).resolve().parent.parent / "docs" / "card.svg"
MARKUP_FREE = {"markup": False, "emoji": False, "highlight": False}


def main(change: str) -> int:
    """Draw the picture from what the commands print as JSON."""
    console = Console(record=True, width=100, file=io.StringIO(), **MARKUP_FREE)
    console.print(Text("$ greenroom list", style="bold green"))
    console.print(render.board(read("list")["changes"]))
    console.print(Text(f"\n$ greenroom show {change}", style="bold green"))
    console.print(render.card(read("show", change)))
    drawn = console.export_svg(title="greenroom", theme=MONOKAI, font_aspect_ratio=0.61)
    # A picture in a page asks nobody for a font.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    OUT.write_text(re.sub(r"<!-- .*? -->\n?", "", drawn).replace("Fira Code", "ui-monospace"))
    print(OUT)
    return 0


def read(*words: str) -> dict[str, object]:
    """The JSON answer of a command."""
    done = subprocess.run([GREENROOM, *words, "--json"], check=True, stdout=subprocess.PIPE)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
