"""The log as JSON Lines, for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenroom.audit.merkle import leaf_hash


def export(entries: Iterable[bytes], first: int = 0) -> Iterator[bytes]:
    """One line for each entry: {"entry": ..., "index": ..., "leaf": the RFC 6962 leaf hash in hex}, canonical JSON.

    The entry stands there byte for byte as it was signed; `first` is the index of the first one.
    """
    for index, entry in enumerate(entries, first):
        yield b'{"entry":%b,"index":%d,"leaf":"%b"}\n' % (entry, index, leaf_hash(entry).hex().encode())
