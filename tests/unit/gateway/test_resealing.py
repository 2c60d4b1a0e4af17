"""Sealing secrets anew: all of them, with nothing else changed, and the old key is needed no more."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from services.gateway.accounts import resealing
from shared.runtime import keyring
from shared.runtime.configuration import Account, DkimKey, Identity, Imap, Smtp
from shared.runtime.keyring import Keyring

AT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    keyring.create(tmp_path / "keyring")
    return tmp_path / "keyring"


def account(ring: Keyring) -> Account:
    def sealed(secret: str) -> str:
        return ring.seal(secret, "default", "a")

    key = DkimKey(
        domain="example.com", algorithm="rsa", selector="s", public="p", secret=sealed("dkim"), created_at=AT
    )
    return Account(
        id="a", workspace="default", name="a", identities=(Identity(address="a@example.com", dkim=("rsa",)),),
        smtp=Smtp(host="smtp.example.com", port=25, auth="password", username="u", secret=sealed("smtp")),
        imap=Imap(host="imap.example.com", port=993, username="u", secret=sealed("imap")),
        dkim_keys=(key,), created_at=AT, updated_at=AT,
    )  # fmt: skip


def test_after_sealing_anew_the_old_key_can_be_dropped(place: Path) -> None:
    before = account(keyring.load(place))
    keyring.rotate(place)
    after = resealing.resealed(before, keyring.load(place))
    content = json.loads(place.read_bytes())
    del content["keys"]["k1"]
    place.write_text(json.dumps(content))
    ring = keyring.load(place)
    assert after.smtp.secret is not None
    assert ring.open(after.smtp.secret, "default", "a") == "smtp"
    assert after.imap is not None
    assert ring.open(after.imap.secret, "default", "a") == "imap"
    assert ring.open(after.dkim_keys[0].secret, "default", "a") == "dkim"


def test_nothing_but_the_seals_is_changed(place: Path) -> None:
    before = account(keyring.load(place))
    keyring.rotate(place)
    after = resealing.resealed(before, keyring.load(place))
    restored = msgspec.structs.replace(after, smtp=before.smtp, imap=before.imap, dkim_keys=before.dkim_keys)
    assert restored == before
    assert msgspec.structs.replace(after.smtp, secret=before.smtp.secret) == before.smtp


def test_an_account_that_is_sealed_with_the_current_key_is_left_alone(place: Path) -> None:
    ring = keyring.load(place)
    known = account(ring)
    assert resealing.resealed(known, ring) is known


def test_a_secret_that_cannot_be_opened_is_said(place: Path) -> None:
    before = msgspec.structs.replace(account(keyring.load(place)), workspace="another")
    keyring.rotate(place)
    with pytest.raises(keyring.KeyringError):
        resealing.resealed(before, keyring.load(place))
