"""Stored documents: frozen dataclasses as RFC 8785 JSON, and strictly back.

Encoding happens once; from then on the stored bytes are what is hashed and signed. Instants are
decimal strings, because JSON numbers above 2**53 are not portable (RFC 8785 section 3.2.2.3).
Decoding is strict: unknown, missing or mistyped members raise Unusable `bad-document`.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, partial
from typing import Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin

import rfc8785

from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.verdict import Instant

T = TypeVar("T")
_Reader = Callable[[Any, str], Any]
_AS_IT_IS = frozenset({str, int, bool, float, type(None)})
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32


def encode(document: Any) -> bytes:
    """A dataclass (or plain JSON value) as canonical bytes (RFC 8785)."""
    return rfc8785.dumps(to_plain(document))


def decode(cls: type[T], data: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> T:
    """Stored bytes as `cls`; raises Unusable `bad-document` or TooLarge."""
    return cast(T, from_plain(cls, load_json(data, limit=limit)))


def load_json(data: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> Any:
    """Bounded JSON (RFC 8259): UTF-8, no duplicate members, no NaN, no big numbers, depth at most MAX_DEPTH."""
    if len(data) > limit:
        raise TooLarge("document-too-large", f"a document here has at most {limit} bytes, this one has {len(data)}")
    try:
        plain = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_bounded_int
        )
    except (ValueError, RecursionError) as error:
        raise Unusable("bad-json", f"not JSON: {str(error)[:200]}") from None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(plain, 0)
    return plain


def to_plain(value: Any) -> Any:
    """A dataclass as JSON values; the declared type decides, so an Instant becomes a decimal string."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if issubclass(kind, Enum):
        return value.value
    if dataclasses.is_dataclass(kind):
        return {
            member.name: (_instant_as if member.instant else to_plain)(getattr(value, member.name))
            for member in _members(kind)
        }
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(to_plain(item) for item in value)
    return value


def from_plain(cls: Any, plain: Any, where: str = "$") -> Any:
    """JSON values as `cls`, strictly."""
    return _reader(cls)(plain, where)


def _reader(cls: Any) -> _Reader:
    """What turns a JSON value into `cls`: a type is taken apart once, not once a value."""
    if isinstance(cls, typing.NewType):
        return _digest if cls is Digest else _instant if cls is Instant else _reader(cls.__supertype__)
    if dataclasses.is_dataclass(cls):
        return partial(_dataclass, cls)
    if isinstance(cls, type) and issubclass(cls, Enum):
        return partial(_enum, cls)
    if cls in (str, int, bool, float):
        return partial(_typed, cls)
    if cls is bytes:
        return _hex
    if cls is Any:
        return _any
    return _generic(cls)


def _generic(cls: Any) -> _Reader:
    origin, args = get_origin(cls), get_args(cls)
    if origin is Literal:
        return partial(_literal, args)
    if origin in (Union, types.UnionType):
        choices = tuple(_reader(a) for a in args if a is not type(None))
        return partial(_union, choices, type(None) in args)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return partial(_many, _reader(args[0]))
    if origin is tuple:
        return partial(_each, tuple(map(_reader, args)))
    if origin in (Mapping, dict):
        return partial(_mapping, _reader(args[0]), _reader(args[1]))
    raise TypeError(f"documents cannot hold {cls!r}")


def _dataclass(cls: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise _bad(where, f"an object ({cls.__name__}) is expected")
    members = _members(cls)
    if not plain.keys() <= _names(cls):
        unknown = sorted(plain.keys() - _names(cls))
        raise _bad(where, f"unknown member {unknown[0][:80]!r}")
    values = {}
    for member in members:
        name = member.name
        if name in plain:
            values[name] = member.read(plain[name], f"{where}.{name}")
        elif member.needed:
            raise _bad(where, f"member {name!r} is missing")
    return cls(**values)


def _literal(words: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain not in words or isinstance(plain, bool) != any(isinstance(a, bool) for a in words if a == plain):
        raise _bad(where, f"one of {', '.join(map(str, words))} expected")
    return plain


def _union(choices: tuple[_Reader, ...], optional: bool, plain: Any, where: str) -> Any:
    if plain is None and optional:
        return None
    if len(choices) == 1:
        return choices[0](plain, where)
    for choice in choices:
        try:
            return choice(plain, where)
        except Unusable:
            continue
    raise _bad(where, "no form of this member fits")


def _many(read: _Reader, plain: Any, where: str) -> Any:
    if not isinstance(plain, list):
        raise _bad(where, "a list is expected")
    return tuple([read(item, f"{where}[{i}]") for i, item in enumerate(plain)])


def _each(reads: tuple[_Reader, ...], plain: Any, where: str) -> Any:
    if not isinstance(plain, list):
        raise _bad(where, "a list is expected")
    if len(reads) != len(plain):
        raise _bad(where, f"a list of {len(reads)} is expected")
    return tuple([read(item, f"{where}[{i}]") for i, (read, item) in enumerate(zip(reads, plain, strict=True))])


def _mapping(key: _Reader, value: _Reader, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise _bad(where, "an object is expected")
    return {key(k, where): value(v, f"{where}.{k}") for k, v in plain.items()}


def _enum(cls: type[Enum], plain: Any, where: str) -> Any:
    if isinstance(plain, bool):
        raise _bad(where, f"a {cls.__name__} is expected")
    try:
        return cls(plain)
    except ValueError:
        names = ", ".join(str(m.value) for m in cls)
        raise _bad(where, f"one of {names} expected") from None


def _typed(cls: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, cls) or (cls is int and isinstance(plain, bool)):
        raise _bad(where, f"{cls.__name__} expected")
    return plain


def _digest(plain: Any, where: str) -> Digest:
    return parse_digest(_typed(str, plain, where))


def _instant(plain: Any, where: str) -> Instant:
    if not isinstance(plain, str) or not plain.isascii() or not plain.isdigit() or len(plain) > 20:
        raise _bad(where, "an instant is a decimal string")
    return Instant(int(plain))


def _hex(plain: Any, where: str) -> bytes:
    try:
        return bytes.fromhex(_typed(str, plain, where))
    except ValueError:
        raise _bad(where, "hex digits expected") from None


def _any(plain: Any, where: str) -> Any:
    del where
    return plain


def _instant_as(value: Any) -> str | None:
    return None if value is None else str(value)


class _Member(NamedTuple):
    """A member of a dataclass: what reads it, whether it must be there, whether it is an Instant."""

    name: str
    read: _Reader
    needed: bool
    instant: bool


@cache
def _members(cls: Any) -> tuple[_Member, ...]:
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return tuple(
        _Member(
            name=field.name,
            read=_reader(hints[field.name]),
            needed=field.default is missing and field.default_factory is missing,
            instant=_is_instant(hints[field.name]),
        )
        for field in dataclasses.fields(cls)
    )


@cache
def _names(cls: Any) -> frozenset[str]:
    return frozenset(member.name for member in _members(cls))


def _is_instant(hint: Any) -> bool:
    return hint is Instant or (get_origin(hint) in (Union, types.UnionType) and Instant in get_args(hint))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same member twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > 2**53 - 1:
        raise ValueError("a number is larger than JSON carries exactly")
    return int(digits)


def _check_depth(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooLarge("document-too-deep", f"a document here nests at most {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for item in value.values():
            _check_depth(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_depth(item, depth + 1)


def _bad(where: str, message: str) -> Unusable:
    return Unusable("bad-document", message, where=where)
