"""Draws an asciicast as an animated SVG, for a page that runs no scripts.

The whole session is one tall text that scrolls. A line that is there until the end is drawn once; each form that a
line had before is drawn besides, and shown for its time only. Without animations the last screen stands still.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import pyte

CELL, LINE, FONT, MARGIN = 8.4, 18, 14, 14
FRAME_SECONDS = 0.1
"""What is printed within it is one frame."""
LAST_SECONDS = 5.0
"""How long the last frame stands before all begins again."""
FAINT, BRIGHT_BLACK = 2, 90
EXTENDED = {38, 48}
COLOURS = {"red": "r", "green": "g", "brown": "y", "blue": "b", "magenta": "m", "cyan": "c", "brightblack": "f"}
"""The classes of the colours; the terminal's own colour has none."""
DARK = {"p": "1a1d23", "t": "d8dce3", "r": "ff7b72", "g": "56d364", "y": "e3b341", "b": "79c0ff", "m": "d2a8ff"}
DARK |= {"c": "56d4dd", "f": "8b949e"}
LIGHT = {"p": "f6f8fa", "t": "24292f", "r": "b3202a", "g": "116329", "y": "7d4e00", "b": "0550ae", "m": "6f3cc0"}
LIGHT |= {"c": "0b6470", "f": "59636e"}

