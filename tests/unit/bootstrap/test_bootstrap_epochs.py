"""A process that runs already accepts a key of the guard that came into being after it started."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.audit import keys
from greenroom.audit.attest import sign_statement
from greenroom.audit.epochs import CHAIN, sign_certificate
from greenroom.bootstrap import parts
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Tampered
from greenroom.domain.proof import EpochCertificate, Predicate
from greenroom.domain.verdict import Instant


def test_a_reader_looks_the_chain_up_again(tmp_path: Path) -> None:
    """Refused while no chain certifies the key, opened as soon as one does, without being made anew."""
    box = Box(tmp_path)
    box.log.mkdir()
    box.public.mkdir()
    first, second, third = keys.generate(), keys.generate(), keys.generate()
    for role, key in (("owner", keys.generate()), ("keeper", keys.generate()), ("guard", first)):
        keys.save_public(box.public / f"{role}.pub", key.public)
    reader = parts.opener_of(box)
    about, body = digest_of("blob", b"x"), documents.encode({"a": "b"})
    previous = first
    for number, key in enumerate((second, third), 1):
        statement = sign_statement(key, Predicate.WARRANT, about, body)
        with pytest.raises(Tampered, match="statement-forged"):
            reader.open(statement, Predicate.WARRANT, "guard")
        certificate = EpochCertificate(
            log="box", epoch=number, key=key.public, size=number, root=bytes(32), at=Instant(number)
        )
        with open(box.log / CHAIN, "ab") as chain:
            chain.write(sign_certificate(previous, certificate) + b"\n")
        assert reader.open(statement, Predicate.WARRANT, "guard").body == body
        with pytest.raises(Tampered, match="statement-forged"):
            reader.open(statement, Predicate.WARRANT, "keeper")
        previous = key
