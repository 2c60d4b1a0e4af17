"""What each route of /tracking and /events does: check, load, answer."""

from datetime import UTC, datetime
from typing import Final

from services.gateway.emails import reading
from services.gateway.errors import unavailable
from services.gateway.request import Download, Reply, Request
from services.gateway.tracking import asking, exporting, feed, signals, statistics

_BUSY: Final = "as many exports as may be are under way; try again when one has ended"


async def show(request: Request) -> Reply:
    """Tell what came back about one email. Raises: ApiError."""
    email_id = request.path["emailId"]
    found = await reading.load(request.services, request.workspace, email_id, events=True)
    return Reply(signals.shown(found.records))


async def count(request: Request) -> Reply:
    """Tell how many of everything there were. Raises: ApiError."""
    period = asking.period(request.query, datetime.now(UTC))
    stats, meta = await statistics.find(
        request.services.pool, request.workspace, period, request.query.interval
    )
    return Reply(stats, meta=meta)


async def export(request: Request) -> Download:
    """Give all signals as a file. Raises: ApiError."""
    services, as_csv = request.services, request.query.format == "csv"
    selection = asking.selection(request.query)
    if services.exports.locked():
        raise unavailable(_BUSY)
    # What cannot be had is refused before the first byte.
    await services.pool.fetchval(statistics.SQL["projected_at"])
    kind, ending = (f"{exporting.CSV}; charset=utf-8", "csv") if as_csv else (exporting.NDJSON, "ndjson")
    name = f"tracking-{datetime.now(UTC):%Y-%m-%d}.{ending}"
    pieces = exporting.every(services.pool, request.workspace, selection, as_csv, services.exports)
    return Download(kind, name, None, pieces)


async def events(request: Request) -> Reply:
    """Tell what happened after a place in the log. Raises: ApiError."""
    sequence, types = asking.place(request.query)
    page, meta = await feed.after(
        request.services.pool, request.workspace, sequence, types, request.query.limit
    )
    return Reply(page, meta=meta)
