"""A briefing as text, as one HTML page, and as STATE.json."""

from __future__ import annotations

import contextlib
import datetime
import html as escaping
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.domain import documents, spans
from greenroom.domain.briefing import Briefing, Did, Item
from greenroom.domain.errors import Unusable
from greenroom.entrypoints.cli import when
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.services import Services

_NS = 1_000_000_000
MOST_SHOWN = 20
"""How many of each kind stand on the screen; the page and STATE.json have more."""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Greenroom: briefing</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #d0d7de; vertical-align: top; }}
code {{ background: #eef1f4; padding: 0 .25rem; overflow-wrap: anywhere; }}
</style></head><body>
{body}
</body></html>
"""


def of(services: Services, since: str, until: str | None = None, *, whole: bool = False) -> Briefing:
    """The briefing from `since` to `until`, which are names of spans; to now unless named, or, where it is the `whole`
    span that is meant, to its end. Raises Unusable `bad-span`.
    """
    now = datetime.datetime.fromtimestamp(services.now() / _NS)
    asked = spans.span(since, now)
    ends = spans.span(until, now).begins if until is not None else asked.ends if whole else now
    if ends < asked.begins:
        raise Unusable(
            "bad-span", "it ends before it begins", where=f"{since} to {until}"[:80], remedy="turn them round"
        )
    return services.briefing(_instant(asked.begins), _instant(ends) if ends != now else services.now() + 1)


def _instant(at: datetime.datetime) -> int:
    """The instant of a wall time here: what the clock of this machine showed then, also where it was set since."""
    return int(at.timestamp()) * _NS


def state(found: Briefing) -> dict[str, Any]:
    """STATE.json: instants are nanoseconds since the epoch, as decimal strings."""
    made: dict[str, Any] = documents.to_plain(found)
    return made


def write(found: Briefing, *, html: str | None, state_file: str | None) -> None:
    """Write the page and the state into the files that are named. Raises Unusable `bad-file`."""
    if html is not None:
        _into(html, page(found).encode())
    if state_file is not None:
        _into(state_file, (json.dumps(state(found), indent=2, sort_keys=True) + "\n").encode())


def _into(name: str, data: bytes) -> None:
    """Whole or not at all: a reader never meets half of it."""
    target = Path(name)
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
    try:
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
                file.write(data)
            os.replace(part, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        remedy = "name a file in a directory that is there and that you may write to"
        raise Unusable("bad-file", f"it cannot be written: {error.strerror}", where=name, remedy=remedy) from None


def show(found: Briefing) -> None:
    """Print it."""
    for line in _lines(found):
        print(safe(line))


def _lines(found: Briefing) -> Iterator[str]:
    yield _headline(found)
    for title, rows in _sections(found):
        if rows:
            yield ""
            yield f"{title}:"
            yield from (f"  {'  '.join(cell for cell in row if cell)}" for row in rows[:MOST_SHOWN])
        if len(rows) > MOST_SHOWN:
            yield f"  and {len(rows) - MOST_SHOWN} more (--json, --html)"
    yield ""
    yield f"spent: {_spent(found)}"
    yield from (f"note: {warning}" for warning in found.warnings)
    if not found.needs:
        yield "nothing needs you"


def _headline(found: Briefing) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in _counted(found))
    return f"{when.said(found.begins)} to {when.said(found.ends)}: {counts}"


def _counted(found: Briefing) -> Iterable[tuple[str, int]]:
    names = {"changes": "change(s) carried", "adopted": "taken in"}
    order = ("changes", "promoted", "reverted", "refused", "held", "adopted")
    return [*((names.get(name, name), found.counts[name]) for name in order), ("queued", found.queued)]


def _sections(found: Briefing) -> Sequence[tuple[str, Sequence[Sequence[str]]]]:
    """Title and rows of each part, the most urgent first."""
    return (
        ("needs you", [(need.command, need.about, need.why) for need in found.needs]),
        ("promoted", [_done(item) for item in found.promoted]),
        ("reverted", [_done(item) for item in found.reverted]),
        ("refused", [_stuck(item) for item in found.refused]),
        ("held", [_stuck(item) for item in found.held]),
        ("asked for", [_did(each) for each in found.requests]),
        ("tests run", [_did(each) for each in found.tests]),
        ("stages", [(stage, _answers(answers)) for stage, answers in found.stages.items()]),
    )


def _done(item: Item) -> Sequence[str]:
    return when.said(item.at or 0), item.change, item.summary, item.subject, f"by {item.by}"


def _stuck(item: Item) -> Sequence[str]:
    return item.change, item.summary, item.rule, item.where, item.remedy


def _did(each: Did) -> Sequence[str]:
    return when.said(each.at), each.what, f"by {each.by}"


def _answers(answers: Any) -> str:
    return ", ".join(f"{count} {rule}" for rule, count in sorted(answers.items(), key=lambda each: (-each[1], each[0])))


def _spent(found: Briefing) -> str:
    spent = found.spent
    runs = f"{spent.runs} sandbox runs" + (f" ({spent.run_errors} without a result)" if spent.run_errors else "")
    live = f"{spent.lines} lines and risk {spent.risk} went live"
    return f"{spent.stage_s:.1f} s in stages, {runs}, {live}, money {spent.money_micro / 1_000_000:.2f}"


def page(found: Briefing) -> str:
    """One HTML page that asks for nothing from anywhere; all text is escaped, what cannot be seen is spelled out."""
    parts = ["<h1>Greenroom: briefing</h1>", f"<p>{_text(_headline(found))}</p>"]
    if not found.needs:
        parts.append("<p>Nothing needs you.</p>")
    for title, rows in _sections(found):
        if rows:
            parts.append(f"<h2>{_text(title.capitalize())}</h2>\n<table>{''.join(map(_row, rows))}</table>")
    parts.append(f"<h2>Spent</h2>\n<p>{_text(_spent(found))}</p>")
    parts += [f"<p>Note: {_text(warning)}</p>" for warning in found.warnings]
    return PAGE.format(body="\n".join(parts))


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in cells)}</tr>\n"


def _cell(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text.startswith("greenroom ") else _text(text)


def _text(text: str) -> str:
    return escaping.escape(safe(text))
