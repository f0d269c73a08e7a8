"""The typed manifest checker: may these arguments be given to this tool? Policy, guard and keeper all ask it.

Every value is bounded before anything reads it; `allow` must match all of it and `deny` no part of it, in linear
time (`patterns`). What an argument rule means for each type:

* ``text``   one line or more, without control or direction-changing characters;
* ``path``   relative, normal, without ``..``, control characters or a ``.git``: a path that needs no resolving;
* ``int``    `allow` is ``LEAST..MOST``;
* ``digest`` the digest of one of the plan's blobs;
* ``argv``   one command line, split into words by quoting and never given to a shell; a person's words only.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from greenroom.domain.digest import parse_digest
from greenroom.domain.errors import Unusable
from greenroom.domain.patterns import compile_pattern
from greenroom.domain.plan import Arg, ArgRule, Step, ToolManifest
from greenroom.domain.trees import check_path
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Trust

MAX_ARGV_WORDS = 256
_ODD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def problems(step: Step, manifest: ToolManifest, blobs: Iterable[str]) -> Iterator[Refused]:
    """Every reason why `step` may not be given to the tool of `manifest`; none when it may.

    `blobs` are the digests that the plan names as its content.
    """
    return unfit(f"step {step.id[:80]!r}", step.args, manifest, blobs)


def unfit(
    where: str, args: Mapping[str, Arg], manifest: ToolManifest, blobs: Iterable[str] | None
) -> Iterator[Refused]:
    """Every reason why the tool of `manifest` may not be given `args`, at the place `where`.

    `blobs` are the digests that an argument may name; None where whoever asks knows of no such list.
    """
    known = None if blobs is None else frozenset(blobs)
    for name in args:
        if name not in manifest.args:
            takes = ", ".join(manifest.args) or "nothing"
            yield _no("argument-unknown", _place(where, name), f"{manifest.name} takes {takes}")
    for name, rule in manifest.args.items():
        arg = args.get(name)
        if arg is not None:
            yield from _problems_of(_place(where, name), arg, rule, known)
        elif rule.required:
            yield _no("argument-missing", _place(where, name), f"{manifest.name} cannot do without it")


def _problems_of(where: str, arg: Arg, rule: ArgRule, blobs: frozenset[str] | None) -> Iterator[Refused]:
    least = max(rule.min_trust, Trust.PERSON) if rule.type == "argv" else rule.min_trust
    if arg.trust < least:
        yield _no("argument-trust", where, f"it takes words of trust {Trust(least).name.lower()} or above")
    if rule.type == "int":
        yield from _int_problems(where, arg, rule)
        return
    value = arg.value
    if not isinstance(value, str):
        yield _no("argument-type", where, f"it is of type {rule.type}")
    elif len(value) > rule.max_bytes or len(value.encode("utf-8", "surrogatepass")) > rule.max_bytes:
        yield _no("argument-too-long", where, f"at most {rule.max_bytes} bytes")
    else:
        yield from _shape_problems(where, value, rule, blobs)
        yield from _pattern_problems(where, value, rule)


def _int_problems(where: str, arg: Arg, rule: ArgRule) -> Iterator[Refused]:
    least, most = int_range(rule.allow)
    if not isinstance(arg.value, int) or isinstance(arg.value, bool):
        yield _no("argument-type", where, "it is a whole number")
    elif not least <= arg.value <= most:
        yield _no("argument-out-of-range", where, f"a number from {least} to {most}")


def _shape_problems(where: str, value: str, rule: ArgRule, blobs: frozenset[str] | None) -> Iterator[Refused]:
    if has_odd_characters(value):
        yield _no("argument-control-characters", where, "take control and direction-changing characters out")
    elif rule.type == "argv" and not 0 < len(command_words(value)) <= MAX_ARGV_WORDS:
        yield _no("argument-type", where, f"one command line of 1 to {MAX_ARGV_WORDS} words, quotes closed")
    elif rule.type == "path" and not _is_plain_path(value):
        yield _no("argument-path", where, "a relative path without '..', backslashes or a .git")
    elif rule.type == "digest" and not _is_digest(value):
        yield _no("argument-type", where, "it is a digest, KIND:64 hex digits")
    elif rule.type == "digest" and blobs is not None and value not in blobs:
        yield _no("argument-blob-not-in-plan", where, "name the digest among the plan's blobs")


def _pattern_problems(where: str, value: str, rule: ArgRule) -> Iterator[Refused]:
    if not compile_pattern(rule.allow).matches(value):
        yield _no("argument-not-allowed", where, f"all of it must match {rule.allow}")
    if rule.deny and compile_pattern(rule.deny).found_in(value):
        yield _no("argument-denied", where, f"no part of it may match {rule.deny}")


@lru_cache(maxsize=256)
def int_range(allow: str) -> tuple[int, int]:
    """The bounds that an int rule's `allow` states as LEAST..MOST; raises Unusable `bad-range`."""
    least, dots, most = allow.partition("..")
    if not dots or not all(part.removeprefix("-").isdigit() and part.isascii() for part in (least, most)):
        raise Unusable("bad-range", "the rule of a number is LEAST..MOST", where=repr(allow[:80]))
    return int(least), int(most)


def has_odd_characters(value: str) -> bool:
    """True when `value` has control, format (bidi, zero-width), surrogate, private or unassigned characters."""
    if value.isascii() and value.isprintable():
        return False
    return any(char not in "\n\t" and unicodedata.category(char) in _ODD_CATEGORIES for char in value)


def command_words(value: str) -> list[str]:
    """The words of a command line by POSIX quoting; none when a quote is not closed."""
    try:
        return shlex.split(value)
    except ValueError:
        return []


def _is_plain_path(value: str) -> bool:
    try:
        check_path(value.encode("utf-8"))
    except (Unusable, UnicodeEncodeError):
        return False
    return "\\" not in value and not value.startswith(("~", "-"))


def _is_digest(value: str) -> bool:
    try:
        parse_digest(value)
    except Unusable:
        return False
    return True


def _place(where: str, name: str) -> str:
    return f"{where}, argument {name[:80]!r}"


def _no(rule: str, where: str, remedy: str) -> Refused:
    return Refused(rule=rule, where=where, remedy=remedy)
