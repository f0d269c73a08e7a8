"""The conformance suite of the Attestor port, and its fit with the published formats."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.v1.statement import Statement  # type: ignore[import-untyped]
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage  # type: ignore[import-untyped]
from securesystemslib.dsse import Envelope
from securesystemslib.signer import Key  # type: ignore[attr-defined]

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor, key_id, pre_authentication_encoding
from greenroom.domain import documents
from greenroom.domain.digest import digest_of, hex_of
from greenroom.domain.errors import Bug, GreenroomError, Tampered, TooLarge, Unusable
from greenroom.domain.proof import Consent, Predicate, Role
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId
from greenroom.testing.log import attestors

ABOUT = digest_of("tree", b"green")
BODY = documents.encode(
    Consent(
        change=ChangeId("change-1"),
        plan=digest_of("plan", b"plan"),
        green=ABOUT,
        shown=digest_of("card", b"card"),
        actor="owner",
        expires=Instant(2**62),
        nonce="0f",
    )
)


@pytest.fixture(scope="module")
def roles() -> Mapping[Role, KeyAttestor]:
    return attestors()


def test_what_was_signed_is_opened_again(roles: Mapping[Role, KeyAttestor]) -> None:
    """Another role opens the envelope and finds digest, predicate, role and the body's very bytes."""
    envelope = roles["owner"].sign(Predicate.CONSENT, ABOUT, BODY)
    found = roles["guard"].open(envelope, Predicate.CONSENT, "owner")
    assert (found.predicate, found.about, found.body, found.role) == (Predicate.CONSENT, ABOUT, BODY, "owner")
    assert documents.decode(Consent, found.body).expires == 2**62


def test_the_role_is_bound_by_the_key(roles: Mapping[Role, KeyAttestor]) -> None:
    """What the keeper signed does not count as the owner's word."""
    envelope = roles["keeper"].sign(Predicate.CONSENT, ABOUT, BODY)
    with pytest.raises(Tampered, match="statement-forged"):
        roles["guard"].open(envelope, Predicate.CONSENT, "owner")


def test_a_foreign_box_is_not_believed(roles: Mapping[Role, KeyAttestor]) -> None:
    """A statement of another box's owner does not open here."""
    envelope = attestors()["owner"].sign(Predicate.CONSENT, ABOUT, BODY)
    with pytest.raises(Tampered, match="statement-forged"):
        roles["guard"].open(envelope, Predicate.CONSENT, "owner")


def test_one_predicate_is_not_taken_for_another(roles: Mapping[Role, KeyAttestor]) -> None:
    """A signed consent cannot be used as a lift."""
    envelope = roles["owner"].sign(Predicate.CONSENT, ABOUT, BODY)
    with pytest.raises(Unusable, match="wrong-predicate"):
        roles["guard"].open(envelope, Predicate.LIFT, "owner")


def test_a_former_key_still_opens_what_it_signed() -> None:
    """After a rotation the earlier public key stays in the list."""
    old, fresh = keys.generate(), keys.generate()
    envelope = KeyAttestor("owner", old, {"owner": (old.public,)}).sign(Predicate.LIFT, ABOUT, b"{}")
    after = KeyAttestor("owner", fresh, {"owner": (fresh.public, old.public)})
    assert after.open(envelope, Predicate.LIFT, "owner").about == ABOUT


def test_a_key_in_two_roles_is_refused() -> None:
    """One key for two roles would unbind them."""
    key = keys.generate()
    with pytest.raises(Unusable, match="key-in-two-roles"):
        KeyAttestor("owner", key, {"owner": (key.public,), "keeper": (key.public,)})


def test_a_private_key_must_fit_its_role() -> None:
    """A key that nobody could verify signs nothing."""
    with pytest.raises(Unusable, match="key-unknown"):
        KeyAttestor("owner", keys.generate(), {"owner": (keys.generate().public,)})


def test_who_can_sign_is_ready(roles: Mapping[Role, KeyAttestor]) -> None:
    """And signs then."""
    for attestor in roles.values():
        attestor.ready()
        assert attestor.sign(Predicate.CONSENT, ABOUT, BODY)


