"""Owns which DKIM keys an account has: one for each domain and kind that an identity asks for, and no other.

A key stays for as long as it is asked for, for its record stands in somebody's DNS; once nobody asks, it is
forgotten, and asking again makes another under another selector. A key that is to take another's place waits beside
it until DNS shows it, so that no mail is signed with what nobody can verify. All but `new` is pure.
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from services.gateway.accounts.fields import DkimCheck
from services.gateway.errors import Problem
from shared.mail import dkim
from shared.runtime import signing
from shared.runtime.configuration import Account, DkimKey

MAX_KEYS: Final = 20
_SIGNS: Final = "it signs from now on"
_WAITS: Final = "the key before it signs until DNS shows this one and verify is asked again"
_REPLACED: Final = "{} signs in its place: leave this record for a week, for mail that is under way"


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
    there = {_place(key) for key in account.dkim_keys}
    every = [*account.dkim_keys, *(key for key in made if _place(key) not in there)]
    keys = tuple(key for one in wanted(account) for key in every if _place(key) == one)
    return msgspec.structs.replace(account, dkim_keys=keys)


def settled(account: Account) -> tuple[Wanted, ...]:
    """Return the keys beside which none waits."""
    waiting = {_place(key) for key in account.dkim_keys if key.waits}
    return tuple(place for key in account.dkim_keys if (place := _place(key)) not in waiting)


def with_waiting(account: Account, made: Collection[DkimKey], now: datetime) -> Account:
    """Return the account with these keys waiting, each behind the one whose place it will take."""
    settled_ = settled(account)
    waiting = {
        _place(key): msgspec.structs.replace(key, waits=True) for key in made if _place(key) in settled_
    }
    keys: list[DkimKey] = []
    for key in account.dkim_keys:
        keys.append(key)
        if (successor := waiting.get(_place(key))) is not None:
            keys.append(successor)
    return msgspec.structs.replace(account, dkim_keys=tuple(keys), updated_at=now)


def in_force(account: Account, selectors: Collection[str], now: datetime) -> Account:
    """Return the account signing with those of its waiting keys; what they take the place of is forgotten."""
    ready = {_place(key) for key in account.dkim_keys if key.waits and key.selector in selectors}
    keys = tuple(
        msgspec.structs.replace(key, waits=False) if _place(key) in ready else key
        for key in account.dkim_keys
        if key.waits or _place(key) not in ready
    )
    return msgspec.structs.replace(account, dkim_keys=keys, updated_at=now)


def told(keys: Sequence[DkimKey], checks: Sequence[DkimCheck]) -> list[DkimCheck]:
    """Return the checks of these keys with what follows for each once those that DNS shows are in force."""
    ready = {
        _place(key): key.selector
        for key, check in zip(keys, checks, strict=True)
        if key.waits and check.dns == "ok"
    }
    return [_told(key, check, ready.get(_place(key))) for key, check in zip(keys, checks, strict=True)]


def _told(key: DkimKey, check: DkimCheck, successor: str | None) -> DkimCheck:
    if not key.waits and successor is None:
        return check
    what = _WAITS if successor is None else _SIGNS if key.waits else _REPLACED.format(successor)
    signs = key.waits and successor is not None
    return msgspec.structs.replace(check, signs=signs, message=f"{check.message}; {what}")


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
