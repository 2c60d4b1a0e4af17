"""Handles the requests that bring or take whole lists: CSV in, as a job whose progress can be read, and CSV out."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from typing import Final

from services.gateway import identifiers, reading
from services.gateway.errors import RATE_LIMITED, UNSUPPORTED_MEDIA_TYPE, ApiError, not_found, unavailable
from services.gateway.request import Download, Reply, Request
from services.gateway.suppressions import index, rows

CSV: Final = "text/csv"
MAX_FILE: Final = 256 * 1024 * 1024
BUSY: Final = "as many exports as may be are under way; try again when one has ended"
MAX_WAITING: Final = 10


async def start(request: Request) -> Reply:
    """Take a file in and begin to import it."""
    assert request.incoming is not None
    if request.services.imports.under_way >= MAX_WAITING:
        text = f"{MAX_WAITING} imports are under way or waiting; try again when one has ended"
        raise ApiError(RATE_LIMITED, text, headers={"Retry-After": "30"})
    kind, _, parameters = request.headers.get("Content-Type", "").partition(";")
    charset = parameters.lower().replace(" ", "").replace('"', "")
    if kind.strip().lower() != CSV or charset not in ("", "charset=utf-8", "header=present", "header=absent"):
        raise ApiError(UNSUPPORTED_MEDIA_TYPE, "the body must be text/csv in UTF-8")
    reading.require_plain(request.incoming)
    number = identifiers.fresh()
    key = f"{request.workspace}/{datetime.now(UTC):%Y-%m-%d}/{number}"
    services = request.services
    stored = await services.content.put_stream(key, _pieces(reading.Large(request.incoming, MAX_FILE)))
    try:
        job = await services.imports.start(request.workspace, number, key, stored.size, request.query.reason)
    except BaseException:
        await services.content.delete(key)
        raise
    return Reply(job)


async def _pieces(body: reading.Large) -> AsyncIterator[bytes]:
    while piece := await body.more():
        yield piece


async def progress(request: Request) -> Reply:
    """Return how far an import is."""
    job = await request.services.imports.read(request.workspace, request.path["id"])
    if job is None:
        raise not_found("import")
    return Reply(job)


async def export(request: Request) -> Download:
    """Return all suppressions as a file, without a limit. Raises: ApiError."""
    if request.services.exports.locked():
        raise unavailable(BUSY)
    # What cannot be had is refused before the first byte.
    await request.services.pool.fetchval(index.SQL["begin"])
    name = f"suppressions-{datetime.now(UTC):%Y-%m-%d}.csv"
    return Download(f"{CSV}; charset=utf-8", name, None, _exported(request))


async def _exported(request: Request) -> AsyncGenerator[bytes, None]:
    yield rows.written([rows.COLUMNS])
    # A reader may be slow, and holds a connection as long as it reads: few may.
    async with request.services.exports:
        async for some in index.every(request.services.pool, request.workspace, request.query.reason):
            yield rows.written(rows.of(some))
