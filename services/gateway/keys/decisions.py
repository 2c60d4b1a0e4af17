"""Decides what a key may become, and that nobody grants more than they have. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

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


def opened(key_id: str, wanted: NewKey, grantor: ApiKey, now: datetime) -> ApiKey:
    """Return the new key. Raises: ApiError."""
    refuse_more(wanted.permissions, grantor)
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
    if isinstance(wanted.expires_at, datetime):
        given["expires_at"] = _in_utc(wanted.expires_at)
    return msgspec.structs.replace(key, **given)


def _in_utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None
