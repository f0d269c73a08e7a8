"""Runs the test suite of the tree at `work`: pytest or unittest, whichever the tree uses.

Arguments, all optional: `argv`, a test command (pytest or unittest); `only`, test ids or paths separated by line ends;
`limit_s`, the most seconds that the suite may take; `environment`, names of variables that the suite is given as the
cell has them, parted by spaces. Where a tree is mounted as `base`, the suite's settings are read
from it, and which of the changed lines ran is measured; `alone` says whether without it the run would have been the
same. Result: a domain TestRun. A suite that outlives its limit
leaves no result: nothing can be concluded from it.

The procedure: 1 find the suite, 2 lay out the reporter, the probes and the metadata, 3 run, 4 run again without the
project's own options if the suite could not start with them, 5 read the report, 6 where nothing passed, try the
sentinel alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _coverage, _found, _metadata, _room, _suites
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _coverage
    import _found
    import _metadata
    import _room
    import _suites

DEFAULT_LIMIT_S = 540
MAX_REPORT_BYTES = 48 * 1024 * 1024
MAX_OUTCOMES = 50_000
MAX_NOTES, MAX_NAMED, MAX_NAMED_BYTES = 40, 500, 64 * 1024
"""How many notes there are but for failing tests, how many of those are named, and in how many bytes."""
MAX_NOTE = 500
_WORST = ("error", "failed", "xpassed", "passed", "xfailed", "skipped")
_COULD_NOT_START = (3, 4)
_PLUGIN, _ROOM = "greenroom_reporter", "greenroom_room"
MAX_BOUNDS = 50


class TimeIsUp(Exception):
    """The suite outlived its limit."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What the suite's own process wrote, read back."""

    outcomes: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)
    running: str = ""
    collected: int | None = None
    sentinels: int = 0
    ended: bool = False
    ran: dict[str, set[int]] | None = None
    unseen: set[str] = field(default_factory=set)
    files: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The files and the environment of one run."""

    work: Path
    home: Path
    env: Mapping[str, str]
    limit_s: int
    settings: Path | None
    token: str
    wanted: _coverage.Wanted | None
    alone: bool


def run(request: _body.Request) -> Mapping[str, Any]:
    """The TestRun document."""
    work = request.mount("work")
    settings_root = request.mounts.get("base", work)
    suite = _suite(request, settings_root)
    notes = list(suite.notes)
    same = "base" in request.mounts and _suite(request, work) == suite
    if suite.framework == "none":
        return {**_result(suite.framework, {}, "missing", notes), "alone": same}
    home = _body.scratch()
    try:
        stage, metadata = _lay_out(request, work, settings_root, home)
        if metadata:
            notes.append(metadata)
        report, ended = _run_suite(suite, stage, notes)
        sentinel = _take_sentinel(report, stage)
        if not report.outcomes and report.ended:
            nothing = _result("none", {}, "missing", [*notes, "the suite ran no test"])
            return {**nothing, "alone": same and stage.alone}
        _describe(report, ended, stage.token, notes)
        if sentinel != "failed" and "passed" not in report.outcomes.values():
            notes.append("no test passed; the test that must fail was run alone")
            sentinel = _alone(stage)
        return {
            **_result(suite.framework, report.outcomes, sentinel, notes),
            "coverage": stage.wanted.result(report.ran, report.unseen) if stage.wanted else None,
            "alone": same and stage.alone,
            "bounds": report.bounds,
            "suite": _found.suite(report.files, settings_root) if report.ended else None,
        }
    finally:
        _body.discard(home)


def _suite(request: _body.Request, settings_root: Path) -> _suites.Suite:
    command = request.text("argv", "")
    suite = _suites.from_command(command) if command else _suites.detect(settings_root)
    only = [word for word in request.text("only", "").splitlines() if word.strip()]
    if not only or suite.framework == "none":
        return suite
    if any(word.startswith("-") for word in only):
        raise _body.Refusal("test-selection", only[0][:200], "name test ids or paths")
    kept = [word for word in suite.args if word.startswith("-")] if suite.framework == "pytest" else []
    return dataclasses.replace(suite, args=(*kept, *only))


def _lay_out(request: _body.Request, work: Path, settings_root: Path, home: Path) -> tuple[Stage, str]:
    plugins = home / "plugins"
    plugins.mkdir()
    for name, source in ((_PLUGIN, "_reporter.py"), (_ROOM, "_room.py"), ("greenroom_sources", "_sources.py")):
        (plugins / f"{name}.py").write_bytes((Path(__file__).parent / source).read_bytes())
    (home / "tmp").mkdir()
    metadata = _metadata.write(settings_root, home / "metadata")
    places = [*_suites.source_roots(work), home / "metadata", *([request.deps] if request.deps else [])]
    path = os.pathsep.join(map(str, [*places, request.golden / "site", plugins]))
    wanted = _coverage.between(request.mounts["base"], work) if "base" in request.mounts else None
    probes = wanted.lay_out(home, plugins) if wanted else {}
    names = request.text("environment", "").split()
    given = {name: os.environ[name] for name in names if name in os.environ}
    env = given | _body.fixed_env(home, **probes, PYTHONPATH=path, TMPDIR=str(home / "tmp"), CI="1", COLUMNS="120")
    settings = _suites.settings_file(settings_root)
    own = work / settings.name if settings else None
    stage = Stage(
        work=work,
        home=home,
        env=env,
        limit_s=request.number("limit_s", DEFAULT_LIMIT_S),
        settings=own if own and own.is_file() else settings,
        token=secrets.token_hex(8),
        wanted=wanted,
        alone=not probes and own == _suites.settings_file(work) and _metadata.same(settings_root, work),
    )
    return stage, metadata


def _run_suite(suite: _suites.Suite, stage: Stage, notes: list[str]) -> tuple[Report, _body.Ended]:
    if suite.framework == "unittest":
        script = Path(__file__).parent / "_unittest_run.py"
        return _start([sys.executable, "-B", str(script), *suite.args], stage)
    report, ended = _start(_pytest(stage, suite.args, []), stage)
    if ended.code in _COULD_NOT_START and not report.outcomes and report.collected is None:
        notes.append(f"pytest did not start with the project's options: {_last_line(ended)}")
        paths = [word for word in suite.args if not word.startswith("-") and _exists(stage.work, word)]
        overrides = ["-o", "required_plugins=", "-o", "filterwarnings=", "-W", "default"]
        report, ended = _start(_pytest(stage, paths or ["."], overrides), stage)
    return report, ended


def _exists(work: Path, word: str) -> bool:
    return (work / word.partition("::")[0]).exists()


def _pytest(stage: Stage, args: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Our options come last: where the project says otherwise, ours hold."""
    settings = ["-c", str(stage.settings)] if stage.settings else []
    ours = ["-p", _PLUGIN, "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "--maxfail=0"]
    shown = ["--continue-on-collection-errors", "--color=no", "--tb=short", "-o", "addopts=", "-rN", "-q"]
    root = [f"--rootdir={stage.work}"]
    probes = ["-p", _coverage.PLUGIN] if _coverage.VARIABLE in stage.env else []
    return [sys.executable, "-B", "-m", "pytest", *probes, *settings, *root, *args, *overrides, *ours, *shown]


def _start(argv: Sequence[str], stage: Stage) -> tuple[Report, _body.Ended]:
    path = stage.home / f"report-{secrets.token_hex(8)}"
    env = {**stage.env, "GREENROOM_REPORT": str(path), "GREENROOM_SENTINEL": stage.token}
    _room.lay_out(path)
    ended = _body.program(argv, cwd=stage.work, env=env, timeout_s=stage.limit_s)
    sys.stdout.buffer.write(ended.stdout[-200_000:])
    sys.stderr.buffer.write(ended.stderr[-200_000:])
    if ended.timed_out:
        raise TimeIsUp(f"the suite took more than {stage.limit_s} s")
    return read_report(_body.read_if_there(path, MAX_REPORT_BYTES) or b""), ended


def read_report(data: bytes) -> Report:
    """The lines of a report; what is malformed is left out, since the suite's own process can write there."""
    report = Report()
    for raw in data.splitlines():
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            _read_line(report, line)
    return report


def _read_line(report: Report, line: Mapping[str, Any]) -> None:
    event, name, outcome = line.get("event"), line.get("id"), line.get("outcome")
    if event == "collected" and isinstance(line.get("count"), int):
        report.collected = line["count"]
        report.sentinels = line["sentinels"] if isinstance(line.get("sentinels"), int) else 0
    elif event == "lines" and isinstance(line.get("ran"), dict) and isinstance(line.get("unseen"), list):
        report.ran = {path: {n for n in seen if isinstance(n, int)} for path, seen in _lists(line["ran"])}
        report.unseen = {path for path in line["unseen"] if isinstance(path, str)}
    elif event == "files":
        report.files = line
    elif event == "end":
        report.ended, report.running = True, ""
    elif event == "start" and isinstance(name, str):
        report.running = name[:500]
    elif event == "outcome" and isinstance(name, str) and outcome in _WORST and len(report.outcomes) < MAX_OUTCOMES:
        before = report.outcomes.get(name[:500], outcome)
        report.outcomes[name[:500]] = min(outcome, before, key=_WORST.index)
        report.reasons[name[:500]] = str(line.get("why", ""))[:200]
        if (
            line.get("bound") in ("disk", "output")
            and outcome in ("failed", "error")
            and len(report.bounds) < MAX_BOUNDS
        ):
            report.bounds[name[:500]] = line["bound"]


def _lists(plain: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    return ((name, value) for name, value in plain.items() if isinstance(value, list))


def _take_sentinel(report: Report, stage: Stage) -> str:
    """What became of the sentinels, which leave the report here.

    One that passed tells of forging; one that is not there too, unless the process died before its turn. Being skipped
    or expected to fail together with its module says nothing, as long as another one failed.
    """
    outcomes = [report.outcomes.pop(name) for name in list(report.outcomes) if stage.token in name]
    if "passed" in outcomes or "xpassed" in outcomes:
        return "passed"
    complete = len(outcomes) == report.sentinels if report.ended else len(outcomes) >= 1
    return "failed" if complete and set(outcomes) & {"failed", "error"} else "missing"


def _describe(report: Report, ended: _body.Ended, token: str, notes: list[str]) -> None:
    if not report.ended:
        how = f"signal {-ended.code}" if ended.code < 0 else f"exit {ended.code}"
        notes.append(f"the suite's process ended by {how} before its end: {_last_line(ended)}")
        name = report.running or "<start of the suite>"
        if token not in name:
            report.outcomes[name] = "error"
    elif ended.code in _COULD_NOT_START and not report.outcomes:
        report.outcomes["<start of the suite>"] = "error"
    notes[MAX_NOTES:] = _failing(report)
    skipped = sum(outcome == "skipped" for outcome in report.outcomes.values())
    if skipped:
        notes.append(f"{skipped} tests were skipped")


def _failing(report: Report) -> Iterator[str]:
    """Each failing test with its reason; how many more there are where they are too many to name."""
    bad = [name for name, outcome in report.outcomes.items() if outcome in ("failed", "error")]
    left = MAX_NAMED_BYTES
    for at, name in enumerate(bad):
        why = report.reasons.get(name, "")
        note = f"{report.outcomes[name]}: {name}" + (f": {why}" if why else "")
        left -= len(note[:MAX_NOTE].encode("utf-8", "replace"))
        if at >= MAX_NAMED or left < 0:
            yield f"failed: {len(bad) - at} more; `greenroom show ID --runs` shows the end of what the suite printed"
            return
        yield note


def _alone(stage: Stage) -> str:
    """The sentinel without the project: nothing passed, so nothing was forged, but the reporter must work."""
    bare = stage.home / "alone"
    bare.mkdir()
    (bare / "test_alone.py").write_text("def test_alone():\n    pass\n", encoding="ascii")
    (bare / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    alone = dataclasses.replace(stage, work=bare, settings=bare / "pytest.ini")
    report, _ = _start(_pytest(alone, ["."], []), alone)
    return _take_sentinel(report, alone)


def _last_line(ended: _body.Ended) -> str:
    text = (ended.stderr.strip() or ended.stdout.strip()).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in (text.splitlines() or [""])[-1])[:300]


def _result(framework: str, outcomes: Mapping[str, str], sentinel: str, notes: Sequence[str]) -> Mapping[str, Any]:
    return {
        "framework": framework,
        "python": sys.version.split()[0],
        "outcomes": outcomes,
        "sentinel": sentinel,
        "notes": [note[:MAX_NOTE] for note in notes[: 2 * MAX_NAMED]],
    }


if __name__ == "__main__":
    _body.main(run)
