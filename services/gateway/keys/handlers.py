"""Handles the requests about API keys: load, decide, write to the bucket, answer.

The bucket is keyed by the hash of the token, for that is what every request brings; an id is found by
looking through memory, caught up with the leader.
"""

import asyncio
from datetime import UTC, datetime

from services.gateway import identifiers, paging
from services.gateway.errors import invalid, not_found
from services.gateway.keys import decisions, fields
from services.gateway.request import Reply, Request
from shared.runtime import buckets
from shared.runtime.configuration import ApiKey, hash_token, new_token


async def create(request: Request) -> Reply:
    """Make a key and show its token, this once."""
    _refuse(request.data)
    key = decisions.opened(identifiers.fresh(), request.data, request.key, datetime.now(UTC))
    token = new_token()
    await request.services.keys.put(hash_token(token), key, revision=0)
    return Reply(fields.made(key, token))


async def list_(request: Request) -> Reply:
    """Return the workspace's keys, oldest first."""
    await request.services.keys.catch_up()
    mine = [key for key in request.services.keys.items().values() if key.workspace == request.workspace]
    page, meta = paging.cut(sorted(mine, key=_place), request.query, _place)
    return Reply([_shown(request, key) for key in page], meta=meta)


async def show(request: Request) -> Reply:
    """Return one key."""
    _, _, key = await _load(request)
    return Reply(_shown(request, key))


async def change(request: Request) -> Reply:
    """Change one key; answered when every replica judges by it."""
    _refuse(request.data)
    while True:
        digest, revision, key = await _load(request)
        fresh = decisions.changed(key, request.data, request.key)
        try:
            await request.services.keys.put(digest, fresh, revision=revision)
            break
        except buckets.Changed:
            continue
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(_shown(request, fresh))


async def remove(request: Request) -> Reply:
    """Revoke one key and return it as it was; answered when no replica accepts it any more."""
    digest, _, key = await _load(request)
    shown = _shown(request, key)
    await request.services.keys.delete(digest)
    await request.services.key_uses.delete(key.id)
    await asyncio.sleep(buckets.SETTLED_AFTER)
    return Reply(shown)


async def _load(request: Request) -> tuple[str, int, ApiKey]:
    """Return (hash, revision, key) as the leader has it. Raises: ApiError, also for another workspace's."""
    keys = request.services.keys
    await keys.catch_up()
    for digest, key in keys.items().items():
        if key.id == request.path["id"] and key.workspace == request.workspace:
            found = await keys.read(digest)
            if found is not None:
                return digest, *found
    raise not_found("key")


def _refuse(wanted: fields.NewKey | fields.KeyChange) -> None:
    problems = list(decisions.problems(wanted, datetime.now(UTC)))
    if problems:
        raise invalid(problems)


def _place(key: ApiKey) -> str:
    return f"{key.created_at:%Y-%m-%dT%H:%M:%S.%f}{key.id}"


def _shown(request: Request, key: ApiKey) -> fields.KeyShown:
    use = request.services.key_uses.peek(key.id)
    return fields.shown(key, use.last_used_at if use else None)
