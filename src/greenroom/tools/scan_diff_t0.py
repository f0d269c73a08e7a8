"""Scans what changed between the trees `base` and `green`: bandit's findings, secrets, and what never happens.

No arguments. Result: a domain ScanResult. A secret on an added line blocks; one in the lines around it (which a card
shows too) weighs. What a constitution can forbid for good is named as the policy names it, bandit's findings that say
the same included; it does not block here, because the policy in force decides. Suppressions in the code (``# nosec``)
do not hold for changed lines: the change could bring them.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _never, _secrets
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _never
    import _secrets

CONTEXT_LINES = 3
MAX_FINDINGS = 500
_SECRET_POINTS = 100
_NEARBY_POINTS = 15
_NEVER_POINTS = 50
_SEVERITY = {"LOW": 2, "MEDIUM": 8, "HIGH": 20}
_CHUNK = 100


def run(request: _body.Request) -> Mapping[str, Any]:
    """The ScanResult document."""
    base, green = request.mount("base"), request.mount("green")
    changed = _files.changes(base, green)
    findings = [finding for change in changed for finding in secrets_of(change)]
    findings += [
        _finding(each.rule, each.path, each.line, each.what, _NEVER_POINTS, blocks=False)
        for each in _never.found_in(changed)
    ]
    paths = [
        change.path for change in changed if change.path.endswith((".py", ".pyi")) and change.green.text is not None
    ]
    home = _body.scratch()
    try:
        findings += _bandit(request, changed, paths, home)
        version = _bandit_version(request.golden)
    finally:
        _body.discard(home)
    findings.sort(key=lambda finding: (not finding["blocks"], -finding["points"], finding["path"], finding["line"]))
    return {
        "findings": findings[:MAX_FINDINGS],
        "tools": {"bandit": version, "secret-rules": str(len(_secrets.RULES)), "python": sys.version.split()[0]},
    }


def secrets_of(change: _files.Changed) -> Iterator[Mapping[str, Any]]:
    """Findings of the secret rules on the added lines of one file, and near them; links and names are read too."""
    shown = _files.show(change.path)
    for found in _secrets.scan(shown):
        yield _finding(found.rule, shown, 0, "a secret in the file's name", _SECRET_POINTS, blocks=True)
    after = (change.green.data or b"").decode("utf-8", "replace")
    before = (change.base.data or b"").decode("utf-8", "replace")
    added = _files.changed_lines(before, after).added
    if not added:
        return
    near = {line + step for line in added for step in range(-CONTEXT_LINES, CONTEXT_LINES + 1)}
    old = Counter(before.split("\n"))
    lines = after.splitlines()
    for number in sorted(near):
        line = lines[number - 1] if 1 <= number <= len(lines) else ""
        if len(line) < _secrets.MIN_LINE:
            continue
        above = next((each for each in reversed(lines[max(0, number - 4) : number - 1]) if each.strip()), "")
        blocks = number in added and not _moved(line, old)
        for found in _secrets.scan_line(line[: _secrets.MAX_LINE], number, above):
            proof = ", its checksum is right" if found.proven else ""
            message = f"looks like a secret ({found.end - found.start} characters{proof})"
            if not blocks:
                message += ", on an unchanged line near the change"
            yield _finding(
                found.rule, shown, number, message, _SECRET_POINTS if blocks else _NEARBY_POINTS, blocks=blocks
            )


def _moved(line: str, old: Counter[str]) -> bool:
    """True for a line that stands in base too, elsewhere."""
    return old[line] > 0


def _finding(rule: str, path: str, line: int, message: str, points: int, *, blocks: bool) -> Mapping[str, Any]:
    return {"rule": rule, "path": path, "line": line, "message": message, "points": points, "blocks": blocks}


def _bandit(
    request: _body.Request, changed: Sequence[_files.Changed], paths: Sequence[str], home: Path
) -> list[Mapping[str, Any]]:
    """Bandit's findings that Green has and base has not, on changed lines."""
    if not paths:
        return []
    after = _run_bandit(request.golden, request.mount("green"), paths, home)
    known = [path for path in paths if (request.mount("base") / path).is_file()]
    before = Counter(_key(item) for item in _run_bandit(request.golden, request.mount("base"), known, home))
    added = {change.path: _added(change) for change in changed}
    found = []
    for item in after:
        path = str(item["path"])
        lines = set(item["line_range"] or [item["line_number"]])
        if before[_key(item)] > 0:
            before[_key(item)] -= 1
            continue
        if not lines & added.get(path, frozenset()) or (_files.is_test(path) and item["issue_severity"] == "LOW"):
            continue
        points = _SEVERITY.get(item["issue_severity"], 2)
        points = points if item["issue_confidence"] != "LOW" else points // 2
        message = f"{item['issue_text']} ({item['issue_severity'].lower()} severity)"
        rule = f"bandit:{item['test_id']}"
        if item["test_id"] in _never.BANDIT and not _files.is_test(path):
            rule, points, message = "disable-authentication", _NEVER_POINTS, f"{rule}: {message}"
        found.append(_finding(rule, _files.show(path), item["line_number"], message[:300], points, blocks=False))
    return found


def _added(change: _files.Changed) -> frozenset[int]:
    return _files.changed_lines(change.base.text or "", change.green.text or "").added


def _key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """The same finding in both trees: place apart, by rule and code."""
    code = "".join(line.split(" ", 1)[-1].strip() for line in str(item.get("code", "")).splitlines())
    return str(item["path"]), str(item["test_id"]), code


def _run_bandit(golden: Path, root: Path, paths: Sequence[str], home: Path) -> list[dict[str, Any]]:
    """Bandit with its own defaults on named files; configuration in the tree is not read."""
    env = _body.fixed_env(home, PYTHONPATH=str(golden / "site"))
    config = home / "bandit.yaml"
    config.write_text("skips: [B101]\n", encoding="ascii")
    found: list[dict[str, Any]] = []
    for start in range(0, len(paths), _CHUNK):
        files = [str(root / path) for path in paths[start : start + _CHUNK]]
        flags = ["-f", "json", "-q", "--exit-zero", "--ignore-nosec", "-c", str(config), "-n", "1"]
        argv = [sys.executable, "-B", "-m", "bandit", *flags, "--", *files]
        ended = _body.program(argv, cwd=home, env=env, timeout_s=300)
        if ended.code or ended.timed_out:
            raise RuntimeError(f"bandit ended with {ended.code}: {ended.stderr[-500:]!r}")
        results = json.loads(ended.stdout)["results"]
        found.extend({**item, "path": os.path.relpath(item["filename"], root)} for item in results)
    return found


def _bandit_version(golden: Path) -> str:
    names = sorted((golden / "site").glob("bandit-*.dist-info"))
    return names[0].name.removeprefix("bandit-").removesuffix(".dist-info") if names else "unknown"


if __name__ == "__main__":
    _body.main(run)
