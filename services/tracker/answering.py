"""What the public paths answer, and the connections they are answered on: short, whole, and in plain words.

A head of one formatted string and a body in one write; aiohttp's own response costs more than all the rest of a
pixel. What is not HTTP is told so in a sentence.
"""

import base64
import html
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_protocol import RequestHandler

logger = structlog.get_logger(__name__)
# Longer than the 60 s of common load balancers; it also ends connections whose first head never comes whole.
KEEP_ALIVE: Final = 75.0
LINGER: Final = 1.0
MAX_LINE: Final = 16 * 1024  # a link's target is in its token, half as long again
_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_NEVER: Final = "Cache-Control: no-store, no-cache, must-revalidate, private\r\nX-Robots-Tag: noindex\r\n"
_SAFE: Final = (
    f"{_NEVER}Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
)
_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:18vh auto;padding:0 1rem;color:#222;background:#fff}}
button{{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1d4ed8;color:#fff;cursor:pointer}}</style>
<h1>{title}</h1>{body}</html>"""


class Answer(web.StreamResponse):
    """A whole answer; `head` is its header lines, each with its line end."""

    def __init__(self, status: int, head: str, body: bytes) -> None:
        super().__init__(status=status)
        self._fixed, self._whole = head, body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything; a HEAD gets the head."""
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        connection = "" if self._keep_alive else "Connection: close\r\n"
        if self._keep_alive and request.version == HttpVersion10:
            connection = "Connection: keep-alive\r\n"
        head = (
            f"{_LINES[self._status]}{self._fixed}Date: {rfc822_formatted_time()}\r\n"
            f"Content-Length: {len(self._whole)}\r\n{connection}\r\n"
        ).encode("latin-1")
        await request.writer.write(head if request.method == "HEAD" else head + self._whole)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: everything was written."""


def pixel() -> Answer:
    """Return a transparent picture of one pixel."""
    return Answer(200, f"Content-Type: image/gif\r\n{_NEVER}", _GIF)


def redirect(url: str) -> Answer:
    """Return the way to a target that was checked to hold printable ASCII only."""
    return Answer(302, f"Location: {url}\r\n{_NEVER}Referrer-Policy: no-referrer\r\n", b"")


def plain(status: int, text: str, more: str = "") -> Answer:
    """Return a sentence."""
    return Answer(status, f"Content-Type: text/plain; charset=utf-8\r\n{_SAFE}{more}", text.encode())


def page(status: int, title: str, body: str) -> Answer:
    """Return a page; `body` is HTML."""
    text = _PAGE.format(title=html.escape(title), body=body)
    return Answer(status, f"Content-Type: text/html; charset=utf-8\r\n{_SAFE}", text.encode())


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
        """Answer what could not be parsed, and faults of ours."""
        if status < 500:
            answer = plain(status, "this is not a request that HTTP/1.1 knows, or it is too long\n")
        else:
            if not isinstance(exc, ConnectionError):
                logger.error("request_failed", exc_info=exc)
            answer = plain(500, "something went wrong on our side\n")
        answer.force_close()
        return answer


class HttpServer(web.Server):
    """A server of plain requests: no application, nothing decompressed, no access log."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handler)
        self._options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEP_ALIVE,
            "lingering_time": LINGER,
            "max_line_size": MAX_LINE,
        }

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._options)
