"""Owns the shapes of /keys; the token is in the answer that makes it, and nowhere else."""

from datetime import datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.runtime.configuration import RATE_PER_MINUTE, ApiKey

MAX_RATE = 10_000_000
Name: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"\A[^\x00-\x1f\x7f\x85\u2028\u2029]+\Z",
        description="one line without control characters",
    ),
]
Label: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        pattern=r"\A[A-Za-z0-9_.-]+\Z",
        description="letters, digits and _ . - only",
    ),
]
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]
Rate: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_RATE, description="requests a minute")]
Permissions: TypeAlias = Annotated[list[str], Meta(min_length=1, max_length=64)]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key to make; it can do no more than the key that makes it."""

    name: Name
    permissions: Permissions
    expires_at: Time | None = None
    environment: Label | None = None
    rate_limit: Rate = RATE_PER_MINUTE


class KeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is absent stays."""

    name: Name | UnsetType = UNSET
    permissions: Permissions | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET
    environment: Label | UnsetType | None = UNSET
    rate_limit: Rate | UnsetType = UNSET


class KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is, without its token; `last_used_at` is exact to the minute."""

    id: str
    name: str
    permissions: tuple[str, ...]
    environment: str | None
    rate_limit: int
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class KeyMade(KeyShown, frozen=True, kw_only=True):
    """A new API key with its token, which is shown this once."""

    key: str


def shown(key: ApiKey, last_used_at: datetime | None) -> KeyShown:
    """Return the key as a client may see it."""
    return KeyShown(**_common(key), last_used_at=last_used_at)


def made(key: ApiKey, token: str) -> KeyMade:
    """Return the key with its token."""
    return KeyMade(**_common(key), last_used_at=None, key=token)


def _common(key: ApiKey) -> dict[str, Any]:
    names = ("id", "name", "permissions", "environment", "rate_limit", "created_at", "expires_at")
    return {name: getattr(key, name) for name in names}
