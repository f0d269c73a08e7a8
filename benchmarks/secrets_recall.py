"""Recall and false alarms of the secret rules.

Recall: secrets made here in each rule's form, set into lines of code and configuration as people write them. False
alarms: every text file of the installed packages (or of the directories given), where a secret would be a scandal.
Prints a table, or JSON with --json. Published fixtures can be given by --cases, as JSON lines
{"text", "secret": bool}, with "kind" and "values" (the secrets themselves) where they are known.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from greenroom.tools import _secrets

ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HEX = "0123456789abcdef"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
FRAMES = (
    "{0}",
    'token = "{0}"',
    "TOKEN={0}",
    '  "key": "{0}",',
    "key: {0}",
    "client = Client('{0}')",
    "# was {0}, remove",
)
FORMS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "github-token": (("ghp_", ALNUM, 36),),
    "github-fine-grained": (("github_pat_", ALNUM, 22), ("_", ALNUM, 59)),
    "npm-token": (("npm_", ALNUM, 36),),
    "pypi-token": (("pypi-AgEIcHlwaS5vcmc", ALNUM, 90),),
    "aws-key-id": (("AKIA", UPPER, 16),),
    "gitlab-token": (("glpat-", ALNUM, 20),),
    "slack-token": (("xoxb-", "0123456789", 12), ("-", "0123456789", 12), ("-", ALNUM, 24)),
    "stripe-key": (("sk_live_", ALNUM, 24),),
    "google-api-key": (("AIza", ALNUM, 35),),
    "openai-key": (("sk-", ALNUM, 20), ("T3BlbkFJ", ALNUM, 20)),
    "anthropic-key": (("sk-ant-api03-", ALNUM, 95),),
    "huggingface-token": (("hf_", ALNUM[:52], 34),),
    "sendgrid-key": (("SG.", ALNUM, 22), (".", ALNUM, 43)),
    "digitalocean-token": (("dop_v1_", HEX, 64),),
    "shopify-token": (("shpat_", HEX, 32),),
    "databricks-token": (("dapi", HEX, 32),),
    "vault-token": (("hvs.", ALNUM, 90),),
    "grafana-token": (("glsa_", ALNUM, 32), ("_", HEX, 8)),
    "postman-key": (("PMAK-", HEX, 24), ("-", HEX, 34)),
    "linear-key": (("lin_api_", ALNUM, 40),),
    "dockerhub-token": (("dckr_pat_", ALNUM, 27),),
    "rubygems-key": (("rubygems_", HEX, 48),),
    "discord-webhook": (("https://discord.com/api/webhooks/", "0123456789", 18), ("/", ALNUM, 68)),
    "assigned-secret": (("", ALNUM, 32),),
}
ANSWERS = ("found", "beside", "missed", "alarm", "quiet")
MAX_PLACES = 60
NEEDS_NAME = {"assigned-secret": ('api_key = "{0}"', "password: '{0}'", '"client_secret": "{0}"', 'SECRET_TOKEN="{0}"')}


def fixtures(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """(rule, line) pairs: `count` secrets of each form in each frame."""
    chance = random.Random(seed)
    for rule, parts in FORMS.items():
        for frame in NEEDS_NAME.get(rule, FRAMES):
            for _ in range(count):
                yield rule, frame.format("".join(p + "".join(chance.choices(a, k=n)) for p, a, n in parts))
    for name in ("RSA ", "EC ", "OPENSSH ", ""):
        yield "private-key", f"-----BEGIN {name}PRIVATE KEY-----"
    for _ in range(count):
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
        yield (
            "json-web-token",
            f"jwt = '{head}.ey{''.join(chance.choices(ALNUM, k=40))}.{''.join(chance.choices(ALNUM, k=43))}'",
        )
        yield "address-with-password", f"postgres://svc:{''.join(chance.choices(ALNUM, k=14))}@db.internal/app"


def recall(count: int, seed: int) -> dict[str, dict[str, int]]:
    """How many secrets of each form were found, by any rule."""
    table: dict[str, dict[str, int]] = {}
    for rule, line in fixtures(count, seed):
        row = table.setdefault(rule, {"secrets": 0, "found": 0})
        row["secrets"] += 1
        row["found"] += any(True for _ in _secrets.scan_line(line, 1))
    return table


def false_alarms(directories: list[Path]) -> list[dict[str, Any]]:
    """A row of each directory: text files, lines, findings; the places are for a person to judge, without the find."""
    return [_alarms_in(directory) for directory in directories]


def _alarms_in(directory: Path) -> dict[str, Any]:
    places: list[str] = []
    files = lines = 0
    began = time.perf_counter()
    for path in sorted(each for each in directory.rglob("*") if each.is_file() and not each.is_symlink()):
        data = path.read_bytes()
        if b"\0" in data or path.suffix == ".pyc":
            continue
        text = data.decode("utf-8", "replace")
        files, lines = files + 1, lines + text.count("\n")
        places += [f"{path.relative_to(directory)}:{found.line} {found.rule}" for found in _secrets.scan(text)]
    seconds = round(time.perf_counter() - began, 1)
    return {"name": directory.name, "files": files, "lines": lines, "seconds": seconds, "places": places}


def cases(path: Path) -> dict[str, Any]:
    """Published fixtures: how many texts with a secret give a finding, and how many without; totals and by kind.

    `beside` are the texts whose findings touch none of the `values` that the fixture names as its secret; without
    `values` every finding counts as `found`. Each line has `text` and `secret`, and may have `kind` and `values`.
    """
    total: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        answer = _answer(case)
        total[answer] += 1
        kinds.setdefault(str(case.get("kind", "")), Counter())[answer] += 1
    by_kind = {kind: dict(row) for kind, row in sorted(kinds.items())}
    return {**{answer: total[answer] for answer in ANSWERS}, "by_kind": by_kind}


def _answer(case: dict[str, Any]) -> str:
    lines = case["text"].split("\n")
    findings = [lines[found.line - 1][found.start : found.end] for found in _secrets.scan(case["text"])]
    if not case["secret"]:
        return "alarm" if findings else "quiet"
    if not findings:
        return "missed"
    values = case.get("values") or findings
    return "found" if any(one in value or value in one for value in values for one in findings) else "beside"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("directories", nargs="*", type=Path, default=[Path(sysconfig.get_path("purelib"))])
    parser.add_argument("--count", type=int, default=50, help="secrets of each form and frame")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=Path, help="JSON lines of published fixtures")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result: dict[str, Any] = {"recall": recall(args.count, args.seed), "false_alarms": false_alarms(args.directories)}
    if args.cases:
        result["cases"] = cases(args.cases)
    print(json.dumps(result, indent=2, sort_keys=True) if args.json else _table(result))


def _table(result: dict[str, Any]) -> str:
    shown = [
        f"{rule:24} {row['found']:6} of {row['secrets']:6}  {100 * row['found'] / row['secrets']:6.1f} %"
        for rule, row in result["recall"].items()
    ]
    for row in result["false_alarms"]:
        shown.append(f"{row['name']}: {len(row['places'])} in {row['lines']} lines of {row['files']} files")
        shown += [f"  {place}" for place in row["places"][:MAX_PLACES]]
    if "cases" in result:
        shown.append("fixtures: " + ", ".join(f"{answer} {result['cases'][answer]}" for answer in ANSWERS))
    return "\n".join(shown)


if __name__ == "__main__":
    main()
