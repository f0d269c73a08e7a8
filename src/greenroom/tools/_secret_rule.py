"""What a secret rule is, and the checks that tell what a generator made from names, words and stand-ins."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MAX_MEAN = (2.1, 2.6, 3.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of secret, group 1 of the pattern; `words` are lower case, one must be in the line.

    `entropy` is the least, in bits a character; `check` tells a secret from what has its form; `proof` is a checksum.
    """

    name: str
    pattern: re.Pattern[str]
    words: tuple[str, ...]
    entropy: float = 0.0
    check: Callable[[str], bool] | None = None
    proof: Callable[[str], bool] | None = None

    def counts(self, secret: str) -> bool:
        """True when `secret` is no stand-in, has the entropy and passes the check."""
        if self.entropy and entropy(secret) < self.entropy:
            return False
        if is_stand_in(secret, generic=self.check is not None):
            return False
        return self.check is None or self.check(secret)


def rule(
    name: str, pattern: str, *words: str, flags: int = 0, entropy: float = 0.0, **more: Callable[[str], bool]
) -> Rule:
    """A Rule; `more` are `check` and `proof`."""
    return Rule(name=name, pattern=re.compile(pattern, flags), words=words, entropy=entropy, **more)


def entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values()) if total else 0.0


_STAND_IN = re.compile(r"example|x{5,}|\*{3,}|\.{3,}|0{6,}|#{4,}|here$|<[^>]*>|\$\{|\{\{|%\(", re.IGNORECASE)
_WORDS = re.compile(
    r"changeme|change[-_]me|placeholder|redacted|dummy|sample|your[-_]|my[-_]?secret|insert[-_]|replace[-_]|fake|foobar"
    r"|not[-_]?a?[-_]?real|abcdefghij|0123456789|1234567890|deadbeef",
    re.IGNORECASE,
)


def is_stand_in(secret: str, *, generic: bool) -> bool:
    """Words and runs that people write where a secret would stand; a fixed format needs plainer ones."""
    return bool(_STAND_IN.search(secret) or (generic and _WORDS.search(secret))) or len(set(secret)) <= 4


_RUNS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_UNSPEAKABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_NOT_GENERATED = re.compile(r"\.[a-z]{2,5}$|^(?:sha\d{1,3}|md5)[=:_-]")
_PARTS = re.compile(r"[^A-Za-z0-9]+")


def generated(secret: str) -> bool:
    """True for what a generator made: letters and digits change too often to be words, a version, a date or a path.

    The measure is the mean length of the runs of one kind (a word with its capital, capitals, digits): about 1.7 for
    random letters and digits, 2.1 for hex, 2.5 for lower case with digits; words and identifiers have 4 and more. A run
    with five consonants in a row is no word and counts as several.
    """
    if "://" in secret or secret.startswith(("./", "/", "$", "@", "%")) or secret.count("/") * 8 > len(secret):
        return False
    if _NOT_GENERATED.search(secret) or max(map(len, _PARTS.split(secret))) < 8:
        return False
    runs = _RUNS.findall(secret)
    letters, digits = sum(c.isalpha() for c in secret), sum(c.isdigit() for c in secret)
    if letters < 4 or not runs:
        return False
    changes = sum(max(1, len(run) // 3) if _UNSPEAKABLE.search(run) else 1 for run in runs)
    mean = sum(map(len, runs)) / changes
    return mean <= _MAX_MEAN[min(digits, 2)]


_TELLING = re.compile(r"(?:^|[_-])(?:api|app|pat|key|sk|secret|token|live|prod)[_-]")

_HASH = re.compile(r"[0-9a-f]{32,}(?:[A-Z]\w{0,12})?$")


def prefixed(secret: str) -> bool:
    """A token with its maker's prefix; a bare hash after a prefix that does not speak of a key is a hash."""
    body = re.split(r"[_-]", secret)[-1]
    is_hash = _HASH.match(body) is not None
    return generated(body) and (not is_hash or bool(_TELLING.search(secret)))


_WORD = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)$|(?:[A-Z]?[a-z]{3,}|[A-Z]{3,})\d{1,3}$")


def mixed(secret: str) -> bool:
    """Has digits and letters, and is no identifier, path, address or version."""
    has_digit, has_letter = any(c.isdigit() for c in secret), any(c.isalpha() for c in secret)
    if (
        not (has_digit and has_letter)
        or secret.count("/") > 2
        or "://" in secret
        or secret.startswith(("./", "/", "$"))
    ):
        return False
    parts = [part for part in re.split(r"[-_./+=:]", secret) if part]
    words = [part for part in parts if _WORD.match(part)]
    return len(words) * 2 <= len(parts)


def header(secret: str) -> bool:
    """What a header carries in place of a password: generated, whatever its form."""
    return any(c.isdigit() for c in secret) or any(c in "=~+/" for c in secret)


_PLAIN = frozenset(
    ("password", "passwd", "pass", "pwd", "secret", "token", "user", "test", "admin", "root", "postgres", "guest")
)
_CODE = re.compile(
    r"[{}()\[\]<>|\\]|^[$%:@/.]|\$\w*$|%[sdr]|^\w*pass(?:word)?\d{0,4}$|^[\w.]+\.[a-z_]+$", re.IGNORECASE
)


def password(secret: str) -> bool:
    """The password of an address, not a variable, a placeholder or a word that says what stands there."""
    if _is_plain(secret):
        return False
    has_both = any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret)
    chosen = has_both or (len(secret) >= 10 and entropy(secret) >= 3.0)
    return chosen and not re.search(r"[{}$<>%*]|^:|^\w*pass(?:word)?$", secret) and entropy(secret) >= 2.0


