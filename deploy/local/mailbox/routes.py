"""The mailbox over HTTP, for programs: JSON, exact bytes, and nothing kept in memory.

Only for whoever asks for it by a loopback name: a page on the web that resolves its own name to 127.0.0.1
must not read what developers send to each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice

import msgspec
from aiohttp import web

from deploy.local.mailbox import content, pages, storage

STORAGE = web.AppKey("storage", storage.Storage)
_AT_A_TIME = 500
_OURS = {"localhost", "127.0.0.1", "[::1]"}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(mail: storage.Storage) -> web.Application:
    """Build the HTTP side of a mailbox."""
    app = web.Application(middlewares=[_only_for_loopback_names])
    app[STORAGE] = mail
    app.router.add_get("/messages", list_messages)
    app.router.add_delete("/messages", delete_messages)
    app.router.add_get("/messages/{id}", show_message)
    app.router.add_get("/messages/{id}/raw", show_raw)
    app.router.add_get("/livez", say_ok)
    app.router.add_get("/readyz", say_ok)
    app.router.add_get("/", pages.show_list)
    app.router.add_post("/clear", pages.clear)
    app.router.add_get("/style.css", pages.show_style)
    app.router.add_get("/view/{id}", pages.show_message)
    app.router.add_get("/view/{id}/html", pages.show_html)
    return app


@web.middleware
async def _only_for_loopback_names(request: web.Request, handler: _Handler) -> web.StreamResponse:
    host = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
    if (host or request.host) not in _OURS:
        raise web.HTTPForbidden(text="Ask for the mailbox as localhost.\n")
    origin = request.headers.get("Origin")
    if request.method not in ("GET", "HEAD") and origin not in (None, f"http://{request.host}"):
        raise web.HTTPForbidden(text="Another site may not change the mailbox.\n")
    return await handler(request)


async def list_messages(request: web.Request) -> web.StreamResponse:
    """`GET /messages?limit=&to=`: summaries, newest first, streamed."""
    found = _matching(request.app[STORAGE].newest_first(), request.query.get("to"))
    limited = islice(found, _limit(request.query.get("limit")))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    before = b"["
    while some := list(islice(limited, _AT_A_TIME)):
        await response.write(before + b",\n".join(some))
        before = b",\n"
    await response.write(b"[]\n" if before == b"[" else b"]\n")
    return response


async def show_message(request: web.Request) -> web.Response:
    """`GET /messages/:id`: the summary, and the message opened."""
    summary, raw = found(request)
    opened = await asyncio.to_thread(content.opened, raw)
    whole = {**msgspec.to_builtins(summary), **msgspec.to_builtins(opened)}
    return web.Response(body=msgspec.json.encode(whole), content_type="application/json")


async def show_raw(request: web.Request) -> web.Response:
    """`GET /messages/:id/raw`: the exact bytes."""
    _, raw = found(request)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return web.Response(body=raw, content_type="message/rfc822", headers=headers)


async def delete_messages(request: web.Request) -> web.Response:
    """`DELETE /messages`: all of them."""
    request.app[STORAGE].clear()
    return web.Response(status=204)


async def say_ok(request: web.Request) -> web.Response:
    """`GET /livez`, `GET /readyz`: HTTP is served only when SMTP is."""
    return web.Response(text="ok\n")


def found(request: web.Request) -> tuple[storage.Summary, bytes]:
    """Return the message that the path names.

    Raises: web.HTTPNotFound.
    """
    number, mail = request.match_info["id"], request.app[STORAGE]
    summary, raw = mail.summary(number), mail.raw(number)
    if summary is None or raw is None:
        raise web.HTTPNotFound(text='{"error": "no such message"}\n', content_type="application/json")
    return storage.decode(summary), raw


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise web.HTTPBadRequest(text='{"error": "limit is a number"}\n', content_type="application/json")
    return int(text)


def _matching(summaries: Iterable[bytes], to: str | None) -> Iterator[bytes]:
    if to is None:
        yield from summaries
        return
    wanted = to.casefold()
    for summary in summaries:
        if any(address.casefold() == wanted for address in storage.decode(summary).rcpt_to):
            yield summary
