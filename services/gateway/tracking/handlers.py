"""What each route of /tracking does: load, fold, answer."""

from services.gateway.emails import reading
from services.gateway.request import Reply, Request
from services.gateway.tracking import signals


async def show(request: Request) -> Reply:
    """Tell what came back about one email. Raises: ApiError."""
    email_id = request.path["emailId"]
    found = await reading.load(request.services, request.workspace, email_id, events=True)
    return Reply(signals.shown(email_id, found.records))
