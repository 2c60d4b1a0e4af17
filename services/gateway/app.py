"""Builds the gateway: the only place that constructs its parts."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from aiohttp import web

from services.gateway import docs, log_room, openapi, parts, readiness, routes
from services.gateway.authentication import Uses
from services.gateway.http_server import HttpServer
from services.gateway.serving import Front
from services.gateway.settings import Settings
from shared.runtime import process, settings

GRACE: Final = 10.0


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the gateway for the length of the block."""
    wanted = settings.read(Settings, os.environ)
    async with AsyncExitStack() as stack:
        services = await parts.opened(wanted, stack)
        uses = Uses(services.key_uses)
        stack.push_async_callback(uses.write)
        told = readiness.of(services)
        await told.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(told.stop)
        for work in (uses.write_for_ever(), log_room.watch(services)):
            await stack.enter_async_context(process.background(asyncio.create_task(work)))
        document = openapi.document(routes.TABLE, wanted.public_url)
        pages = docs.pages(document)
        pages |= {path: told.page(path) for path in ("/livez", "/readyz")}
        front = Front(routes.TABLE, services, uses, pages)
        runner = web.ServerRunner(HttpServer(front.answer), shutdown_timeout=GRACE)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)  # no new connections; requests in hand are finished
        await web.TCPSite(runner, wanted.gateway_host, wanted.gateway_port, backlog=1024).start()
        yield
        told.stopping = True
