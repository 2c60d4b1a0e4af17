"""Owns what is particular to aiohttp's low-level server: connections whose errors speak the contract too.

What is not HTTP never reaches the front; without this its answer would be aiohttp's own page.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from services.gateway import envelope, reading
from services.gateway.errors import INTERNAL_ERROR, VALIDATION_ERROR, ApiError, Problem

logger = structlog.get_logger(__name__)
# Longer than the 60 s of common load balancers, so that none of them meets a connection we have just closed;
# it also ends connections whose first head never comes.
KEEP_ALIVE: Final = 75.0
LINGER: Final = 1.0


class _Connection(RequestHandler):
    """One client's connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and what the front let through."""
        request_id = secrets.token_hex(16)
        if status < 500:
            problem = Problem("$", "the request is not framed as HTTP/1.1 requires")
            error = ApiError(VALIDATION_ERROR, "the request is not valid; see details", [problem])
        else:
            if not isinstance(exc, ConnectionError | reading.Gone):
                logger.error("request_failed", exc_info=exc, request_id=request_id)
            error = ApiError(INTERNAL_ERROR, "something went wrong on our side")
        response = envelope.failure(error, request_id, "", {"X-Request-Id": request_id})
        response.force_close()
        return response


class HttpServer(web.Server):
    """A server of plain requests: no application, no middleware, nothing decompressed, no access log."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handler)
        self._options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEP_ALIVE,
            "lingering_time": LINGER,
        }

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._options)
