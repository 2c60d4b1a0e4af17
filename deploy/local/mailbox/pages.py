"""The mailbox over HTTP, for people: a list, a message, its HTML in a frame that can do nothing.

Whatever a message contains is escaped, or shown in a sandboxed frame without scripts, forms, remote images
or our origin; no page loads anything from elsewhere.
"""

import asyncio
from html import escape
from itertools import islice
from pathlib import Path

from aiohttp import web

from deploy.local.mailbox import content, routes, storage

_STYLE = Path(__file__).with_name("style.css")
_SHOWN = 100
_LONGEST_SOURCE = 200_000
_SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# Written by whoever sent the message: its own styles and embedded images, and nothing else.
_UNTRUSTED = {
    **_SAFE,
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    ),
}


async def show_list(request: web.Request) -> web.Response:
    """`GET /`: the newest messages."""
    mail = request.app[routes.STORAGE]
    rows = "".join(_row(storage.decode(summary)) for summary in islice(mail.newest_first(), _SHOWN))
    count = f"{len(mail)} message{'' if len(mail) == 1 else 's'}"
    shown = f", the newest {_SHOWN} shown" if len(mail) > _SHOWN else ""
    table = f"<table><tr><th>Received<th>From<th>To<th>Subject<th>Bytes</tr>{rows}</table>"
    clear = '<form method="post" action="/clear"><button>Delete all</button></form>'
    empty = "<p>No mail yet. Send one and it shows up here.</p>"
    body = f"<header><h1>Mailbox</h1><p>{count}{shown}</p>{clear}</header>{table if rows else empty}"
    return _page("Mailbox", body, refresh=True)


async def show_message(request: web.Request) -> web.Response:
    """`GET /view/:id`: one message."""
    summary, raw = routes.found(request)
    opened = await asyncio.to_thread(content.opened, raw)
    fields = "".join(f"<tr><th>{escape(name)}<td>{escape(value)}</tr>" for name, value in opened.headers)
    attached = "".join(
        f"<li>{escape(a.filename or 'without a name')} ({escape(a.content_type)}, {a.size} bytes)"
        for a in opened.attachments
    )
    source = escape(raw[:_LONGEST_SOURCE].decode("utf-8", "replace"))
    frame = f'<iframe sandbox="" title="HTML" src="/view/{summary.id}/html"></iframe>'
    body = (
        f'<header><p><a href="/">Mailbox</a></p><h1>{escape(summary.subject) or "(no subject)"}</h1>'
        f"<p>{escape(summary.mail_from) or '&lt;&gt;'} to {escape(', '.join(summary.rcpt_to))}, "
        f"{escape(summary.received_at)}</p></header>"
        + (f"<h2>HTML</h2>{frame}" if opened.html is not None else "")
        + (f"<h2>Text</h2><pre>{escape(opened.text)}</pre>" if opened.text is not None else "")
        + (f"<h2>Attachments</h2><ul>{attached}</ul>" if attached else "")
        + f"<details><summary>Header fields</summary><table>{fields}</table></details>"
        + f'<details><summary>Source (<a href="/messages/{summary.id}/raw">exact bytes</a>)</summary>'
        + f"<pre>{source}</pre></details>"
    )
    return _page(summary.subject or "(no subject)", body)


async def show_html(request: web.Request) -> web.Response:
    """`GET /view/:id/html`: what the message's author wrote, for the frame."""
    _, raw = routes.found(request)
    opened = await asyncio.to_thread(content.opened, raw)
    return web.Response(text=opened.html or "", content_type="text/html", headers=_UNTRUSTED)


async def clear(request: web.Request) -> web.Response:
    """`POST /clear`: the button that deletes all."""
    request.app[routes.STORAGE].clear()
    raise web.HTTPSeeOther("/")


async def show_style(request: web.Request) -> web.Response:
    """`GET /style.css`."""
    return web.Response(text=_STYLE.read_text(encoding="utf-8"), content_type="text/css")


def _row(message: storage.Summary) -> str:
    cells = [
        escape(message.received_at),
        escape(message.mail_from) or "&lt;&gt;",
        escape(", ".join(message.rcpt_to)),
        f'<a href="/view/{message.id}">{escape(message.subject) or "(no subject)"}</a>',
        str(message.size),
    ]
    return f"<tr><td>{'<td>'.join(cells)}</tr>"


def _page(title: str, body: str, *, refresh: bool = False) -> web.Response:
    again = '<meta http-equiv="refresh" content="5">' if refresh else ""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}<title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css"></head>'
        f"<body>{body}</body></html>"
    )
    return web.Response(text=text, content_type="text/html", headers=_SAFE)
