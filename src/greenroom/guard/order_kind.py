"""What one kind of the owner's orders is: how it is checked, what the log says of it, and what it puts in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import ChangeId
from greenroom.guard.papers import (
    CommandOrder,
    ConstitutionOrder,
    FloorOrder,
    LookOrder,
    ModeOrder,
    OptInOrder,
    OptOutOrder,
)
from greenroom.guard.room import Room

Order = CommandOrder | ConstitutionOrder | FloorOrder | LookOrder | ModeOrder | OptInOrder | OptOutOrder
O_contra = TypeVar("O_contra", bound=Order, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the log says of an order that is put in force."""

    name: str
    about: str = ""
    change: ChangeId | None = None
    digests: Mapping[str, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKind(Generic[O_contra]):
    """`unfit` says why an order cannot be taken; `entry` is its log entry; `apply` lets it count, inside a transaction.

    `entry` and `apply` are given the digest of the stored order, and may run again after a crash. Of an order that
    `stays` the guard keeps its own copy after it is in force; `apply` lets go of the one that it replaces.
    """

    name: str
    unfit: Callable[[Room, O_contra], Refused | None]
    entry: Callable[[Room, O_contra, Digest], Entry]
    apply: Callable[[Room, O_contra, Digest], None]
    stays: bool = False
