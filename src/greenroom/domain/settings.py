"""Settings: the keys of a box's `config.toml` and of a repository's `greenroom.toml`, and how one narrows the other.

Pure: text is read elsewhere (a repository's between walls, a box's by whoever types the command); here its entries are
checked, and merged. The box's own settings bound what a repository may ask for. Where it asks for more, the box's own
wins and a note names the key and both values. What cannot be understood is Unusable, with file, line and nearest key.
"""

from __future__ import annotations

import difflib
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from greenroom.domain.constitution import DayCaps
from greenroom.domain.errors import Unusable
from greenroom.domain.globs import Globs
from greenroom.domain.terms import MAX_TRAILERS, MAX_VARIABLES, Terms, author_fault, trailer_fault, variable_fault

REPOSITORY_FILE = "greenroom.toml"
BOX_FILE = "config.toml"
MAX_FILE_BYTES = 64 * 1024
MAX_ENTRIES = 64
MAX_LIST = 64
MAX_TEXT = 4096
MAX_CAP = 1_000_000
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*")
_FRAMEWORKS = {"pytest": "pytest", "py.test": "pytest", "unittest": "unittest"}
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_NAMES = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9._*-]{0,98}[A-Za-z0-9*])?")
_URL = re.compile(r"(?:https|http|file)://\S+")

Value = str | int | tuple[str, ...] | Mapping[str, str]
Values = Mapping[str, Value]
"""Settings by dotted key; a key that is not set is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of a settings file as it was read: dotted name, line from 1 (0: not known), JSON value."""

    key: str
    line: int
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What reading a settings file gave, also the result of `read_settings_t0`; `fault` says why it gave nothing."""

    entries: tuple[Entry, ...] = ()
    fault: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key: what it sets, how its value is checked, whether a repository may name it."""

    name: str
    about: str
    check: Callable[[Any], Value]
    in_repository: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A wish of a repository that was not granted."""

    key: str
    asked: str
    kept: str
    why: str

    def __str__(self) -> str:
        return (
            f"{REPOSITORY_FILE}: {self.key} = {self.asked} is not taken: {self.why}; the box's own stays: {self.kept}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What holds, and where each value is from: `box` (whatever the box's own source was) or `repository`."""

    values: Values
    sources: Mapping[str, str]
    notes: tuple[Note, ...]
    allow: tuple[tuple[str, ...], ...] = ()
    """Lists of globs: a path is allowed when each list has one that matches it."""

    @property
    def command(self) -> str:
        """The test command, empty for the detected one."""
        return str(self.values.get("test-command", ""))

    def terms(self, most: DayCaps) -> Terms | None:
        """What goes into plans; None when nothing is set. A cap counts where it is below the constitution's `most`."""
        found = {name: self.values.get(f"caps.{name}") for name in ("changes", "lines", "risk")}
        caps = {name: cap for name, cap in found.items() if isinstance(cap, int) and cap < getattr(most, name)}
        terms = Terms(
            author=str(self.values.get("commit.author", "")),
            trailers=self.list("commit.trailers"),
            environment=self.list("environment"),
            **caps,
        )
        return terms if terms != Terms() else None

    def list(self, key: str) -> tuple[str, ...]:
        """A setting that is a list; empty when it is not set."""
        found = self.values.get(key, ())
        return found if isinstance(found, tuple) else ()

    def permits(self, paths: Iterable[str]) -> str:
        """The first of `paths` that the settings leave out; empty when all are in."""
        deny, allow = Globs(self.list("paths.deny")), [Globs(globs) for globs in self.allow]
        return next((p for p in paths if deny.match(p) or not all(globs.match(p) for globs in allow)), "")


def checked(read: Read, file: str, *, repository: bool) -> Values:
    """The settings in what was read from `file`.

    Raises Unusable `bad-settings`, `unknown-setting`, `setting-of-the-box`; each names the line.
    """
    if read.fault:
        raise _bad("bad-settings", f"it cannot be read: {read.fault}", file, read.line, "mend it as TOML 1.0 says")
    if len(read.entries) > MAX_ENTRIES:
        raise _bad("bad-settings", f"more than {MAX_ENTRIES} keys", file, 0, "keep to the keys that are documented")
    values: dict[str, Value] = {}
    for entry in read.entries:
        values[entry.key] = _value(entry, file, repository)
    return values


