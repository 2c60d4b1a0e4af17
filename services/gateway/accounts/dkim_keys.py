"""Owns which DKIM keys an account has: one for each domain and kind that an identity asks for, and no other.

A key stays for as long as it is asked for, for its record stands in somebody's DNS; once nobody asks, it is
forgotten, and asking again makes another under another selector. All but `new` is pure.
"""

import secrets
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from services.gateway.errors import Problem
from shared.mail import dkim
from shared.runtime import signing
from shared.runtime.configuration import Account, DkimKey

MAX_KEYS: Final = 20


class Wanted(NamedTuple):
    """One key that identities of a domain share."""

    domain: str
    algorithm: dkim.Algorithm


def wanted(account: Account) -> tuple[Wanted, ...]:
    """Return each key that the identities ask for, once."""
    every = (
        Wanted(signing.domain_of(identity), algorithm)
        for identity in account.identities
        for algorithm in identity.dkim
    )
    return tuple(dict.fromkeys(every))


def problems(account: Account) -> list[Problem]:
    """Say whether more keys are asked for than an account may have."""
    if len(wanted(account)) <= MAX_KEYS:
        return []
    return [Problem("$.identities", f"ask for more than {MAX_KEYS} DKIM keys; open another account")]


def missing(account: Account) -> tuple[Wanted, ...]:
    """Return the keys that are asked for and not there."""
    there = {_place(key) for key in account.dkim_keys}
    return tuple(one for one in wanted(account) if one not in there)


def fitted(account: Account, made: Collection[DkimKey]) -> Account:
    """Return the account with the keys that are asked for: those it has, and else those just made."""
    known = {_place(key): key for key in (*made, *account.dkim_keys)}
    keys = tuple(known[one] for one in wanted(account) if one in known)
    return msgspec.structs.replace(account, dkim_keys=keys)


def new(one: Wanted, seal: Callable[[str], str], now: datetime) -> DkimKey:
    """Make a key; for RSA that takes a while and belongs into a thread."""
    private = dkim.new_private_key(one.algorithm)
    return DkimKey(
        domain=one.domain,
        algorithm=one.algorithm,
        selector=f"s{now:%Y%m}-{one.algorithm}-{secrets.token_hex(3)}",
        public=dkim.public_part(private),
        secret=seal(dkim.stored(private)),
        created_at=now,
    )


def _place(key: DkimKey) -> Wanted:
    return Wanted(key.domain, key.algorithm)