Run = tuple[int, str, str]
"""The column, the text and the classes of some cells that look the same."""
Line = tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A screen: when it is shown, its lines by their place in the whole text, its first line, and the cursor."""

    at: float
    lines: Mapping[int, Line]
    top: int
    cursor: tuple[int, int]


def draw(cast: str) -> str:
    """The SVG of an asciicast of version 2."""
    header, *events = (json.loads(line) for line in cast.splitlines())
    frames = list(screens(header, events))
    seconds = frames[-1].at + LAST_SECONDS
    wide, high = CELL * header["width"], LINE * header["height"]
    size = f"{wide + 2 * MARGIN:g} {high + 2 * MARGIN:g}"
    width, height = size.split()
    shown = forms(frames)
    spans = {span: f"k{index}" for index, span in enumerate(sorted(set(shown.values()), key=str))}
    moves = [keyframes("s", seconds, [(f.at, move(0, -f.top)) for f in frames])]
    moves += [keyframes("u", seconds, [(f.at, move(*f.cursor)) for f in frames])]
    moves += [appearing(name, seconds, *span) for span, name in spans.items()]
    root = f'viewBox="0 0 {size}" width="{width}" height="{height}" role="img" aria-labelledby="title"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {root}>',
        f'<title id="title">{escape(header["title"])}</title>',
        f"<style>{style(frames[-1], seconds, moves)}</style>",
        '<rect class="p" x="1" y="1" width="99.8%" height="99.7%" rx="8"/>',
        f'<svg x="{MARGIN}" y="{MARGIN}" width="{wide:g}" height="{high}"><g class="k s">',
        f'<rect class="k u" width="{CELL}" height="{LINE}"/>',
    ]
    for span, name in spans.items():
        gone = "" if span[1] is None else " o"
        texts = "".join(text(row, line) for (row, line, began), each in shown.items() if each == span)
        parts.append(f'<g class="k{gone} {name}">{texts}</g>')
    return "\n".join([*parts, "</g></svg>", "</svg>", ""])


def screens(header: Mapping[str, Any], events: list[Any]) -> Iterator[Frame]:
    """What the terminal shows after each frame, with waits no longer than the header says."""
    screen = Screen(header["width"], header["height"])
    stream = pyte.Stream(screen)
    began = 0.0
    for at, printed in paced(events, header["idle_time_limit"]):
        if at >= began + FRAME_SECONDS:
            yield screen.frame(began)
            began = at
        stream.feed(printed)
    yield screen.frame(began)


def paced(events: list[Any], limit: float) -> Iterator[tuple[float, str]]:
    """What was printed, and when, with no wait longer than `limit` seconds."""
    now, before = 0.0, 0.0
    for at, _, printed in events:
        now += min(at - before, limit)
        before = at
        yield now, printed


class Screen(pyte.Screen):  # type: ignore[misc]
    """A terminal that knows how far it has scrolled, and shows faint text in grey."""

    top = 0

    def index(self) -> None:
        """Move down a line, and scroll at the end of the screen."""
        self.top += self.cursor.y == self.lines - 1
        super().index()

    def select_graphic_rendition(self, *codes: int) -> None:
        """Take a colour or an attribute; faint is one that the library does not know."""
        plain = EXTENDED.isdisjoint(codes)
        super().select_graphic_rendition(*(BRIGHT_BLACK if plain and code == FAINT else code for code in codes))

    def frame(self, at: float) -> Frame:
        """What is shown from `at` on; empty lines are left out."""
        rows = {self.top + row: tuple(self._runs(row)) for row in range(self.lines)}
        lines = {row: line for row, line in rows.items() if line}
        return Frame(at=at, lines=lines, top=self.top, cursor=(self.cursor.x, self.top + self.cursor.y))

    def _runs(self, row: int) -> Iterator[Run]:
        cells = self.buffer[row]
        column = 0
        for classes, group in itertools.groupby((cells[x] for x in range(self.columns)), key=look):
            words = "".join(cell.data for cell in group)
            if words.strip():
                start = len(words) - len(words.lstrip())
                yield column + start, words.strip(), classes
            column += len(words)


def look(cell: Any) -> str:
    """The classes of a cell."""
    if cell.fg != "default" and cell.fg not in COLOURS:
        raise SystemExit(f"cast_svg: no class for the colour {cell.fg}")
    return " ".join([COLOURS.get(cell.fg, ""), "w" if cell.bold else ""]).strip()


def forms(frames: list[Frame]) -> dict[tuple[int, Line, float], tuple[float, float | None]]:
    """Each form of each line, with the time it is there: from, and until where it does not stay."""
    shown: dict[tuple[int, Line, float], tuple[float, float | None]] = {}
    there: dict[int, tuple[Line, float]] = {}
    for frame in frames:
        for row in {*frame.lines, *(row for row in there if row >= frame.top)}:
            line, known = frame.lines.get(row, ()), there.get(row, ((), 0.0))
            if line == known[0]:
                continue
            if known[0]:
                shown[(row, *known)] = (known[1], frame.at)
            there[row] = (line, frame.at)
    return shown | {(row, *known): (known[1], None) for row, known in there.items() if known[0]}


def text(row: int, line: Line) -> str:
    """A line; each run says its length, so that columns stand below each other in every font."""
    return "".join(
        f'<text x="{CELL * column:g}" y="{LINE * row + FONT}" textLength="{CELL * len(words):g}"'
        + (f' class="{classes}">' if classes else ">")
        + f"{escape(words)}</text>"
        for column, words, classes in line
    )


def style(last: Frame, seconds: float, moves: list[str]) -> str:
    """The style sheet: the last frame as it stands, and the animations for those who want any."""
    plain = (
        f"text{{font:{FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}"
    )
    light = "".join(fills(LIGHT))
    animated = f".k{{animation:{seconds:.2f}s step-end infinite}}" + "\n".join(moves)
    return "\n".join(
        [
            plain,
            ".w{font-weight:bold}.o{visibility:hidden}.p{stroke:#8b949e;stroke-opacity:.4}",
            *fills(DARK),
            f"@media (prefers-color-scheme:light){{{light}}}",
            f".s{{{move(0, -last.top)}}}.u{{{move(*last.cursor)};opacity:.6}}",
            f"@media (prefers-reduced-motion:no-preference){{{animated}}}",
        ]
    )


def fills(theme: Mapping[str, str]) -> Iterator[str]:
    """The rules of the colours; text without a class, and the cursor, have the terminal's own."""
    for name, colour in theme.items():
        yield f"{'text,.u' if name == 't' else f'.{name}'}{{fill:#{colour}}}"


def move(column: int, row: int) -> str:
    """A declaration that moves something by columns and lines."""
    return f"transform:translate({CELL * column:g}px,{LINE * row}px)"


def appearing(name: str, seconds: float, began: float, ended: float | None) -> str:
    """Shown from `began`, until `ended` where that is told."""
    steps = [(0.0, "visibility:hidden")] if began else []
    steps += [(began, "visibility:visible")]
    return keyframes(name, seconds, [*steps, *([(ended, "visibility:hidden")] if ended is not None else [])])


def keyframes(name: str, seconds: float, steps: list[tuple[float, str]]) -> str:
    """An animation in steps, and the rule that gives it to the class of its name."""
    changes = [step for before, step in zip([(0.0, ""), *steps], steps, strict=False) if step[1] != before[1]]
    body = "".join(f"{100 * at / seconds:.3f}%{{{what}}}" for at, what in changes)
    return f".{name}{{animation-name:{name}}}@keyframes {name}{{{body}}}"