def test_without_a_private_key_nothing_is_signed() -> None:
    """An attestor that only verifies says so, before and when it is asked to sign."""
    with pytest.raises(Bug, match="no-signing-key"):
        KeyAttestor("guard", None, {}).ready()
    with pytest.raises(Bug, match="no-signing-key"):
        KeyAttestor("guard", None, {}).sign(Predicate.CONSENT, ABOUT, BODY)


@pytest.mark.parametrize("body", [b'{"b":1,"a":2}', b"[]", b"{} "])
def test_only_canonical_objects_are_signed(roles: Mapping[Role, KeyAttestor], body: bytes) -> None:
    """Another spelling would not come back as the same bytes."""
    with pytest.raises(Bug, match="body-not-canonical"):
        roles["owner"].sign(Predicate.CONSENT, ABOUT, body)


def test_every_changed_byte_is_noticed(roles: Mapping[Role, KeyAttestor]) -> None:
    """No byte of an envelope can be changed without a refusal."""
    envelope = roles["owner"].sign(Predicate.CONSENT, ABOUT, BODY)
    for at in range(len(envelope)):
        forged = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        with pytest.raises(GreenroomError):
            roles["guard"].open(forged, Predicate.CONSENT, "owner")


def test_an_envelope_has_one_spelling(roles: Mapping[Role, KeyAttestor]) -> None:
    """White space, a second signature or a free member make another digest of the same words: refused."""
    plain = json.loads(roles["owner"].sign(Predicate.CONSENT, ABOUT, BODY))
    doubled = plain | {"signatures": plain["signatures"] * 2}
    for other in (json.dumps(plain, indent=1).encode(), documents.encode(doubled), documents.encode(plain | {"x": 1})):
        with pytest.raises(Unusable, match="bad-envelope"):
            roles["guard"].open(other, Predicate.CONSENT, "owner")


def test_a_statement_about_two_digests_is_refused() -> None:
    """Even rightly signed, a statement has one subject, whose name and hash agree."""
    key = keys.generate()
    attestor = KeyAttestor("owner", key, {"owner": (key.public,)})
    good = {"name": ABOUT, "digest": {"sha256": hex_of(ABOUT)}}
    for subjects in ([], [good, good], [{"name": ABOUT, "digest": {"sha256": "0" * 64}}], [{"name": ABOUT}], None):
        payload = documents.encode(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": subjects,
                "predicateType": Predicate.LIFT.value,
                "predicate": {},
            }
        )
        signature = key.sign(pre_authentication_encoding("application/vnd.in-toto+json", payload))
        envelope = documents.encode(
            {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"keyid": key_id(key.public), "sig": base64.b64encode(signature).decode()}],
            }
        )
        with pytest.raises(Unusable, match="bad-statement"):
            attestor.open(envelope, Predicate.LIFT, "owner")


def test_an_envelope_is_bounded(roles: Mapping[Role, KeyAttestor]) -> None:
    """The parser is not given more than its bound."""
    with pytest.raises(TooLarge):
        roles["guard"].open(b" " * (5 * 1024 * 1024), Predicate.CONSENT, "owner")


@given(junk=st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)))
def test_junk_is_refused_as_unusable(junk: bytes) -> None:
    """Whatever bytes arrive, the answer is an error of the house."""
    with pytest.raises(Unusable):
        KeyAttestor("guard", None, {}).open(junk, Predicate.CONSENT, "owner")


def test_other_tools_read_the_envelope() -> None:
    """securesystemslib verifies the DSSE signature; in-toto's own library accepts the statement."""
    key = keys.generate()
    envelope = KeyAttestor("owner", key, {"owner": (key.public,)}).sign(Predicate.CONSENT, ABOUT, BODY)
    theirs = Envelope.from_dict(json.loads(envelope))
    public = Key.from_dict(
        key_id(key.public), {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": key.public.hex()}}
    )
    assert list(theirs.verify([public], 1)) == [key_id(key.public)]
    assert theirs.payload_type == "application/vnd.in-toto+json"
    parsed = json_format.Parse(theirs.payload, StatementMessage())
    Statement.copy_from_pb(parsed).validate()
    assert (parsed.predicate_type, parsed.subject[0].digest["sha256"]) == (Predicate.CONSENT, hex_of(ABOUT))
