"""What the gateway counts: requests by route and status, and how long they took."""

from typing import Final

from prometheus_client import Counter, Histogram

from services.gateway.routing import Route

REQUESTS: Final = Counter("sendlog_http_requests_total", "Answered requests", ["route", "status"])
SECONDS: Final = Histogram(
    "sendlog_http_request_seconds",
    "Time from the head of a request to its answer",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)
# `labels()` costs more than counting does, so each child is looked up once.
_requests: Final[dict[tuple[str, int], Counter]] = {}
_seconds: Final[dict[str, Histogram]] = {}


def observe(route: Route | None, status: int, seconds: float) -> None:
    """Count one answered request; unknown paths share one name, for clients choose them."""
    name = f"{route.method} {route.path}" if route else "none"
    counter = _requests.get((name, status))
    if counter is None:
        counter = _requests[name, status] = REQUESTS.labels(name, str(status))
        _seconds[name] = SECONDS.labels(name)
    counter.inc()
    _seconds[name].observe(seconds)
