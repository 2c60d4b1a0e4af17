"""Seals an account's secrets anew once the keyring was rotated, so that the old key can be dropped. Pure."""

import msgspec

from shared.runtime.configuration import Account, DkimKey
from shared.runtime.keyring import Keyring


def resealed(account: Account, ring: Keyring) -> Account:
    """Return the account with every secret under the current key; itself when they are. Raises: KeyringError."""

    def anew(secret: str) -> str:
        if ring.is_current(secret):
            return secret
        return ring.seal(ring.open(secret, account.workspace, account.id), account.workspace, account.id)

    def key_anew(key: DkimKey) -> DkimKey:
        return msgspec.structs.replace(key, secret=anew(key.secret))

    if all(ring.is_current(secret) for secret in _secrets(account)):
        return account
    smtp = account.smtp
    if smtp.secret is not None:
        smtp = msgspec.structs.replace(smtp, secret=anew(smtp.secret))
    imap = account.imap
    if imap is not None:
        imap = msgspec.structs.replace(imap, secret=anew(imap.secret))
    keys = tuple(key_anew(key) for key in account.dkim_keys)
    return msgspec.structs.replace(account, smtp=smtp, imap=imap, dkim_keys=keys)


def _secrets(account: Account) -> list[str]:
    found = [account.smtp.secret, account.imap.secret if account.imap else None]
    return [*filter(None, found), *(key.secret for key in account.dkim_keys)]
