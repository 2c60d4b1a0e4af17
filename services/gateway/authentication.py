"""Owns who is asking: the bearer token becomes an API key, or one and the same 401.

Keys are found in memory by the hash of the token. A token memory does not know is confirmed with the leader
before it is refused, so a key works on every replica as soon as its 201 was sent; all such questions share
one request at a time, so a flood of bad tokens cannot hammer the broker.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from services.gateway.errors import FORBIDDEN, UNAUTHORIZED, ApiError
from services.gateway.request import KeyUse
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import ApiKey, hash_token
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
MAX_TOKEN: Final = 200
LATE_WITHIN: Final = 0.2
NOTED_EVERY: Final = 60.0
WRITTEN_EVERY: Final = 5.0


def unauthorized() -> ApiError:
    """Return the one answer for no key, an unknown, an expired and a revoked one."""
    return ApiError(
        UNAUTHORIZED, "a valid API key is required", headers={"WWW-Authenticate": 'Bearer realm="sendlog"'}
    )


def token(authorization: str | None) -> str:
    """Return the token of an Authorization header. Raises: ApiError."""
    scheme, _, value = (authorization or "").partition(" ")
    value = value.strip()
    if scheme.lower() != "bearer" or not value.startswith("sk_") or len(value) > MAX_TOKEN:
        raise unauthorized()
    return value


def require(key: ApiKey, permission: str) -> None:
    """Refuse a key that may not do this, naming what it lacks. Raises: ApiError."""
    if permission not in key.permissions:
        raise ApiError(FORBIDDEN, f"this key lacks the permission {permission}")


async def identify(keys: Bucket[ApiKey], authorization: str | None, *, connected: bool) -> ApiKey:
    """Return the key of this request. Raises: ApiError, BrokerUnavailable if nobody knows."""
    digest = hash_token(token(authorization))
    key = keys.peek(digest)
    if key is None or (connected and keys.is_behind()):
        key = await _confirmed(keys, digest, key)
    if key is None or (key.expires_at is not None and key.expires_at <= datetime.now(UTC)):
        raise unauthorized()
    return key


async def _confirmed(keys: Bucket[ApiKey], digest: str, known: ApiKey | None) -> ApiKey | None:
    """Ask the leader; a key we know goes on working while the leader does not answer."""
    if known is None:
        await keys.catch_up()
        return keys.peek(digest)
    try:
        async with asyncio.timeout(LATE_WITHIN):
            await keys.catch_up()
    except (BrokerUnavailable, TimeoutError):
        return known
    return keys.peek(digest)


class Uses:
    """When each key was last used: in memory at once, in its bucket at most once a minute."""

    def __init__(self, bucket: Bucket[KeyUse]) -> None:
        self._bucket = bucket
        self._noted: dict[str, float] = {}
        self._unwritten: dict[str, datetime] = {}

    def note(self, key_id: str, now: float) -> None:
        """Remember that the key was used; `now` is the loop's clock."""
        if now - self._noted.get(key_id, -NOTED_EVERY) >= NOTED_EVERY:
            self._noted[key_id] = now
            self._unwritten[key_id] = datetime.now(UTC)

    async def write_for_ever(self) -> None:
        """Write what was noted, every few seconds."""
        while True:
            await asyncio.sleep(WRITTEN_EVERY)
            await self.write()

    async def write(self) -> None:
        """Write what was noted; what cannot be written now is tried again later."""
        for key_id, at in list(self._unwritten.items()):
            try:
                known = self._bucket.peek(key_id)
                if known is None or at - known.last_used_at >= timedelta(seconds=NOTED_EVERY):
                    await self._bucket.put(key_id, KeyUse(at))
                self._unwritten.pop(key_id, None)
            except BrokerUnavailable as error:
                logger.debug("key_use_not_written", error=str(error))
                return
