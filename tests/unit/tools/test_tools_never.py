"""What a constitution forbids for good, found in what a change adds."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.outcomes import ScanResult
from greenroom.policy.vocabulary import NEVER
from greenroom.tools import _files, _never

pytestmark = pytest.mark.slow

AUTH, DATABASE, PUSH, HISTORY = (
    "disable-authentication",
    "database-deletion-without-backup",
    "force-push",
    "history-rewrite",
)
FORBIDDEN = [
    (AUTH, "a.py", "import requests\nrequests.get(url, verify=False)\n"),
    (AUTH, "a.py", "context.check_hostname = False\n"),
    (AUTH, "a.py", "context.verify_mode = ssl.CERT_NONE\n"),
    (AUTH, "a.py", "pool = PoolManager(cert_reqs='CERT_NONE')\n"),
    (AUTH, "a.py", "client = Search(verify_certs=False)\n"),
    (AUTH, "a.py", "options = {'verify_signature': False}\n"),
    (AUTH, "a.py", "ssl._create_default_https_context = ssl._create_unverified_context\n"),
    (AUTH, "settings.py", "AUTH_REQUIRED = False\n"),
    (AUTH, "settings.py", "API_LOGIN_DISABLED = True\n"),
    (AUTH, "app.yaml", "auth_enabled: false\n"),
    (AUTH, "app.json", '{\n  "authRequired": false\n}\n'),
    (AUTH, "etc/sshd_config", "PermitEmptyPasswords yes\n"),
    (AUTH, "etc/ssh_config", "    StrictHostKeyChecking no\n"),
    (AUTH, "run.sh", "git config --global http.sslVerify false\n"),
    (AUTH, "run.sh", "ssh -o StrictHostKeyChecking=no host\n"),
    (AUTH, "run.sh", "curl -sSk https://example.org\n"),
    (AUTH, "Dockerfile", "ENV GIT_SSL_NO_VERIFY=1\n"),
    (AUTH, ".npmrc", "strict-ssl=false\n"),
    (AUTH, "a.js", "const agent = new Agent({ rejectUnauthorized: false });\n"),
    (AUTH, "a.go", "cfg := &tls.Config{InsecureSkipVerify: true}\n"),
    (DATABASE, "a.py", "cursor.execute('DROP TABLE users')\n"),
    (DATABASE, "a.py", "cursor.execute(f'DROP TABLE {name}')\n"),
    (DATABASE, "a.py", "cursor.execute('drop table ' + name)\n"),
    (DATABASE, "a.py", "WIPE = 'TRUNCATE TABLE users'\n"),
    (DATABASE, "a.py", "cursor.execute('DELETE FROM users')\n"),
    (DATABASE, "m/1.sql", "CREATE TABLE a (b int);\nDROP DATABASE shop;\n"),
    (DATABASE, "m/1.sql", "delete\nfrom users;\n"),
    (DATABASE, "run.sh", "dropdb shop\n"),
    (DATABASE, "run.sh", 'psql -c "DROP TABLE users"\n'),
    (PUSH, "run.sh", "git push --force origin main\n"),
    (PUSH, "run.sh", "cd site && git -C out push -f origin HEAD\n"),
    (PUSH, ".github/workflows/a.yml", "      - run: git push origin +main\n"),
    (PUSH, "package.json", '{"scripts": {"ship": "git push --force-with-lease"}}\n'),
    (PUSH, "a.py", "subprocess.run(['git', 'push', '--force'])\n"),
    (PUSH, "a.py", "os.system('git push -f')\n"),
    (HISTORY, "run.sh", "git filter-branch --all\n"),
    (HISTORY, "Makefile", "clean:\n\tgit filter-repo --path x\n"),
    (HISTORY, "run.sh", "git reset --hard HEAD~1\ngit push origin main\n"),
]
HARMLESS = [
    ("a.py", "import requests\nrequests.get(url, verify=True)\n"),
    ("a.py", "image.load(path, verify=False)\n"),
    ("a.py", '"""Say `git push --force`, then DROP TABLE users."""\n'),
    ("a.py", "# requests.get(url, verify=False)\n"),
    ("a.py", "class A:\n    def __init__(self):\n        self.auth_required = False\n"),
    ("a.py", "cursor.execute('DELETE FROM users WHERE id = 1')\n"),
    ("a.py", "cursor.execute('DELETE FROM users' + where)\n"),
    ("a.py", "HELP = 'Drop tables that nobody reads'\n"),
    ("a.py", "subprocess.run(['git', 'push', 'origin', 'main'])\n"),
    ("tests/test_a.py", "import requests\nrequests.get(url, verify=False)\n"),
    ("README.md", "git push --force\n"),
    ("run.sh", "# git push --force\n"),
    ("run.sh", "git push origin main\nrm -f out\n"),
    ("run.sh", "git push origin main && rm --force out\n"),
    ("run.sh", "git reset --hard\n"),
    ("run.sh", "curl -fsSL https://example.org/k\n"),
    ("run.sh", "echo filter-branch\n"),
    ("app.yaml", "auth_enabled: true\nverify: false\n"),
    ("ssh_config", "StrictHostKeyChecking accept-new\n"),
    ("a.js", "// rejectUnauthorized: false\n"),
    ("m/1.sql", "-- DROP TABLE users;\nDELETE FROM a WHERE b = 1;\nDROP INDEX i;\n"),
    ("m/1.down.sql", "DROP TABLE users;\n"),
]


def side(text: str | None) -> _files.Side:
    return _files.Side(data=None if text is None else text.encode(), mode="none" if text is None else "file")


def found(path: str, before: str | None, after: str | None) -> list[_never.Found]:
    """What one changed file adds."""
    return _never.found_in([_files.Changed(path=path, base=side(before), green=side(after))])


@pytest.mark.parametrize(("rule", "path", "text"), FORBIDDEN, ids=[f"{r}{i}" for i, (r, _, _) in enumerate(FORBIDDEN)])
def test_what_is_forbidden_is_found_where_it_is_added(rule: str, path: str, text: str) -> None:
    """Each plain form has the name that the policy knows; where base has it already, it is no matter of the change."""
    assert {each.rule for each in found(path, None, text)} == {rule}
    assert rule in NEVER
    assert found(path, text, text + "\n") == []
    assert found(path, text, None) == []


@pytest.mark.parametrize(("path", "text"), HARMLESS)
def test_what_is_allowed_is_passed_over(path: str, text: str) -> None:
    """Comments, prose, tests, and what only looks alike."""
    assert found(path, None, text) == []


GUARDED = "@app.route('/')\n@login_required\ndef home(request):\n    return 1\n"


def test_a_guard_that_is_taken_off_is_found() -> None:
    """The function stays and nothing guards it; another guard, or no function, is another matter."""
    bare = GUARDED.replace("@login_required\n", "")
    assert [(each.rule, each.line) for each in found("views.py", GUARDED, bare)] == [(AUTH, 2)]
    assert found("views.py", GUARDED, GUARDED.replace("login_required", "permission_required('x')")) == []
    assert found("views.py", GUARDED, "x = 1\n") == []
    assert found("views.py", bare, GUARDED) == []


def test_a_guard_of_a_class_is_found() -> None:
    """A view without the mixin that asked for a login."""
    with_it = "class Home(LoginRequiredMixin, View):\n    x = 1\n"
    assert [each.rule for each in found("views.py", with_it, with_it.replace("LoginRequiredMixin, ", ""))] == [AUTH]


def test_what_is_moved_or_written_otherwise_is_passed_over() -> None:
    """Layout and place may change, also from file to file; one more of it counts."""
    line = "cursor.execute('DROP TABLE users')\n"
    other = 'cursor.execute(\n    "DROP TABLE users"\n)\n'
    assert found("a.py", line, other) == []
    gone = _files.Changed(path="a.py", base=side(line), green=side(None))
    come = _files.Changed(path="b.py", base=side(None), green=side(other))
    assert _never.found_in([gone, come]) == []
    assert [each.line for each in found("a.py", line, line + other)] == [3]


def test_places_are_bounded_for_each_rule() -> None:
    """Many of one rule do not push another out."""
    many = "".join(f"cursor.execute('DROP TABLE t{n}')\n" for n in range(100)) + "A = ['git', 'push', '--force']\n"
    rules = [each.rule for each in found("a.py", None, many)]
    assert (rules.count(DATABASE), rules.count(PUSH)) == (_never.EACH, 1)


@given(st.text(max_size=300), st.sampled_from(["a.py", "a.sh", "a.yaml", "a.sql", "a.js", "Makefile", "x"]))
def test_any_text_is_read(text: str, path: str) -> None:
    """Whatever stands in a file, findings lie inside it."""
    for each in found(path, None, text):
        assert 1 <= each.line <= text.count("\n") + len(text.splitlines()) + 1


@pytest.mark.parametrize(
    "piece", ["git ", "push -", "delete ", "drop table ", "a.b_", "'", "/*", "-- ", "verify_", "; "]
)
@pytest.mark.parametrize("path", ["a.sh", "a.sql", "a.js", "a.yaml"])
def test_hostile_text_takes_no_time(piece: str, path: str) -> None:
    """A file made to slow the rules down does not."""
    text = (piece * 2_000)[: _never.MAX_LINE - 1]
    began = time.perf_counter()
    found(path, None, "\n".join([text] * 20))
    found(path, None, text * 20)
    assert time.perf_counter() - began < 2


def scan(body: Any, base: dict[str, str], green: dict[str, str]) -> ScanResult:
    ran = body("scan_diff_t0", base=base, green=green)
    assert ran.code == 0, ran.stderr
    return documents.decode(ScanResult, json.dumps(ran.result).encode())


@pytest.mark.parametrize(
    ("line", "test"),
    [
        ("requests.get('https://a', verify=False, timeout=5)", "B501"),
        ("ssl._create_unverified_context()", "B323"),
        ("paramiko.SSHClient().set_missing_host_key_policy(paramiko.AutoAddPolicy)", "B507"),
    ],
)
def test_bandit_findings_that_say_the_same_have_the_name(body: Any, line: str, test: str) -> None:
    """They do not block by themselves: the policy in force decides. In a test they only weigh."""
    base = "import paramiko\nimport requests\nimport ssl\n"
    green = f"{base}{line}  # nosec\n"
    names = {f"{each}.py": base for each in ("a", "test_a")}
    result = scan(body, names, dict.fromkeys(names, green))
    named = [each for each in result.findings if each.rule == AUTH]
    assert {(each.path, each.line, each.blocks) for each in named} == {("a.py", 4, False)}
    assert any(test in each.message for each in named)
    assert (f"bandit:{test}", "test_a.py") in [(each.rule, each.path) for each in result.findings]


def test_the_tool_tells_what_is_forbidden(body: Any) -> None:
    """The finding has the policy's name and the place."""
    result = scan(body, {"ship.sh": "#!/bin/sh\n"}, {"ship.sh": "#!/bin/sh\ngit push --force\n"})
    assert [(f.rule, f.path, f.line, f.blocks) for f in result.findings] == [(PUSH, "ship.sh", 2, False)]
