"""Owns the way of a request: matched, identified, counted, allowed, read, handled, answered.

One function and no middleware, for this is on the path of every email. Whatever goes wrong, on either side,
leaves as an error of the contract with the request's id; a fault of ours is logged once and not described.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog
from aiohttp import web

from services.gateway import (
    authentication,
    envelope,
    identifiers,
    json_body,
    metrics,
    path_parameters,
    reading,
    validation,
)
from services.gateway.answer import Answer, FileAnswer
from services.gateway.errors import INTERNAL_ERROR, RATE_LIMITED, ApiError, unavailable
from services.gateway.rate_limit import Limiter
from services.gateway.request import Download, Request, Services
from services.gateway.routing import Route, Table
from shared.runtime.configuration import ApiKey
from shared.runtime.content import ContentUnavailable
from shared.runtime.log import BrokerUnavailable
from shared.runtime.postgres import UNAVAILABLE
from shared.runtime.publisher import Unconfirmed

logger = structlog.get_logger(__name__)
Page = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_NO_ROUTE: Final = "none"  # clients choose unknown paths, so they share one name
NOT_CONFIRMED: Final = (
    "the email is not confirmed: the log did not answer in time and may or may not have it. "
    "Repeat the request with the same Idempotency-Key, and there will be one email"
)
NO_BROKER: Final = (
    "the broker does not answer right now; nothing was changed that it did not confirm. Try again"
)
NO_KEY: Final = "the API key cannot be looked up right now; nothing was tried. Try again"
NO_DATABASE: Final = "the database does not answer right now; try again"
NO_CONTENT: Final = "the content store does not answer right now; try again"


class Front:
    """Answers every request of the public port: the routes of the table, and pages that need no key."""

    def __init__(
        self, table: Table, services: Services, uses: authentication.Uses, pages: dict[str, Page]
    ) -> None:
        self._table = table
        self._services = services
        self._uses = uses
        self._pages = pages
        self._limiter = Limiter()
        self._clock = asyncio.get_running_loop().time

    async def answer(self, incoming: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to one request; never raises but for a cancellation or a client that left."""
        path = incoming.rel_url.raw_path
        request_id = _request_id(incoming.headers.get("X-Request-Id"))
        page = self._pages.get(path)
        if page is not None and incoming.method in ("GET", "HEAD"):
            shown = await page(incoming)
            shown.headers["X-Request-Id"] = request_id
            return shown
        started = self._clock()
        headers = {"X-Request-Id": request_id}
        route: Route | None = None
        response: Answer | FileAnswer
        try:
            route, values = self._table.match(incoming.method, path)
            response = await self._serve(incoming, route, values, request_id, headers)
        except (asyncio.CancelledError, reading.Gone):
            raise
        except ApiError as refusal:
            response = self._refuse(incoming, refusal, request_id, headers)
        except Exception as fault:
            response = self._refuse(incoming, explain(fault, route, request_id), request_id, headers)
        metrics.observe(route.name if route else _NO_ROUTE, response.status, self._clock() - started)
        return response

    async def _serve(
        self,
        incoming: web.BaseRequest,
        route: Route,
        values: list[str],
        request_id: str,
        headers: dict[str, str],
    ) -> Answer | FileAnswer:
        services = self._services
        key = await self._identify(incoming)
        self._count(key.id, key.rate_limit, headers)
        authentication.require(key, route.permission)
        request = Request(
            services,
            request_id,
            key,
            path_parameters.read(route.ids, values) if values else {},
            None,
            incoming.headers,
        )
        if route.query is not None or incoming.rel_url.raw_query_string:
            request.query = _query(incoming, route)
        if route.may_be_empty and not incoming.can_read_body:
            request.data = validation.convert({}, route.body)
        elif route.body is not None:
            reading.require_json(incoming)
            request.body = await reading.body(incoming, services.settings.json_bytes)
            if route.decode:
                request.data = validation.convert(json_body.parse(request.body), route.body)
        elif route.form is not None or route.upload is not None:
            request.incoming = incoming
        elif route.method == "POST":
            await reading.nothing(incoming)
        reply = await route.handler(request)
        if reply.headers:
            headers.update(reply.headers)
        if isinstance(reply, Download):
            return envelope.file(route.status, reply, headers)
        return envelope.success(reply.status or route.status, reply.data, reply.meta, headers)

    async def _identify(self, incoming: web.BaseRequest) -> ApiKey:
        """Return the request's key. Raises: ApiError, also when nobody knows whether it is one."""
        services = self._services
        try:
            return await authentication.identify(
                services.keys,
                incoming.headers.get("Authorization"),
                connected=services.client.is_connected,
            )
        except BrokerUnavailable as error:
            logger.warning("key_not_looked_up", error=str(error))
            raise unavailable(NO_KEY) from error

    def _count(self, key_id: str, limit: int, headers: dict[str, str]) -> None:
        now = self._clock()
        verdict = self._limiter.take(key_id, limit, now)
        headers["RateLimit-Limit"] = str(verdict.limit)
        headers["RateLimit-Remaining"] = str(verdict.remaining)
        headers["RateLimit-Reset"] = str(verdict.reset)
        if verdict.wait:
            raise ApiError(
                RATE_LIMITED,
                f"this key may make {limit} requests a minute",
                headers={"Retry-After": str(verdict.wait)},
            )
        self._uses.note(key_id, now)

    def _refuse(
        self, incoming: web.BaseRequest, error: ApiError, request_id: str, headers: dict[str, str]
    ) -> Answer:
        response = envelope.failure(error, request_id, incoming.headers.get("Accept", ""), headers)
        if error.status in (408, 413):  # the rest of the body is not worth waiting for
            response.force_close()
        return response


def explain(fault: Exception, route: Route | None, request_id: str) -> ApiError:
    """Return what a client is told of a fault that is not its own, and log what it is not told."""
    context = {"request_id": request_id, "route": route.name if route else None}
    if isinstance(fault, Unconfirmed | BrokerUnavailable):
        logger.warning("broker_unavailable", error=str(fault), **context)
        return unavailable(NOT_CONFIRMED if route and route.idempotency_key else NO_BROKER)
    if isinstance(fault, ContentUnavailable):
        logger.warning("content_unavailable", error=str(fault), **context)
        return unavailable(NO_CONTENT)
    if isinstance(fault, (*UNAVAILABLE, asyncpg.QueryCanceledError)):
        logger.warning("database_unavailable", error=repr(fault), **context)
        return unavailable(NO_DATABASE)
    logger.error("request_failed", exc_info=fault, **context)
    return ApiError(
        INTERNAL_ERROR, "something went wrong on our side; quote the request_id when you report it"
    )


def _request_id(given: str | None) -> str:
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    return identifiers.request_id()


def _query(incoming: web.BaseRequest, route: Route) -> object:
    given: dict[str, list[str]] = {}
    for name, value in incoming.rel_url.query.items():
        given.setdefault(name, []).append(value)
    return validation.query(given, route.query or validation.Nothing)
