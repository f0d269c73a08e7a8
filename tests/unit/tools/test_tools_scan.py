"""scan_diff_t0 and the secret rules."""

from __future__ import annotations

import base64
import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.outcomes import ScanResult
from greenroom.tools import _secret_rule, _secrets

_RANDOM = random.Random(7)
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def made(count: int, alphabet: str = _ALNUM) -> str:
    """Characters as a generator of keys makes them."""
    return "".join(_RANDOM.choices(alphabet, k=count))


def github_token() -> str:
    """A token in GitHub's form with a right checksum, made here: it opens nothing."""
    body = made(30)
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, rest = divmod(number, 62)
        digits = _secret_rule.BASE62[rest] + digits
    return "ghp_" + body + digits.rjust(6, "0")


def jwt() -> str:
    """A JSON web token of nobody."""
    part = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")
    return f"{part}.{'ey' + made(30)}.{made(43)}"


SECRETS = [
    ("github-token", "token = '" + github_token() + "'"),
    ("aws-key-id", "key: AKIA" + made(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
    ("slack-token", "xoxb-" + made(12, "0123456789") + "-" + made(24)),
    ("stripe-key", "stripe.api_key = 'sk_live_" + made(24) + "'"),
    ("npm-token", "//registry/:_authToken=npm_" + made(36)),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc" + made(70)),
    ("private-key", "-----BEGIN RSA PRIVATE KEY-----"),
    ("private-key", "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("json-web-token", "Cookie: " + jwt()),
    ("assigned-secret", 'db_password = "' + made(20) + '7x"'),
    ("assigned-secret", "API_KEY=" + made(30) + "9a"),
    ("address-with-password", "postgresql://svc:" + made(14) + "@db.internal/app"),
    ("google-api-key", "AIza" + made(35)),
]

HARMLESS = [
    "password = os.environ['DB_PASSWORD']",
    'password = "changeme-please-now"',
    "token = get_token(request, timeout=30)",
    'secret_key = "your-secret-key-here-0000"',
    "AWS_KEY = 'AKIAIOSFODNN7EXAMPLE'",
    "sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    "def authenticate(self, username, password=None):",
    'url = "https://user:password@example.com/path"',
    'token_url = "https://example.com/oauth/v2/token"',
    'AUTH_HEADER = "X-Authentication-Header-Name"',
    "-----BEGIN CERTIFICATE-----",
    "from tokenize import generate_tokens",
]


@pytest.mark.parametrize(("rule", "line"), SECRETS, ids=[rule + str(i) for i, (rule, _) in enumerate(SECRETS)])
def test_secrets_are_found(rule: str, line: str) -> None:
    """Each format is found by its own rule."""
    assert rule in [found.rule for found in _secrets.scan_line(line, 1)]


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_are_quiet(line: str) -> None:
    """Names, placeholders, examples and hashes are no secrets."""
    assert list(_secrets.scan_line(line, 1)) == []


def test_a_right_checksum_proves_a_token() -> None:
    """GitHub's checksum tells a token from something of its form."""
    token = github_token()
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert [found.proven for found in _secrets.scan_line(token, 1)] == [True]
    assert [found.proven for found in _secrets.scan_line(wrong, 1)] == [False]


@given(st.text(max_size=400))
def test_any_text_is_scanned(text: str) -> None:
    """Whatever stands in a file, findings lie inside their line."""
    lines = text.split("\n")
    for found in _secrets.scan(text):
        assert 0 <= found.start < found.end <= len(lines[found.line - 1])


@pytest.mark.parametrize(
    "piece", ["a", "key=", "token:", "'\"", "ey.", "secret_", "://a:", "sk-", "-----BEGIN ", "x " * 3]
)
def test_long_hostile_lines_take_no_time(piece: str) -> None:
    """The rules stay near linear on lines made to slow them down."""
    import time

    line = (piece * 20_000)[:20_000] + " secret token key password auth"
    began = time.perf_counter()
    list(_secrets.scan_line(line, 1))
    assert time.perf_counter() - began < 2


def scan(body: Any, base: dict[str, str], green: dict[str, str]) -> ScanResult:
    """The result as the domain reads it."""
    ran = body("scan_diff_t0", base=base, green=green)
    assert ran.code == 0, ran.stderr
    return documents.decode(ScanResult, json.dumps(ran.result).encode())


def test_a_secret_in_the_diff_blocks_and_is_not_repeated(body: Any) -> None:
    """A secret on an added line blocks; the finding never holds it."""
    token = github_token()
    found = scan(body, {"a.txt": "one\n"}, {"a.txt": f"one\ntoken {token}\n"})
    assert [(f.rule, f.path, f.line, f.blocks) for f in found.findings] == [("github-token", "a.txt", 2, True)]
    assert token not in str(found)


def test_a_secret_below_its_name_blocks(body: Any) -> None:
    """An added value is read with the line above it, changed or not."""
    found = scan(body, {"a.yaml": "api_key: >-\n"}, {"a.yaml": f"api_key: >-\n  {made(40)}\n"})
    assert [(f.rule, f.line, f.blocks) for f in found.findings] == [("assigned-secret", 2, True)]


def test_a_secret_near_the_diff_weighs(body: Any) -> None:
    """A secret that was there before does not block, but the card would show it."""
    secret = f"token {github_token()}\n"
    found = scan(body, {"a.txt": secret + "one\n"}, {"a.txt": secret + "two\n"})
    assert [f.blocks for f in found.findings] == [False]


def test_bandit_speaks_of_changed_lines_only(body: Any) -> None:
    """Findings that base has too are left out; a `# nosec` that the change brings does not hide its line."""
    base = "import subprocess\n\nsubprocess.call('ls', shell=True)\nx = 1\n"
    green = base.replace("x = 1", "x = eval(input())  # nosec")
    found = scan(body, {"a.py": base}, {"a.py": green})
    assert [(f.rule, f.line, f.blocks) for f in found.findings] == [("bandit:B307", 4, False)]
    assert found.tools["bandit"] != "unknown"


def test_an_unchanged_tree_has_no_findings(body: Any) -> None:
    """Nothing changed, nothing found."""
    tree = {"a.py": "x = eval(y)\n"}
    assert scan(body, tree, tree).findings == ()
