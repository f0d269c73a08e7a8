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
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import rfc8785

from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.verdict import Instant

T = TypeVar("T")
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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain_as(hint, getattr(value, name)) for name, hint, _ in _members(type(value))}
    return _plain_as(Any, value)


def from_plain(cls: Any, plain: Any, where: str = "$") -> Any:
    """JSON values as `cls`, strictly."""
    if isinstance(cls, typing.NewType):
        return _named(cls, plain, where)
    if dataclasses.is_dataclass(cls):
        return _dataclass(cls, plain, where)
    if isinstance(cls, type) and issubclass(cls, Enum):
        return _enum(cls, plain, where)
    if cls in (str, int, bool, float):
        return _typed(cls, plain, where)
    if cls is bytes:
        return _hex(plain, where)
    if cls is Any:
        return plain
    return _generic(cls, plain, where)


def _named(cls: Any, plain: Any, where: str) -> Any:
    if cls is Digest:
        return parse_digest(_typed(str, plain, where))
    if cls is not Instant:
        return from_plain(cls.__supertype__, plain, where)
    if not isinstance(plain, str) or not plain.isascii() or not plain.isdigit() or len(plain) > 20:
        raise _bad(where, "an instant is a decimal string")
    return Instant(int(plain))


def _generic(cls: Any, plain: Any, where: str) -> Any:
    origin, args = get_origin(cls), get_args(cls)
    if origin is Literal:
        if plain not in args or isinstance(plain, bool) != any(isinstance(a, bool) for a in args if a == plain):
            raise _bad(where, f"one of {', '.join(map(str, args))} expected")
        return plain
    if origin in (Union, types.UnionType):
        return _union(args, plain, where)
    if origin is tuple:
        if not isinstance(plain, list):
            raise _bad(where, "a list is expected")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(from_plain(args[0], item, f"{where}[{i}]") for i, item in enumerate(plain))
        if len(args) != len(plain):
            raise _bad(where, f"a list of {len(args)} is expected")
        return tuple(from_plain(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(args, plain, strict=True)))
    if origin in (Mapping, dict):
        if not isinstance(plain, dict):
            raise _bad(where, "an object is expected")
        return {from_plain(args[0], k, where): from_plain(args[1], v, f"{where}.{k}") for k, v in plain.items()}
    raise TypeError(f"documents cannot hold {cls!r}")


def _union(args: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in args:
        return None
    choices = [a for a in args if a is not type(None)]
    if len(choices) == 1:
        return from_plain(choices[0], plain, where)
    for choice in choices:
        try:
            return from_plain(choice, plain, where)
        except Unusable:
            continue
    raise _bad(where, "no form of this member fits")


def _dataclass(cls: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise _bad(where, f"an object ({cls.__name__}) is expected")
    members = _members(cls)
    unknown = sorted(set(plain).difference(name for name, _, _ in members))
    if unknown:
        raise _bad(where, f"unknown member {unknown[0][:80]!r}")
    values = {}
    for name, hint, needed in members:
        if name in plain:
            values[name] = from_plain(hint, plain[name], f"{where}.{name}")
        elif needed:
            raise _bad(where, f"member {name!r} is missing")
    return cls(**values)


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


def _hex(plain: Any, where: str) -> bytes:
    try:
        return bytes.fromhex(_typed(str, plain, where))
    except ValueError:
        raise _bad(where, "hex digits expected") from None


def _plain_as(hint: Any, value: Any) -> Any:
    if hint is Instant or (value is not None and _optional_instant(hint)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(k): _plain_as(Any, v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_as(Any, item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(_plain_as(Any, item) for item in value)
    if dataclasses.is_dataclass(value):
        return to_plain(value)
    return value


def _optional_instant(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType) and Instant in get_args(hint)


@cache
def _members(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    """Name, type and whether it must be there, of each member of a dataclass."""
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return tuple(
        (field.name, hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(cls)
    )


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
