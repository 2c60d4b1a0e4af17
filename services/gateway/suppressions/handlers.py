"""Handles the requests about suppressions: the bucket decides, the read model lists."""

import msgspec
from msgspec import UNSET

from services.gateway.errors import Problem, invalid, not_found
from services.gateway.request import Reply, Request
from services.gateway.suppressions import fields, index
from shared.mail import address
from shared.runtime.suppressions import Stored


async def create(request: Request) -> Reply:
    """Suppress an address; in force when answered. One that is suppressed already stays as it is (200)."""
    wanted: fields.NewSuppression = request.data
    try:
        email = address.parse(wanted.email).address
    except address.AddressError as error:
        raise invalid([Problem("$.email", str(error))]) from error
    lists = request.services.suppressions
    entry, new = await lists.add(request.workspace, email, wanted.reason, wanted.detail)
    return Reply(fields.shown(entry), status=201 if new else 200)


async def list_(request: Request) -> Reply:
    """Return the workspace's suppressions, newest first."""
    found, meta = await index.find(request.services.pool, request.workspace, request.query)
    return Reply(found, meta=meta)


async def show(request: Request) -> Reply:
    """Return one suppression, as it is in force."""
    return Reply(fields.shown((await _load(request)).entry))


async def change(request: Request) -> Reply:
    """Change the reason or the detail of one suppression."""
    given = {name: getattr(request.data, name) for name in ("reason", "detail")}
    given = {name: value for name, value in given.items() if value is not UNSET}
    lists = request.services.suppressions
    while True:
        known = await _load(request)
        fresh = msgspec.structs.replace(known.entry, **given)
        if await lists.change(request.workspace, request.path["email"], fresh, known.sequence):
            return Reply(fields.shown(fresh))


async def remove(request: Request) -> Reply:
    """Take an address off the list and return the suppression as it was."""
    entry = await request.services.suppressions.remove(request.workspace, request.path["email"])
    if entry is None:
        raise not_found("suppression")
    return Reply(fields.shown(entry))


async def _load(request: Request) -> Stored:
    known = await request.services.suppressions.get(request.workspace, request.path["email"])
    if known is None:
        raise not_found("suppression")
    return known
