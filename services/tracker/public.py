"""The public paths: pixel, redirect, unsubscribe. Nothing is done or told without a valid token.

A bad pixel is a pixel all the same, a bad link is nowhere: no path of ours sends anyone where we have not
signed for. HEAD and a browser's prefetch have no effect.
"""

import asyncio
import base64
import html
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

import structlog
from aiohttp import web

from services.tracker.forwarded import client_address
from services.tracker.hit import Hit
from services.tracker.journal import Journal
from services.tracker.taking import Taker
from shared.runtime.outgoing import Networks
from shared.runtime.tokens import Pointer, Purpose, Tokens, pointer

logger = structlog.get_logger(__name__)
Page = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
MAX_FORM: Final = 4096
UNSUBSCRIBED_WITHIN: Final = 2.0
_PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NEVER: Final = {"Cache-Control": "no-store, no-cache, must-revalidate, private", "X-Robots-Tag": "noindex"}
_SAFE: Final = _NEVER | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:18vh auto;padding:0 1rem;color:#222}}
button{{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1d4ed8;color:#fff;cursor:pointer}}</style>
<h1>{title}</h1>{body}</html>"""


class Public:
    """Answers recipients, their mail programs, and everybody who guesses."""

    def __init__(
        self, tokens: Tokens, journal: Journal, taker: Taker, proxies: Networks, pages: Mapping[str, Page]
    ) -> None:
        self._tokens, self._journal, self._taker = tokens, journal, taker
        self._proxies, self._pages = proxies, pages

    async def answer(self, incoming: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, method = incoming.rel_url.raw_path, incoming.method
        if path.startswith("/t/o/"):
            return await self._pixel(incoming, path[5:].removesuffix(".gif"))
        if path.startswith("/t/c/"):
            return await self._click(incoming, path[5:])
        if path.startswith("/u/") and method in ("GET", "HEAD", "POST"):
            return await self._unsubscribe(incoming, path[3:])
        page = self._pages.get(path)
        if page is not None and method in ("GET", "HEAD"):
            return await page(incoming)
        return _plain(404, "there is nothing here\n")

    async def _pixel(self, incoming: web.BaseRequest, token: str) -> web.Response:
        target = self._target("open", token)
        if target is not None and incoming.method == "GET":
            await self._hold(_hit(incoming, "open", target, self._proxies))
        return web.Response(body=_PIXEL, content_type="image/gif", headers=_NEVER)

    async def _click(self, incoming: web.BaseRequest, token: str) -> web.Response:
        target = self._target("click", token)
        url = target.extra.decode("utf-8", "replace") if target is not None else ""
        if target is None or not url.lower().startswith(("http://", "https://")):
            return _plain(404, "this link is not one of ours, or it was changed on the way\n")
        if incoming.method == "GET":
            hit = _hit(incoming, "click", target, self._proxies)
            hit.url = url
            await self._hold(hit)
        return web.Response(status=302, headers=_NEVER | {"Location": url, "Referrer-Policy": "no-referrer"})

    async def _unsubscribe(self, incoming: web.BaseRequest, token: str) -> web.Response:
        target = self._target("unsubscribe", token)
        if target is None:
            return _page(
                404, "This link does not work", "<p>It is not one of ours, or it was changed on the way.</p>"
            )
        if incoming.method != "POST":
            button = '<p>Do you want no more of these emails?</p><form method="post"><button name="page" value="1">Unsubscribe</button></form>'
            return _page(200, "Unsubscribe", button)
        form = await _form(incoming)
        is_one_click = form.get("List-Unsubscribe", "").lower() == "one-click"
        hit = _hit(incoming, "one_click" if is_one_click else "page", target, self._proxies)
        if not await self._journal.keep(hit):
            return _page(503, "Please try again", "<p>We could not write this down just now.</p>")
        # What takes longer is in the journal, and not forgotten.
        await asyncio.wait({self._taker.take(hit)}, timeout=UNSUBSCRIBED_WITHIN)
        return _page(200, "You are unsubscribed", "<p>You will get no more of these emails.</p>")

    def _target(self, purpose: Purpose, token: str) -> Pointer | None:
        payload = self._tokens.verify(purpose, token)
        return None if payload is None else pointer(payload)

    async def _hold(self, hit: Hit) -> None:
        """Return once the hit is on disk; where it cannot be, the recipient gets what was asked for all the same."""
        if await self._journal.keep(hit):
            self._taker.hold(hit)


def _hit(incoming: web.BaseRequest, kind: str, target: Pointer, proxies: Networks) -> Hit:
    headers = incoming.headers
    return Hit(
        kind=kind,  # type: ignore[arg-type]
        workspace=target.workspace,
        email_id=target.email_id,
        event_id=str(uuid.UUID(bytes=os.urandom(16), version=4)),
        at=datetime.now(UTC),
        place=target.place,
        ip_address=client_address(incoming.remote or "", headers.getall("X-Forwarded-For", []), proxies),
        user_agent=headers.get("User-Agent", "")[:1000],
        purpose=headers.get("Sec-Purpose", "") or headers.get("Purpose", "") or headers.get("X-Moz", ""),
    )


async def _form(incoming: web.BaseRequest) -> dict[str, str]:
    """Return the fields of a small form; a body that is too long says nothing."""
    data = await incoming.content.read(MAX_FORM)
    if incoming.content_type == "multipart/form-data":  # RFC 8058 3.1 allows it, some senders of it exist
        return {"List-Unsubscribe": "One-Click"} if b"One-Click" in data else {}
    return {name: values[0] for name, values in parse_qs(data.decode("utf-8", "replace")).items()}


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers=_SAFE)


def _page(status: int, title: str, body: str) -> web.Response:
    text = _PAGE.format(title=html.escape(title), body=body)
    return web.Response(status=status, text=text, content_type="text/html", headers=_SAFE)
