"""The control of the HTTP rows: the same server library answering a validated hello-JSON POST (and a GET).

python -m bench.hello PORT
"""

import sys

import msgspec
from aiohttp import web

from shared.runtime import process


class Hello(msgspec.Struct, forbid_unknown_fields=True):
    """The body a control request carries: the fields of a send, so that decoding costs alike."""

    to: str
    subject: str
    text: str


_decoder = msgspec.json.Decoder(Hello)
_encode = msgspec.json.Encoder().encode


async def _post(request: web.Request) -> web.Response:
    hello = _decoder.decode(await request.read())
    body = _encode({"success": True, "data": {"to": hello.to}})
    return web.Response(body=body, status=202, content_type="application/json")


async def _get(_request: web.Request) -> web.Response:
    return web.Response(body=b'{"success":true}', content_type="application/json")


def app() -> web.Application:
    """Return the control application."""
    made = web.Application()
    made.add_routes([web.post("/hello", _post), web.get("/hello", _get)])
    return made


if __name__ == "__main__":
    import asyncio
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def build() -> AsyncIterator[None]:
        runner = web.AppRunner(app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
        yield
        await asyncio.sleep(0)
        await runner.cleanup()

    process.run("hello", build)
