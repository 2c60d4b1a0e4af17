"""What every process tells about itself: /livez, /readyz (per dependency, with reasons), /metrics."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.runtime.log import Log
from shared.runtime.publisher import Publisher

logger = structlog.get_logger(__name__)
Check = Callable[[], Awaitable[str | None]]
Page = Callable[[web.BaseRequest], Awaitable[web.Response]]
_encode: Final = msgspec.json.Encoder().encode


class Health:
    """Named checks; each returns None when its dependency works, else the reason."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._vital: set[str] = {"process"}
        self._runner: web.AppRunner | None = None
        self.stopping = False

    def add(self, name: str, check: Check, *, vital: bool = True) -> None:
        """Register the check of one dependency; one that is not vital is told but leaves us ready."""
        self._checks[name] = check
        if vital:
            self._vital.add(name)

    def page(self, path: str) -> Page:
        """Return the handler of one of the three paths, for a process that serves HTTP anyway."""
        return {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}[path]

    async def serve(self, host: str, port: int) -> None:
        """Listen for health requests on a port of their own."""
        app = web.Application()
        app.add_routes([web.get(path, self.page(path)) for path in ("/livez", "/readyz", "/metrics")])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    async def problems(self) -> dict[str, str]:
        """Return the reason of every dependency that does not work."""
        found = {"process": "stopping"} if self.stopping else {}
        for name, check in self._checks.items():
            reason = await _asked(name, check)
            if reason is not None:
                found[name] = reason
        return found

    async def _livez(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.BaseRequest) -> web.Response:
        problems = await self.problems()
        checks = {name: problems.get(name, "ok") for name in {**self._checks, **problems}}
        ready = self._vital.isdisjoint(problems)
        body = _encode({"ready": ready, "checks": checks})
        return web.Response(body=body, status=200 if ready else 503, content_type="application/json")

    async def _metrics(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _asked(name: str, check: Check) -> str | None:
    """Return the reason a check gives; one that fails is a reason too, whose words are for the log alone."""
    try:
        return await check()
    except Exception as error:
        logger.exception("check_failed", check=name, exc_info=error)
        return "the check itself failed; the log says how"


def broker_check(log: Log, publisher: Publisher) -> Check:
    """Return the check of the broker: connected, and the last append did not fail."""

    async def check() -> str | None:
        if not log.client.is_connected:
            return "not connected to the broker"
        return publisher.problem

    return check
