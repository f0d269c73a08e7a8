"""Rules that never yield: what the steps of a plan would do that a constitution forbids for good.

They read tool names and arguments, which is where a tool says what it will do. What a patch brings is for the scan of
the diff (`tools/scan_diff_t0.py`): a finding of it that carries one of these names counts as the same breach. It knows
plain forms only (SECURITY.md says what it does not see).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from greenroom.domain.arguments import command_words
from greenroom.domain.digest import Digest
from greenroom.domain.patterns import compile_pattern
from greenroom.domain.plan import Plan, Step, ToolManifest
from greenroom.domain.vocabulary import Tier, Undo

_GUARDS = (
    "auth|authn|authz|authenticate|authentication|authorization|authorisation|login|password|passwd|passcode|mfa|2fa|"
    "otp|totp|token|csrf|tls|ssl|acl|permission|permissions|signature|signatures|certificate|cert|verify|verification"
)
_OFF = frozenset({"false", "off", "no", "0", "none", "null", "disabled", "disable", "never", "skip", "optional", ""})
_OPENERS = compile_pattern("(anonymous|insecure|guest|unauthenticated|passwordless)")
_SWITCHES_OFF = compile_pattern("(disable|disabled|skip|bypass|ignore|without|no)")
_GUARD_WORD = compile_pattern(f"({_GUARDS})")
_FORCED = compile_pattern("(-[A-Za-z]*f[A-Za-z]*|--force|--force-with-lease(=.*)?|--force-if-includes|--mirror|\\+.+)")
_REWRITERS = frozenset({"rebase", "filter-branch", "filter-repo", "replace", "bfg", "fast-import"})
_DATABASE = compile_pattern(
    '(drop[ \\t\\n]+(table|database|schema|index|view)|truncate[ \\t\\n]+(table[ \\t\\n]+)?[\\w"`]|'
    "delete[ \\t\\n]+from|dropdb|dropuser|flushall|flushdb|db\\.drop)"
)
_DATABASE_FILE = compile_pattern(".*\\.(db|sqlite|sqlite3|mdb|rdb)")
_QUOTES = frozenset("'\"\\")
_REMOVERS = frozenset({"rm", "unlink", "shred", "truncate", "rmdir"})


def breaches(
    plan: Plan, manifests: Mapping[Digest, ToolManifest], unrevertible: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """(rule, where) of every forbidden thing that a step of `plan` would do.

    `manifests` are the policy's tools by digest; steps whose tool is not among them are left to another rule.
    `unrevertible` are the tools that the constitution names as such.
    """
    for step in plan.steps:
        manifest = manifests.get(step.tool)
        if manifest is None:
            continue
        where = f"step {step.id[:80]!r} ({manifest.name})"
        words = _words(step)
        if manifest.undo is Undo.NONE and manifest.name not in unrevertible:
            yield "unrevertible", where
        if _deletes_database(step, manifest, words):
            yield "database-deletion-without-backup", where
        if _disables_authentication(step, words):
            yield "disable-authentication", where
        if _forces_push(words):
            yield "force-push", where
        if _rewrites_history(words):
            yield "history-rewrite", where


def _deletes_database(step: Step, manifest: ToolManifest, words: tuple[str, ...]) -> bool:
    backup = step.args.get("backup")
    if backup is not None and backup.value:
        return False
    if "backup" in manifest.needs:
        return True
    if manifest.tier < Tier.WORKSPACE:
        return False
    removes = not _REMOVERS.isdisjoint(words) and any(_DATABASE_FILE.matches(word) for word in words)
    return removes or _DATABASE.found_in(" ".join(words))


def _disables_authentication(step: Step, words: tuple[str, ...]) -> bool:
    key, value = step.args.get("key"), step.args.get("value")
    if key is not None and value is not None:
        return _turns_off(str(key.value).lower(), str(value.value).strip().strip("\"'").lower())
    pairs = (word.lstrip("-").partition("=") for word in words if "=" in word)
    return any(_turns_off(name, setting) for name, _, setting in pairs)


def _turns_off(key: str, value: str) -> bool:
    parts = _parts(key)
    guards = any(_GUARD_WORD.matches(part) for part in parts)
    inverted = any(_SWITCHES_OFF.matches(part) for part in parts)
    off = value in _OFF
    if any(_OPENERS.matches(part) for part in parts):
        return not off
    return guards and (not off if inverted else off)


def _forces_push(words: tuple[str, ...]) -> bool:
    if "push" not in words:
        return False
    after = words[words.index("push") + 1 :]
    return any(_FORCED.matches(word) or word in ("--delete", "-d", "--prune") for word in after)


def _rewrites_history(words: tuple[str, ...]) -> bool:
    if "git" not in words and not any(word.endswith("/git") for word in words):
        return False
    pairs = {("commit", "--amend"), ("reset", "--hard"), ("update-ref", "-d"), ("reflog", "expire"), ("branch", "-d")}
    together = set(words)
    return not _REWRITERS.isdisjoint(together) or any({a, b} <= together for a, b in pairs)


def _parts(key: str) -> list[str]:
    return "".join(char if char.isalnum() else " " for char in key).split()


def _words(step: Step) -> tuple[str, ...]:
    """Every word that the step's arguments hold, in small letters, as written and with quotes taken off."""
    words: list[str] = []
    for name in sorted(step.args):
        value = step.args[name].value
        text = value if isinstance(value, str) else str(value)
        words.append(text)
        if not _QUOTES.isdisjoint(text):
            words.extend(command_words(text))
    return tuple(part for word in words for part in word.lower().replace(";", " ").replace("&", " ").split())
