"""A patch in git's format as its files and hunks: moved, turned round, and compared. `domain/diffs.py` reads it.

Two patches are the same when they have the same files and the same lines, removed, added and around them, in the same
order (`words`); line numbers, blob ids and the words behind `@@` say where it is, not what it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from greenroom.domain import diffs
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import TooLarge, Unusable

MAX_PATCH_BYTES = 4 * 1024 * 1024
_NO_NEWLINE = b"\\ No newline at end of file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One hunk. `at` is the index of its first old line, from 0; lines keep their newline where they have one."""

    at: int
    body: tuple[bytes, ...]
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]

    @property
    def ends_in_change(self) -> bool:
        """True when no unchanged line follows its last change: it reaches the end of the file."""
        return not self.body[-1].startswith(b" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatch:
    """What a patch does to one file. `head` are its header lines without blob ids; `opaque` what is not hunks."""

    path: bytes
    head: tuple[bytes, ...]
    hunks: tuple[Hunk, ...]
    opaque: tuple[bytes, ...] = ()

    @property
    def moves(self) -> bool:
        """True when its hunks may be placed elsewhere: the file is text that stays."""
        stays = not any(line.startswith((b"new file", b"deleted file")) for line in self.head)
        return bool(self.hunks) and not self.opaque and stays


def parse(patch: bytes) -> tuple[FilePatch, ...]:
    """A unified diff in git's format, file by file, none twice; raises Unusable `bad-patch` or TooLarge."""
    if len(patch) > MAX_PATCH_BYTES:
        raise TooLarge("patch-too-large", f"a patch has at most {MAX_PATCH_BYTES} bytes")
    files = tuple(map(_file, diffs.parse(patch)))
    if not files:
        raise _bad("it does not begin with a file")
    if len({each.path for each in files}) != len(files):
        raise _bad("it names a file twice")
    return files


def words(files: Sequence[FilePatch]) -> Digest:
    """The digest of what a patch says, wherever it stands."""
    said = (
        b"\n".join((*each.head, *(b"".join((b"@@\n", *h.body)) for h in each.hunks), *each.opaque)) for each in files
    )
    return digest_of("text", b"\0".join(said))


def moved(patch: bytes, places: Mapping[bytes, Sequence[int]]) -> bytes:
    """The same patch with its hunks at `places` by path; byte for byte `patch` where nothing moves."""
    files = parse(patch)
    if all(tuple(places.get(each.path, ())) in ((), tuple(h.at for h in each.hunks)) for each in files):
        return patch
    return b"".join(_encode(_at(each, places[each.path]) if each.path in places else each) for each in files)


def inverse(patch: bytes) -> bytes:
    """The patch that takes `patch` back; raises Unusable `bad-patch` for a binary file."""
    return b"".join(_encode(_inverse(each)) for each in parse(patch))


def split(data: bytes) -> list[bytes]:
    """The lines of a file, each with its newline."""
    lines = data.split(b"\n")
    return [*(line + b"\n" for line in lines[:-1]), *([lines[-1]] if lines[-1] else [])]


def _at(each: FilePatch, places: Sequence[int]) -> FilePatch:
    hunks = (dataclasses.replace(hunk, at=at) for hunk, at in zip(each.hunks, places, strict=True))
    return dataclasses.replace(each, hunks=tuple(hunks))


def _encode(each: FilePatch) -> bytes:
    out, shift = [b"".join(line + b"\n" for line in each.head)], 0
    for hunk in each.hunks:
        numbers = (_first(hunk.at, hunk.old), len(hunk.old), _first(hunk.at + shift, hunk.new), len(hunk.new))
        out.append(b"@@ -%d,%d +%d,%d @@\n" % numbers + b"".join(hunk.body))
        shift += len(hunk.new) - len(hunk.old)
    return b"".join((*out, *(line + b"\n" for line in each.opaque)))


def _first(at: int, lines: Sequence[bytes]) -> int:
    return at + 1 if lines else at


def _file(section: diffs.Section) -> FilePatch:
    lines = section.header
    body = next((n for n, line in enumerate(lines) if line.startswith((b"GIT binary", b"Binary "))), len(lines))
    head = tuple(line for line in lines[:body] if line and not line.startswith(b"index "))
    if section.hunks and body < len(lines):
        raise _bad("a file is binary and has lines")
    return FilePatch(path=_path(head), head=head, hunks=tuple(map(_hunk, section.hunks)), opaque=lines[body:])


def _hunk(found: diffs.Hunk) -> Hunk:
    at = found.old - (1 if found.count(b"-") else 0)
    if not found.lines or at < 0:
        raise _bad("a hunk has no lines")
    body = tuple(_body(found.lines))
    return Hunk(at=at, body=body, old=_side(body, b"-"), new=_side(body, b"+"))


def _body(lines: Sequence[diffs.Line]) -> Iterator[bytes]:
    for line in lines:
        yield line.sign + line.text + b"\n"
        if line.unended:
            yield _NO_NEWLINE + b"\n"


def _side(body: Sequence[bytes], kind: bytes) -> tuple[bytes, ...]:
    lines: list[bytes] = []
    for number, line in enumerate(body):
        if line[:1] in (b" ", kind):
            bare = number + 1 < len(body) and body[number + 1].startswith(b"\\")
            lines.append(line[1:-1] if bare else line[1:])
    return tuple(lines)


def _path(head: Sequence[bytes]) -> bytes:
    """The file's path, by its `+++` or `---` line or, where there is none, by the first line."""
    for mark, side in ((b"+++ ", b"b/"), (b"--- ", b"a/")):
        for line in head:
            name = diffs.unquoted(line[4:].removesuffix(b"\t")) if line.startswith(mark) else b""
            if name.startswith(side):
                return name[2:]
    both = head[0][len(b"diff --git ") :]
    half = len(both) // 2
    one, other = (diffs.unquoted(name) for name in (both[:half], both[half + 1 :]))
    if len(both) % 2 == 0 or not {one[:2], other[:2]} <= {b"a/", b"b/"} or one[2:] != other[2:]:
        raise _bad("it does not say which file it is about")
    return one[2:]


_TURNED = ((b"new file mode", b"deleted file mode"), (b"old mode", b"new mode"))


def _inverse(each: FilePatch) -> FilePatch:
    if each.opaque:
        raise _bad("a binary file is taken back by a revert only")
    head = {line[:4]: line for line in each.head if line.startswith((b"--- ", b"+++ "))}
    turned = [_turned(line) for line in each.head if line[:4] not in head]
    if len(head) == 2:
        old, new = head[b"+++ "][4:], head[b"--- "][4:]
        turned += [b"--- " + _side_name(old, b"b/", b"a/"), b"+++ " + _side_name(new, b"a/", b"b/")]
    shift, hunks = 0, []
    for hunk in each.hunks:
        body = tuple(_flipped(hunk.body))
        hunks.append(Hunk(at=hunk.at + shift, body=body, old=hunk.new, new=hunk.old))
        shift += len(hunk.new) - len(hunk.old)
    return FilePatch(path=each.path, head=tuple(_modes_in_order(turned)), hunks=tuple(hunks))


def _flipped(body: Sequence[bytes]) -> Iterator[bytes]:
    """Each run of changed lines with what was added first, removed, and what was removed then added."""
    run: tuple[list[bytes], list[bytes]] = ([], [])
    side = run[0]
    for line in body:
        if line[:1] in (b"-", b"+"):
            side = run[line[:1] == b"-"]
            side.append((b"-" if line[:1] == b"+" else b"+") + line[1:])
        elif line.startswith(b"\\") and (run[0] or run[1]):
            side.append(line)
        else:
            yield from (*run[0], *run[1], line)
            run = ([], [])
    yield from (*run[0], *run[1])


def _turned(line: bytes) -> bytes:
    for one, other in _TURNED:
        for before, after in ((one, other), (other, one)):
            if line.startswith(before + b" "):
                return after + line[len(before) :]
    return line


def _modes_in_order(head: Sequence[bytes]) -> list[bytes]:
    return sorted(
        head,
        key=lambda line: (
            not line.startswith(b"diff "),
            line.startswith((b"--- ", b"+++ ")),
            line.startswith(b"+++ "),
            line.startswith(b"new mode"),
        ),
    )


def _side_name(name: bytes, before: bytes, after: bytes) -> bytes:
    if name.startswith(before):
        return after + name[2:]
    return b'"' + after + name[3:] if name.startswith(b'"' + before) else name


def _bad(why: str) -> Unusable:
    return Unusable("bad-patch", f"not a patch in git's format: {why}")