def value_of(key: str, plain: Any, where: str) -> Value:
    """The checked value of one key; Unusable as `checked`."""
    return _value(Entry(key=key, line=0, value=plain), where, repository=False)


def merge(own: Values, wished: Values) -> Merged:
    """The box's own settings, narrowed by what a repository wishes."""
    values, sources = dict(own), dict.fromkeys(own, "box")
    notes: list[Note] = []
    for key, wish in wished.items():
        values[key] = _narrow(key, own.get(key), wish, notes)
        bound = own.get(key, () if key == "environment" else None)
        sources[key] = "box" if bound is not None and values[key] == bound else "repository"
    allow = tuple(x for x in (own.get("paths.allow"), wished.get("paths.allow")) if isinstance(x, tuple))
    return Merged(values=values, sources=sources, notes=tuple(notes), allow=allow)


def framework_of(command: str) -> str:
    """What runs the tests of a test command: `pytest` or `unittest`; empty for anything else, which cannot be run.

    A command is split into words as by a shell, and never given to one. `run_tests_t1` reads it by the same rule.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    if len(words) > 2 and _PYTHON.fullmatch(words[0]) and words[1] == "-m":
        words = words[2:]
    return _FRAMEWORKS.get(posixpath.basename(words[0]), "") if words else ""


def _narrow(key: str, bound: Value | None, wish: Value, notes: list[Note]) -> Value:
    """What holds for one key that a repository names."""
    if key == "paths.deny" and isinstance(wish, tuple):
        return tuple(dict.fromkeys((*(bound if isinstance(bound, tuple) else ()), *wish)))
    bound = () if key == "environment" and bound is None else bound
    if key == "paths.allow" or bound is None:
        return wish
    if key in ("proposers", "environment") and isinstance(wish, tuple) and isinstance(bound, tuple):
        more = tuple(name for name in wish if name not in bound)
        if more:
            notes.append(_note(key, more, bound, "a repository may only leave some out"))
        return tuple(name for name in bound if name in wish)
    if isinstance(wish, int) and isinstance(bound, int):
        if wish > bound:
            notes.append(_note(key, wish, bound, "a repository may only lower it"))
        return min(wish, bound)
    if bound != wish:
        notes.append(_note(key, wish, bound, "the box sets it itself"))
    return bound


def shown(value: Value) -> str:
    """A value as it is written in TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_quoted(k)} = {_quoted(v)}" for k, v in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_quoted, value)) + "]"
    return str(value) if isinstance(value, int) else _quoted(value)


def nearest(key: str, keys: Iterable[str]) -> str:
    """The known key that looks most like `key`; empty when none does."""
    known = list(keys)
    last = {name.rpartition(".")[2]: name for name in known}
    found = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return found[0] if found else last.get(next(iter(difflib.get_close_matches(key, last, n=1, cutoff=0.6)), ""), "")


def require_key(name: str, file: str = "the command line", line: int = 0, *, repository: bool = False) -> Key:
    """The key of that name; raises Unusable `unknown-setting`, with the nearest one."""
    key = KEYS.get(name)
    if key is None:
        near = nearest(name, [k.name for k in KEYS.values() if k.in_repository or not repository])
        remedy = f"did you mean `{near}`?" if near else f"the keys are: {', '.join(KEYS)}"
        raise _bad("unknown-setting", f"there is no setting {name[:80]!r}", file, line, remedy)
    return key


def _value(entry: Entry, file: str, repository: bool) -> Value:
    key = require_key(entry.key, file, entry.line, repository=repository)
    if repository and not key.in_repository:
        remedy = f"take it out; `greenroom config set {key.name} VALUE` sets it for your box"
        raise _bad("setting-of-the-box", f"{key.name} is set in the box only", file, entry.line, remedy)
    try:
        return key.check(entry.value)
    except ValueError as error:
        raise _bad("bad-settings", f"{key.name}: {error}", file, entry.line, f"{key.name}: {key.about}") from None


def _bad(reference: str, message: str, file: str, line: int, remedy: str) -> Unusable:
    return Unusable(reference, message, where=f"{file}:{line}" if line else file, remedy=remedy)


def _note(key: str, asked: Value, kept: Value, why: str) -> Note:
    return Note(key=key, asked=shown(asked)[:300], kept=shown(kept)[:300], why=why)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(plain: Any, limit: int = MAX_TEXT) -> str:
    if not isinstance(plain, str) or not 0 < len(plain) <= limit:
        raise ValueError(f"a text of 1 to {limit} characters is expected")
    if not plain.isprintable():
        raise ValueError("control, line-end and invisible characters are not taken")
    return plain


