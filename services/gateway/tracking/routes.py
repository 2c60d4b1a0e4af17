"""The routes of /tracking: their shapes, permissions and codes."""

from services.gateway import errors
from services.gateway.routing import Route
from services.gateway.tracking import handlers, signals

_TAG = "Tracking"

ROUTES = (
    Route(
        method="GET",
        path="/tracking/{emailId}",
        permission="tracking.read",
        summary="Read what came back about an email",
        description="Oldest first. Hits of machines are there too, marked as such and with the reason.",
        handler=handlers.show,
        data=list[signals.Signal],
        errors=(errors.NOT_FOUND, errors.UNAVAILABLE),
        tag=_TAG,
    ),
)