def chosen(secret: str) -> bool:
    """A password that a person chose with care: letters, digits and a sign or both cases, and no piece of code."""
    if _is_plain(secret) or _CODE.search(secret) or "://" in secret or not secret.isascii():
        return False
    kinds = (
        any(c.isdigit() for c in secret),
        any(c.isalpha() for c in secret),
        any(c in "!@#$%^&*?+=~" for c in secret) or not (secret.islower() or secret.isupper()),
    )
    return all(kinds) and entropy(secret) >= 2.75


def _is_plain(secret: str) -> bool:
    lower = secret.lower()
    return lower in _PLAIN or any(lower in (word + "1", word + "123", word * 2) for word in _PLAIN)


def crc_base62(token: str) -> bool:
    """GitHub's and npm's form: a prefix, 30 characters, and their CRC-32 in base 62."""
    body = token.split("_", 1)[-1]
    if len(body) != 36 or not body.isalnum() or not body.isascii():
        return False
    number, digits = zlib.crc32(body[:30].encode("ascii")), ""
    while number:
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return body[30:] == digits.rjust(6, "0")


def crc_hex(token: str) -> bool:
    """Grafana's form: what stands before the last underscore, then its CRC-32 in hex."""
    body, _, checksum = token.rpartition("_")
    try:
        return int(checksum, 16) == zlib.crc32(body.encode("ascii"))
    except ValueError:
        return False


def jwt(token: str) -> bool:
    """The first part of a JSON web token decodes to a header with an algorithm (RFC 7519)."""
    header_part = _decoded(token.split(".", 1)[0])
    try:
        found = json.loads(header_part)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "alg" in found


def discord(token: str) -> bool:
    """The first part of a Discord token is the account's number in base 64: 17 to 20 digits."""
    number = _decoded(token.split(".", 1)[0])
    return 17 <= len(number) <= 20 and number.isdigit()


def user_and_password(encoded: str) -> bool:
    """Base 64 of `user:password` (RFC 7617), where the password is more than a word."""
    user, colon, secret = _decoded(encoded).partition(b":")
    try:
        return bool(user and colon) and secret.isascii() and len(secret) >= 6 and password(secret.decode("ascii"))
    except UnicodeDecodeError:
        return False


def aws_id(key: str) -> bool:
    """An AWS key that is not the one of AWS's documentation."""
    return not key.endswith("EXAMPLE")


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return b""
