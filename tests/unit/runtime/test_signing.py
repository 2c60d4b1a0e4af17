"""From an account to its signer: who asked is signed with the domain's keys, and nothing is sent unsigned by fault."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from shared.mail import dkim
from shared.runtime import keyring, signing
from shared.runtime.configuration import Account, DkimKey, Identity, Smtp
from shared.runtime.keyring import Keyring
from tests.controls import dkim_reader

AT = datetime(2026, 11, 24, tzinfo=UTC)
HEADER = b"From: a@example.com\r\nSubject: s\r\n"


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    keyring.create(tmp_path / "keyring")
    return keyring.load(tmp_path / "keyring")


def account(ring: Keyring, *kinds: dkim.Algorithm) -> Account:
    keys = []
    for kind in kinds:
        private = dkim.new_private_key(kind)
        keys.append(
            DkimKey(
                domain="example.com", algorithm=kind, selector=kind, public=dkim.public_part(private),
                secret=ring.seal(dkim.stored(private), "default", "a"), created_at=AT,
            )
        )  # fmt: skip
    return Account(
        id="a", workspace="default", name="a", smtp=Smtp(host="smtp.example.com", port=25),
        identities=(
            Identity(address="a@example.com", dkim=kinds),
            Identity(address="one@EXAMPLE.com", dkim=kinds[:1]),
            Identity(address="none@example.com"),
        ),
        dkim_keys=tuple(keys), created_at=AT, updated_at=AT,
    )  # fmt: skip


def fields(opened: Account, sender: str, ring: Keyring) -> list[bytes]:
    signer = signing.signer_for(opened, sender, ring)
    return [] if signer is None else signer.fields(HEADER, dkim.BodyHash().digest(), AT)


def test_an_identity_is_signed_with_the_keys_it_asks_for_and_others_are_not(ring: Keyring) -> None:
    opened = account(ring, "ed25519", "rsa")
    assert len(fields(opened, "A@Example.COM", ring)) == 2
    assert len(fields(opened, "one@example.com", ring)) == 1
    assert fields(opened, "none@example.com", ring) == []
    assert fields(opened, "stranger@example.com", ring) == []


def test_what_the_account_publishes_verifies_what_it_signs(ring: Keyring) -> None:
    opened = account(ring, "ed25519", "rsa")
    message = b"".join(fields(opened, "a@example.com", ring)) + HEADER + b"\r\n"
    records = {
        dkim.record_name(key.selector, key.domain): dkim.record_value(key.algorithm, key.public)
        for key in opened.dkim_keys
    }
    assert dkim_reader.verdicts(message, records.__getitem__) == [True, True]


def test_a_key_that_cannot_be_opened_is_said_and_not_left_out(ring: Keyring, tmp_path: Path) -> None:
    opened = account(ring, "ed25519", "rsa")
    moved = msgspec.structs.replace(opened, id="b")
    lacking = msgspec.structs.replace(opened, dkim_keys=opened.dkim_keys[:1])
    damaged = msgspec.structs.replace(
        opened,
        dkim_keys=(msgspec.structs.replace(opened.dkim_keys[0], secret=ring.seal("no key", "default", "a")),),
    )
    for broken in (moved, lacking, damaged):
        with pytest.raises(keyring.KeyringError):
            signing.signer_for(broken, "a@example.com", ring)
        with pytest.raises(keyring.KeyringError):
            signing.check(broken, ring)
    signing.check(opened, ring)


def test_keys_stay_readable_after_the_keyring_was_rotated(ring: Keyring, tmp_path: Path) -> None:
    opened = account(ring, "ed25519")
    keyring.rotate(tmp_path / "keyring")
    assert fields(opened, "a@example.com", keyring.load(tmp_path / "keyring"))
    content = json.loads((tmp_path / "keyring").read_bytes())
    del content["keys"]["k1"]
    (tmp_path / "keyring").write_text(json.dumps(content))
    with pytest.raises(keyring.KeyringError):
        fields(opened, "a@example.com", keyring.load(tmp_path / "keyring"))
