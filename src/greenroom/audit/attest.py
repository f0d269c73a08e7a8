"""Signed statements: in-toto Statement v1 in a DSSE v1 envelope, signed with Ed25519.

The statement's only subject is the digest that it is about; its predicate is the body document itself. The
role is bound by the key: whoever opens an envelope says which role must have signed. An envelope has one
spelling only (canonical JSON, one signature, no free members), so its digest names what was signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from greenroom.audit.note import SigningKey
from greenroom.domain import documents
from greenroom.domain.digest import Digest, hex_of, parse_digest
from greenroom.domain.errors import Bug, Tampered, TooLarge, Unusable
from greenroom.domain.proof import Attestation, Role

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_ENVELOPE_BYTES = 4 * 1024 * 1024


class KeyAttestor:
    """Signs as `role`, and opens what any role of the box signed; implements the Attestor port.

    `private_key` is None for those who only verify. `public_keys` holds raw Ed25519 keys by role, the
    present one and former ones; one key in two roles would unbind the roles, and is refused. `certified` gives
    the guard's key with an id that is not among them, where the chain of its keys has one, and `keepers` the keeper's.
    """

    def __init__(
        self,
        role: Role,
        private_key: SigningKey | None,
        public_keys: Mapping[Role, tuple[bytes, ...]],
        *,
        certified: Callable[[str], bytes | None] | None = None,
        keepers: Callable[[str], bytes | None] | None = None,
    ) -> None:
        self._role = role
        self._private = private_key
        self._certified: Mapping[Role, Callable[[str], bytes | None] | None] = {"guard": certified, "keeper": keepers}
        self._publics = {name: {key_id(key): key for key in keys} for name, keys in public_keys.items()}
        every = [key for keys in self._publics.values() for key in keys]
        if len(every) != len(set(every)):
            raise Unusable("key-in-two-roles", "the same public key stands for two roles", remedy="make keys apart")
        if private_key is not None and key_id(private_key.public) not in self._publics.get(role, {}):
            raise Unusable(
                "key-unknown",
                f"the private key of {role} does not fit its public keys",
                where=role,
                remedy="put back the key file that belongs to this box",
            )

    def ready(self) -> None:
        """Nothing where there is a private key; raises Bug `no-signing-key` where there is none."""
        self._key()

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        """An envelope: the body document (canonical JSON, an object) about `about`, signed as this role."""
        return sign_statement(self._key(), predicate, about, body)

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        """What `envelope` says; raises Tampered `statement-forged` unless a known key of `role` signed it.

        Raises Unusable `bad-envelope` or `bad-statement` for another shape, `wrong-predicate` for another kind.
        """
        parsed = _parse_envelope(envelope)
        signer = parsed.signer
        public = self._public(role, signer)
        if public is None:
            raise Tampered(
                "statement-forged",
                f"no known key of {role} signed this statement",
                where=f"key {signer[:16]}",
                remedy="only statements that this box's own processes and its owner signed count",
            )
        try:
            message = pre_authentication_encoding(PAYLOAD_TYPE, parsed.payload)
            Ed25519PublicKey.from_public_bytes(public).verify(parsed.signature, message)
        except InvalidSignature:
            where = f"key {signer[:16]}"
            raise Tampered("statement-forged", f"the signature of {role} does not hold", where=where) from None
        return _statement(parsed, str(predicate), role)

    def _key(self) -> SigningKey:
        if self._private is None:
            raise Bug("no-signing-key", f"{self._role} has no private key here")
        return self._private

    def _public(self, role: Role, signer: str) -> bytes | None:
        known = self._publics.get(role, {}).get(signer)
        certified = self._certified.get(role)
        if known is not None or certified is None:
            return known
        elsewhere = any(signer in keys for keys in self._publics.values())
        return None if elsewhere else certified(signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A DSSE envelope taken apart and not verified: `signer` is the key id that it names."""

    payload: bytes
    signer: str
    signature: bytes


def sign_statement(key: SigningKey, predicate: str, about: Digest, body: bytes) -> bytes:
    """An envelope: the body document (canonical JSON, an object) about `about`, signed with `key`."""
    content = documents.load_json(body, limit=MAX_ENVELOPE_BYTES)
    if not isinstance(content, dict) or documents.encode(content) != body:
        raise Bug("body-not-canonical", "what is signed is a canonical JSON object")
    payload = documents.encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": about, "digest": {"sha256": hex_of(about)}}],
            "predicateType": str(predicate),
            "predicate": content,
        }
    )
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return _envelope(payload, key_id(key.public), signature)


def key_id(public: bytes) -> str:
    """The SHA-256 of a raw public key, in hex: the `keyid` of its signatures."""
    return hashlib.sha256(public).hexdigest()


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE v1 PAE: what is signed instead of the payload alone."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _envelope(payload: bytes, signer: str, signature: bytes) -> bytes:
    return documents.encode(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": signer, "sig": base64.b64encode(signature).decode()}],
        }
    )


def _parse_envelope(envelope: bytes) -> Envelope:
    """An envelope's parts; only the one spelling that `sign_statement` writes is taken (Unusable `bad-envelope`)."""
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise TooLarge("envelope-too-large", f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes")
    try:
        plain = documents.load_json(envelope, limit=MAX_ENVELOPE_BYTES)
        [mark] = plain["signatures"]
        payload = base64.b64decode(plain["payload"], validate=True)
        signature = base64.b64decode(mark["sig"], validate=True)
        signer = mark["keyid"]
        same = isinstance(signer, str) and _envelope(payload, signer, signature) == envelope
    except (KeyError, TypeError, ValueError, binascii.Error, Unusable):
        same = False
    if not same:
        raise Unusable("bad-envelope", "not a DSSE envelope in its one canonical form with one signature")
    return Envelope(payload=payload, signer=signer, signature=signature)


def _statement(verified: Envelope, predicate: str, role: Role) -> Attestation:
    """What a verified envelope says; raises Unusable `bad-statement` or `wrong-predicate`."""
    plain = documents.load_json(verified.payload, limit=MAX_ENVELOPE_BYTES)
    if not isinstance(plain, dict) or set(plain) != {"_type", "subject", "predicateType", "predicate"}:
        raise _bad("it has other members than an in-toto statement")
    if plain["_type"] != STATEMENT_TYPE or not isinstance(plain["predicate"], dict):
        raise _bad("it is not an in-toto Statement v1")
    if plain["predicateType"] != predicate:
        found = str(plain["predicateType"])[:200]
        raise Unusable("wrong-predicate", f"the statement is a {found}, not a {predicate}")
    return Attestation(
        predicate=predicate,
        about=_about(plain["subject"]),
        body=documents.encode(plain["predicate"]),
        role=role,
        signer=verified.signer,
    )


def _about(subjects: Any) -> Digest:
    try:
        [subject] = subjects
        about = parse_digest(subject["name"])
        same = subject == {"name": about, "digest": {"sha256": hex_of(about)}}
    except (KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise _bad("its subject is not one digest, named twice alike")
    return about


def _bad(message: str) -> Unusable:
    return Unusable("bad-statement", f"the statement cannot be used: {message}")