def _texts(plain: Any, limit: int = MAX_LIST) -> tuple[str, ...]:
    if not isinstance(plain, list | tuple) or len(plain) > limit:
        raise ValueError(f"a list of at most {limit} texts is expected")
    return tuple(dict.fromkeys(_text(item, 256) for item in plain))


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[Any], Value]:
    def check(plain: Any) -> Value:
        found = _text(plain)
        if pattern.fullmatch(found) is None:
            raise ValueError(f"{what} is expected, not {found[:80]!r}")
        return found

    return check


def _command(plain: Any) -> Value:
    found = _text(plain)
    if not framework_of(found):
        raise ValueError(f"pytest or `python -m unittest` as one command line is expected, not {found[:80]!r}")
    return found


def _each(pattern: re.Pattern[str], what: str) -> Callable[[Any], Value]:
    def check(plain: Any) -> Value:
        for item in _texts(plain):
            if pattern.fullmatch(item) is None:
                raise ValueError(f"{what} is expected, not {item[:80]!r}")
        return _texts(plain)

    return check


def _globs(plain: Any) -> Value:
    found = _texts(plain)
    try:
        Globs(found)
    except Unusable as error:
        raise ValueError(f"{error.message}: {error.where}") from None
    return found


def _cap(plain: Any) -> Value:
    if isinstance(plain, bool) or not isinstance(plain, int) or not 0 <= plain <= MAX_CAP:
        raise ValueError(f"a whole number from 0 to {MAX_CAP} is expected")
    return plain


def _author(plain: Any) -> Value:
    found = _text(plain)
    if fault := author_fault(found):
        raise ValueError(fault)
    return found


def _trailers(plain: Any) -> Value:
    found = _texts(plain, MAX_TRAILERS)
    if fault := next(filter(None, map(trailer_fault, found)), ""):
        raise ValueError(fault)
    return found


def _variables(plain: Any) -> Value:
    found = _texts(plain, MAX_VARIABLES)
    if fault := next(filter(None, map(variable_fault, found)), ""):
        raise ValueError(fault)
    return found


def _routes(plain: Any) -> Value:
    if not isinstance(plain, Mapping) or len(plain) > MAX_LIST:
        raise ValueError(f"a table of at most {MAX_LIST} name patterns is expected")
    index = _matching(_URL, "the URL of an index")
    for name in plain:
        if _NAMES.fullmatch(_text(name, 100)) is None:
            raise ValueError(f"a distribution's name, or a pattern with *, is expected, not {name[:80]!r}")
    return {str(name): str(index(url)) for name, url in plain.items()}


KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key(
            name="test-command",
            about="how the tests run: pytest or `python -m unittest`, with arguments, as one command line",
            check=_command,
        ),
        Key(name="environment", about="names of variables that the tests are given", check=_variables),
        Key(name="proposers", about="which proposers run", check=_each(_WORD, "a proposer's name")),
        Key(name="paths.allow", about="globs of the only paths that proposals may change", check=_globs),
        Key(name="paths.deny", about="globs of paths that no proposal may change", check=_globs),
        Key(name="caps.changes", about="most changes promoted in one UTC day", check=_cap),
        Key(name="caps.lines", about="most lines promoted in one UTC day", check=_cap),
        Key(name="caps.risk", about="most risk points promoted in one UTC day", check=_cap),
        Key(name="commit.author", about="`Name <address>` on the commits that promotions make", check=_author),
        Key(name="commit.trailers", about="lines `Token: value` at the end of their messages", check=_trailers),
        Key(
            name="index.url",
            about="the package index, in place of pip's; no other is then asked",
            check=_matching(_URL, "the URL of an index"),
            in_repository=False,
        ),
        Key(
            name="index.names",
            about="name patterns (`corp-*`) and the URL of the one index that is asked for them",
            check=_routes,
            in_repository=False,
        ),
        Key(
            name="index.certificate",
            about="a file of certificates to trust, in place of pip's",
            check=_matching(re.compile(r"/\S.*"), "an absolute path"),
            in_repository=False,
        ),
        Key(
            name="index.proxy",
            about="the proxy to reach indexes through, in place of pip's",
            check=_matching(re.compile(r"https?://\S+"), "the URL of a proxy"),
            in_repository=False,
        ),
    )
}
"""Every key, in the order in which they are shown."""
