"""Settings and commands that do what a constitution forbids for good, by their words alone.

Only plain forms are known: a setting with a constant value, a command with its words in a row. What is computed,
nested or spread over lines is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

AUTH = "disable-authentication"
DATABASE = "database-deletion-without-backup"
PUSH = "force-push"
HISTORY = "history-rewrite"
Hit = tuple[str, str]
"""A rule and what was seen, in our own words: never text of the file."""

_OFF = frozenset({"false", "off", "no", "0", "none", "disabled", "disable", "optional"})
_ON = frozenset({"true", "on", "yes", "1", "enabled", "enable"})
_WHO = "(?:auth|authn|authentication|login|mfa|2fa)"
_PROOF = "(?:ssl|tls|cert|certs|certificate|certificates|peer|hostname|signature|host_key|server_certificate)"
_KEPT_ON = re.compile(
    rf"(?:\w+_)?(?:{_WHO}_(?:required|enabled|enforced)|(?:require|enable|enforce)_{_WHO}|"
    rf"(?:{_PROOF}_(?:verify|verification|validation)|(?:verify|validate|check)_{_PROOF})(?:_enabled)?)"
)
_KEPT_OFF = re.compile(
    rf"(?:\w+_)?(?:(?:disable|skip|bypass)_(?:{_WHO}|{_PROOF}_(?:verify|verification|validation|check|validation_check))"
    rf"|{_WHO}_disabled|ignore_(?:cert|certificate)_errors|insecure_skip_(?:tls_)?verify|no_ssl_verify|"
    r"ssl_no_verify|tls_?insecure|tls_?allow_?invalid_?(?:certificates|hostnames)|disable_ssl_certificate_validation|"
    r"danger_accept_invalid_(?:certs|hostnames))"
)
_NAMED: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"permit_?empty_?passwords"), _ON),
    (re.compile(r"strict_?host_?key_?checking"), _OFF),
    (re.compile(r"(?:http_)?ssl_?verify(?:_peer|_host)?|strict_ssl|reject_unauthorized"), _OFF),
    (re.compile(r"node_tls_reject_unauthorized|pythonhttpsverify"), frozenset({"0"})),
    (re.compile(r"trusted_host"), frozenset()),
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_COMMAND_ENDS = re.compile(r"&&|\|\||[;|&]")
_WORDS = re.compile(r"[^\s\"'`,\[\](){}]+")
_SHORT_FORCE = re.compile(r"-[a-zA-Z]*f[a-zA-Z]*")
_TAKES_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree"})
_MAX_WORDS = 200


def setting_off(name: str, value: str) -> bool:
    """True when the setting `name` with the constant `value` turns a login or a proof of identity off."""
    key = _CAMEL.sub("_", name).lower().replace("-", "_").replace(".", "_").strip("_")
    said = value.strip().strip("\"'").lower()
    if len(key) > 80:
        return False
    if said in _OFF and _KEPT_ON.fullmatch(key):
        return True
    if said in _ON and _KEPT_OFF.fullmatch(key):
        return True
    return any(said in values and pattern.fullmatch(key) is not None for pattern, values in _NAMED)


def commands(line: str) -> Iterator[Hit]:
    """What the commands of one line do that is forbidden; quotes and brackets around words are read past."""
    for part in _COMMAND_ENDS.split(line):
        words = _WORDS.findall(part)[:_MAX_WORDS]
        if words:
            yield from _command(words)


def resets_hard(line: str) -> bool:
    """True for `git reset --hard`, which rewrites history where a push follows."""
    return any(
        _git(words)[:1] == ["reset"] and "--hard" in words
        for words in (_WORDS.findall(part)[:_MAX_WORDS] for part in _COMMAND_ENDS.split(line))
    )


def pushes(line: str) -> bool:
    """True for any `git push`."""
    return any(_git(_WORDS.findall(part)[:_MAX_WORDS])[:1] == ["push"] for part in _COMMAND_ENDS.split(line))


def _command(words: Sequence[str]) -> Iterator[Hit]:
    git = _git(words)
    if git[:1] == ["push"] and any(_forces(word) for word in git[1:]):
        yield PUSH, "a push that overwrites what others have"
    if git[:1] in (["filter-branch"], ["filter-repo"]) or _starts(words, "git-filter-repo", "bfg"):
        yield HISTORY, "a command that rewrites history"
    if _starts(words, "dropdb", "dropuser") or (_starts(words, "redis-cli") and {"FLUSHALL", "flushall"} & set(words)):
        yield DATABASE, "a command that deletes a database"
    if _insecure(words):
        yield AUTH, "a command that does not check who answers"


def _insecure(words: Sequence[str]) -> bool:
    held = set(words)
    if _starts(words, "curl"):
        return "--insecure" in held or any(re.fullmatch(r"-[fsSLOjgivI]*k[fsSLOjgivI]*", word) for word in words)
    if _starts(words, "wget"):
        return "--no-check-certificate" in held
    if "--trusted-host" in held or any(word.startswith("--trusted-host=") for word in words):
        return _starts(words, "pip", "pip3", "-m", "uv", "--trusted-host", "python", "python3")
    for here, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = here.removeprefix("-o").partition("=")
        pair = (name, value) if equals else (here, after)
        dotted = pair[0].lower() in ("http.sslverify", "stricthostkeychecking", "strict-ssl")
        variable = pair[0] in ("GIT_SSL_NO_VERIFY", "NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY") and equals
        if dotted and pair[1].lower() in _OFF:
            return True
        if variable and pair[1].lower() in (_ON if pair[0] == "GIT_SSL_NO_VERIFY" else {"0"}):
            return True
    return False


def _forces(word: str) -> bool:
    forced = word in ("--force", "--force-with-lease", "--force-if-includes", "--mirror")
    ref = word.startswith("+") and len(word) > 1
    return forced or ref or word.startswith("--force-with-lease=") or bool(_SHORT_FORCE.fullmatch(word))


def _git(words: Sequence[str]) -> list[str]:
    """The words after `git` and its own options; empty where the command is not git's."""
    for index, word in enumerate(words):
        if word == "git" or word.endswith("/git"):
            rest = list(words[index + 1 :])
            while rest and rest[0].startswith("-"):
                rest = rest[2:] if rest[0] in _TAKES_VALUE else rest[1:]
            return rest
    return []


def _starts(words: Sequence[str], *names: str) -> bool:
    """True when one of `names` is among the words a command may start with: after `sudo`, `run:`, `RUN`, `-`."""
    return any(word.rsplit("/", 1)[-1] in names for word in words[:6])
