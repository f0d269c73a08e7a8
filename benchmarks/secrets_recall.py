"""Recall and false alarms of the secret rules.

Recall: secrets made here in each rule's form, set into lines of code and configuration as people write them. False
alarms: every line of the installed packages' sources (or of the directories given), where a secret would be a scandal.
Prints a table, or JSON with --json. Published fixtures can be given by --cases, as JSON lines {"text", "secret": bool}.
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


def false_alarms(directories: list[Path]) -> dict[str, Any]:
    """Findings in sources by rule; the first places are named for a person to judge, without what was found."""
    found: Counter[str] = Counter()
    places: list[str] = []
    files = lines = 0
    began = time.perf_counter()
    for path in (path for directory in directories for path in sorted(directory.rglob("*.py"))):
        text = path.read_text(encoding="utf-8", errors="replace")
        files, lines = files + 1, lines + text.count("\n")
        for secret in _secrets.scan(text):
            found[secret.rule] += 1
            places.append(f"{path.parent.name}/{path.name}:{secret.line} {secret.rule}")
    seconds = round(time.perf_counter() - began, 1)
    return {"files": files, "lines": lines, "seconds": seconds, "by_rule": dict(found), "places": places[:60]}


def cases(path: Path) -> dict[str, int]:
    """Published fixtures: found secrets, missed secrets, false alarms, quiet lines."""
    table = {"found": 0, "missed": 0, "false_alarms": 0, "quiet": 0}
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        hit = any(True for _ in _secrets.scan(case["text"]))
        table[("found" if hit else "missed") if case["secret"] else ("false_alarms" if hit else "quiet")] += 1
    return table


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
    if args.json:
        print(json.dumps(result, indent=2, sort_keys=True))
        return
    for rule, row in result["recall"].items():
        print(f"{rule:24} {row['found']:6} of {row['secrets']:6}  {100 * row['found'] / row['secrets']:6.1f} %")
    alarms = result["false_alarms"]
    total = sum(alarms["by_rule"].values())
    print(f"false alarms: {total} in {alarms['lines']} lines of {alarms['files']} files ({alarms['seconds']} s)")
    print("\n".join(f"  {place}" for place in alarms["places"]))
    if args.cases:
        print(" ".join(f"{key}: {value}" for key, value in result["cases"].items()))


if __name__ == "__main__":
    main()
