"""Decides what a key may become, and that nobody grants more than they have. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.errors import FORBIDDEN, ApiError, Problem
from services.gateway.keys.fields import KeyChange, NewKey
from shared.runtime.configuration import PERMISSIONS, ApiKey


def problems(wanted: NewKey | KeyChange, now: datetime) -> Iterator[Problem]:
    """Yield what no key can have."""
    if wanted.permissions is not UNSET:
        for index, permission in enumerate(wanted.permissions):
            if permission not in PERMISSIONS:
                yield Problem(f"$.permissions[{index}]", f"must be one of {', '.join(PERMISSIONS)}")
            elif permission in wanted.permissions[:index]:
                yield Problem(f"$.permissions[{index}]", "is there twice")
    if isinstance(wanted.expires_at, datetime) and wanted.expires_at <= now:
        yield Problem("$.expires_at", "is in the past")


def refuse_more(granted: Iterable[str], grantor: ApiKey) -> None:
    """Refuse to let a key grant what it lacks. Raises: ApiError (FORBIDDEN) naming it."""
    lacking = [permission for permission in granted if permission not in grantor.permissions]
    if lacking:
        raise ApiError(FORBIDDEN, f"this key cannot grant what it lacks: {', '.join(lacking)}")


def refuse_longer(
    rate_limit: int | UnsetType, expires_at: datetime | UnsetType | None, grantor: ApiKey
) -> None:
    """Refuse to let a key grant more requests or a longer life than it has. Raises: ApiError (FORBIDDEN)."""
    if rate_limit is not UNSET and rate_limit > grantor.rate_limit:
        raise ApiError(FORBIDDEN, f"this key cannot grant a rate_limit above its own, {grantor.rate_limit}")
    end = grantor.expires_at
    if expires_at is not UNSET and end is not None and (expires_at is None or expires_at > end):
        raise ApiError(FORBIDDEN, f"this key cannot grant an expires_at after its own, {end.isoformat()}")


def opened(key_id: str, wanted: NewKey, grantor: ApiKey, now: datetime) -> ApiKey:
    """Return the new key. Raises: ApiError."""
    refuse_more(wanted.permissions, grantor)
    refuse_longer(wanted.rate_limit, wanted.expires_at, grantor)
    return ApiKey(
        id=key_id,
        workspace=grantor.workspace,
        name=wanted.name,
        permissions=tuple(wanted.permissions),
        created_at=now,
        expires_at=_in_utc(wanted.expires_at),
        environment=wanted.environment,
        rate_limit=wanted.rate_limit,
    )


def changed(key: ApiKey, wanted: KeyChange, grantor: ApiKey) -> ApiKey:
    """Return the key with the change; what it had already may stay, whoever changes it. Raises: ApiError."""
    given = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not UNSET}
    if wanted.permissions is not UNSET:
        refuse_more((item for item in wanted.permissions if item not in key.permissions), grantor)
        given["permissions"] = tuple(wanted.permissions)
    refuse_longer(
        wanted.rate_limit if wanted.rate_limit is UNSET or wanted.rate_limit > key.rate_limit else UNSET,
        UNSET if _is_no_later(wanted.expires_at, key.expires_at) else wanted.expires_at,
        grantor,
    )
    if isinstance(wanted.expires_at, datetime):
        given["expires_at"] = _in_utc(wanted.expires_at)
    return msgspec.structs.replace(key, **given)


def _is_no_later(wanted: datetime | UnsetType | None, known: datetime | None) -> bool:
    return known is None or (isinstance(wanted, datetime) and wanted <= known)


def _in_utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None
