"""Owns the step from an account's sealed DKIM keys to a signer; the dispatcher and the gateway take the same one.

A private key is opened and parsed once, not once a message. A key that cannot be opened is said so: mail that
its sender wants signed is never sent unsigned.
"""

from functools import lru_cache
from typing import Final

from shared.mail import address, dkim
from shared.runtime.configuration import Account, DkimKey, Identity
from shared.runtime.keyring import Keyring, KeyringError

_KEPT: Final = 4096


def signer_for(account: Account, from_address: str, keyring: Keyring) -> dkim.Signer | None:
    """Return what signs mail from this address, or None when its identity asks for no signature.

    Raises: KeyringError when a key cannot be opened or is not there.
    """
    if not any(identity.dkim for identity in account.identities):
        return None
    identity = _identity(account, from_address)
    return _signer(account, identity, keyring) if identity is not None else None


def _signer(account: Account, identity: Identity, keyring: Keyring) -> dkim.Signer | None:
    if not identity.dkim:
        return None
    keys = [
        dkim.Key(_private(keyring, key.secret, account.workspace, account.id), key.selector)
        for key in keys_of(account, identity)
        if not key.waits
    ]
    if len(keys) < len(identity.dkim):
        raise KeyringError(f"keyring: account {account.id} lacks a DKIM key of {domain_of(identity)}")
    return dkim.Signer(domain_of(identity), keys)


def check(account: Account, keyring: Keyring) -> None:
    """See that every identity has the keys it asks for, and that they can be opened. Raises: KeyringError."""
    for identity in account.identities:
        _signer(account, identity, keyring)


def keys_of(account: Account, identity: Identity) -> tuple[DkimKey, ...]:
    """Return the keys that mail of this identity is signed with, and those that wait to take their places."""
    domain = domain_of(identity)
    return tuple(key for key in account.dkim_keys if key.domain == domain and key.algorithm in identity.dkim)


def domain_of(identity: Identity) -> str:
    """Return the domain that signs for an identity, as DNS has it."""
    return address.to_ascii_domain(identity.address).rpartition("@")[2].lower()


def _identity(account: Account, from_address: str) -> Identity | None:
    wanted = address.normalised(from_address)
    for identity in account.identities:
        if address.normalised(identity.address) == wanted:
            return identity
    return None


@lru_cache(maxsize=_KEPT)
def _private(keyring: Keyring, sealed: str, workspace: str, account_id: str) -> dkim.PrivateKey:
    try:
        return dkim.read(keyring.open(sealed, workspace, account_id))
    except dkim.BadKey as error:
        raise KeyringError(f"keyring: a DKIM key of account {account_id} is damaged") from error
