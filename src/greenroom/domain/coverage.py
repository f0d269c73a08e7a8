"""Which of the changed lines ran in tests: what a run measured, and the facts that evidence takes from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredFile:
    """One changed file: its changed lines that do something, and those of them that ran, by number from 1.

    `watched` is False where the file was loaded in a way that showed no line.
    """

    path: str
    lines: tuple[int, ...]
    ran: tuple[int, ...]
    watched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a test run measured. `unread` are changed Python files without a count; `why` is said where nothing could
    be measured, and empty otherwise."""

    files: tuple[CoveredFile, ...] = ()
    unread: tuple[str, ...] = ()
    why: str = ""


def facts_of(coverage: Coverage | None) -> Mapping[str, str]:
    """The facts for evidence; none where the run measured nothing at all.

    `changed-lines`, `changed-lines-ran`: counts. `not-run`: which lines did not. `not-measured`: what has no count.
    """
    if coverage is None:
        return {}
    counted = sum(len(set(file.lines)) for file in coverage.files)
    ran = sum(len(set(file.lines) & set(file.ran)) for file in coverage.files)
    missed = [place for file in coverage.files for place in _missed(file)]
    unmeasured = [coverage.why] if coverage.why else [f"{path} could not be read" for path in coverage.unread]
    return {
        "changed-lines": str(counted),
        "changed-lines-ran": str(ran),
        "not-run": _listed(missed),
        "not-measured": _listed(unmeasured),
    }


def _missed(file: CoveredFile) -> Iterator[str]:
    lines = sorted(set(file.lines) - set(file.ran))
    if lines and not file.watched:
        yield f"{file.path} (not loaded so that its lines can be watched)"
        return
    for first, last in _ranges(lines):
        yield f"{file.path}:{first}" + (f"-{last}" if last > first else "")


def _ranges(lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring numbers."""
    first = last = 0
    for line in lines:
        if line == last + 1 and first:
            last = line
            continue
        if first:
            yield first, last
        first = last = line
    if first:
        yield first, last


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - MAX_NAMED} more" if len(items) > MAX_NAMED else ""
    return ", ".join(items[:MAX_NAMED]) + more
