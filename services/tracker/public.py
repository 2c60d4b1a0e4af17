"""The public paths: pixel, redirect, unsubscribe. Nothing is done or told without a valid token.

A bad pixel is a pixel all the same, a bad link is nowhere: no path of ours sends anyone where we have not
signed for. HEAD has no effect, and a browser's prefetch counts as the machine's that it is.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, Protocol
from urllib.parse import parse_qs, quote

import structlog
from aiohttp import web
from prometheus_client import Counter

from services.tracker import answering
from services.tracker.answering import Answer
from services.tracker.asking import Witness
from services.tracker.hit import Hit
from services.tracker.journal import Journal
from shared.runtime.tokens import Pointer, Purpose, Tokens, pointer

logger = structlog.get_logger(__name__)
FORGED: Final = Counter(
    "sendlog_hits_forged_total", "Requests whose token was not signed here for this purpose", ["path"]
)
Page = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Kind = Literal["open", "click", "one_click", "page"]
MAX_FORM: Final = 4096
FORM_WITHIN: Final = 5.0
UNSUBSCRIBED_WITHIN: Final = 2.0
_READING: Final = ("GET", "HEAD")
_random: Final = random.Random().getrandbits  # seeded by the kernel
_UNSAFE: Final = re.compile(r"[^\x21-\x7e]")
# What the recipient may write in a URL as it is; of the rest each byte is escaped.
_KEPT: Final = "".join(chr(number) for number in range(0x21, 0x7F))
_NOBODY: Final = "This link cannot tell who you are"
_ANSWER: Final = "<p>The email went to several people. Please answer the email instead.</p>"
_BUTTON: Final = (
    "<p>Do you want no more of these emails?</p>"
    '<form method="post"><button name="page" value="1">Unsubscribe</button></form>'
)


class Desk(Protocol):
    """Who takes hits that are on disk."""

    def hold(self, hit: Hit) -> None:
        """Take it in a while."""

    def take(self, hit: Hit) -> "asyncio.Task[None]":
        """Take it now; the task ends when it is in force, or will be tried again."""


class Public:
    """Answers recipients, their mail programs, and everybody who guesses.

    Until `desk` is there, hits stay in the journal: whoever follows a link need not wait for the broker.
    """

    def __init__(self, tokens: Tokens, journal: Journal, witness: Witness, pages: Mapping[str, Page]) -> None:
        self._tokens, self._journal = tokens, journal
        self._witness, self._pages = witness, pages
        self.desk: Desk | None = None

    async def answer(self, incoming: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, method = incoming.raw_path.partition("?")[0], incoming.method
        if path.startswith("/t/o/"):
            return await self._pixel(incoming, path[5:].removesuffix(".gif"))
        if path.startswith("/u/") and method in (*_READING, "POST"):
            return await self._unsubscribe(incoming, path[3:])
        if method in _READING:
            if path.startswith("/t/c/"):
                return await self._click(incoming, path[5:])
            page = self._pages.get(path)
            if page is not None:
                return await page(incoming)
        elif path.startswith("/t/c/"):
            return answering.plain(405, "this path is there to be read\n", "Allow: GET, HEAD\r\n")
        elif path.startswith("/u/"):
            return answering.plain(405, "this path knows no such method\n", "Allow: GET, HEAD, POST\r\n")
        return answering.plain(404, "there is nothing here\n")

    async def _pixel(self, incoming: web.BaseRequest, token: str) -> Answer:
        if incoming.method == "GET":
            target = self._target("open", token)
            if target is not None:
                await self._hold(self._hit(incoming, "open", target))
        return answering.pixel()

    async def _click(self, incoming: web.BaseRequest, token: str) -> Answer:
        target = self._target("click", token)
        url = target.extra.decode("utf-8", "replace") if target is not None else ""
        if target is None or not url[:8].lower().startswith(("http://", "https://")):
            return answering.plain(404, "this link is not one of ours, or it was changed on the way\n")
        if incoming.method == "GET":
            await self._hold(self._hit(incoming, "click", target, url))
        return answering.redirect(quote(url, safe=_KEPT) if _UNSAFE.search(url) else url)

    async def _unsubscribe(self, incoming: web.BaseRequest, token: str) -> Answer:
        target = self._target("unsubscribe", token)
        if target is None:
            why = "<p>It is not one of ours, or it was changed on the way.</p>"
            return answering.page(404, "This link does not work", why)
        if target.place is None:  # an email to several, and this link cannot say which of them followed it
            return answering.page(422 if incoming.method == "POST" else 200, _NOBODY, _ANSWER)
        if incoming.method != "POST":  # scanners follow links; only a person or a mail program posts
            return answering.page(200, "Unsubscribe", _BUTTON)
        hit = self._hit(incoming, "one_click" if await _is_one_click(incoming) else "page", target)
        if not await self._journal.keep(hit):
            return answering.page(503, "Please try again", "<p>We could not write this down just now.</p>")
        if self.desk is not None:
            # What takes longer is in the journal, and not forgotten.
            await asyncio.wait({self.desk.take(hit)}, timeout=UNSUBSCRIBED_WITHIN)
        return answering.page(200, "You are unsubscribed", "<p>You will get no more of these emails.</p>")

    def _target(self, purpose: Purpose, token: str) -> Pointer | None:
        payload = self._tokens.verify(purpose, token)
        target = None if payload is None else pointer(payload)
        if (
            target is None or not target.workspace
        ):  # a handle of mail, whose two first bytes say something else
            FORGED.labels(purpose).inc()
            return None
        return target

    async def _hold(self, hit: Hit) -> None:
        """Return once the hit is on disk; where it cannot be, the recipient gets what was asked for all the same."""
        if await self._journal.keep(hit) and self.desk is not None:
            self.desk.hold(hit)

    def _hit(self, incoming: web.BaseRequest, kind: Kind, target: Pointer, url: str = "") -> Hit:
        asker = self._witness.saw(incoming)
        return Hit(
            kind=kind,
            workspace=target.workspace,
            email_id=target.email_id,
            event_id=_random_id(),
            at=datetime.now(UTC),
            place=target.place,
            url=url,
            ip_address=asker.ip_address,
            user_agent=asker.user_agent,
            machine=asker.machine,
        )


def _random_id() -> str:
    """Return a version 4 UUID. It names an event and guards nothing; asking the kernel costs ten times as much."""
    text = f"{_random(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


async def _is_one_click(incoming: web.BaseRequest) -> bool:
    """Say whether the form is RFC 8058's; one that is too long, too slow or broken is a page's."""
    data = b""
    try:
        async with asyncio.timeout(FORM_WITHIN):
            while len(data) < MAX_FORM and (more := await incoming.content.read(MAX_FORM - len(data))):
                data += more
    except (TimeoutError, web.RequestPayloadError, web.HTTPException):
        return False
    if incoming.content_type == "multipart/form-data":  # RFC 8058 3.2 allows both
        return b"one-click" in data.lower()
    fields = parse_qs(data.decode("utf-8", "replace"), max_num_fields=20) if data.count(b"&") < 20 else {}
    return fields.get("List-Unsubscribe", [""])[0].strip().lower() == "one-click"
