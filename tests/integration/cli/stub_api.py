"""An API that answers what a test lays out for it, and a command line run against it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from cli.__main__ import main

KEY = "sk_stub"
EMAIL: dict[str, Any] = {
    "id": "019abc12-7d00-7000-8000-00000000abcd",
    "message_id": "<019abc12@sendlog.test>",
    "from": "Sendlog <hello@sendlog.test>",
    "to": ["ann@world.test", "bob@world.test"],
    "cc": [],
    "bcc": [],
    "subject": "Hello \x1b[31mred\x1b[0m",
    "status": "deferred",
    "unified_status": "queued",
    "status_reason": {
        "code": "450",
        "enhanced_code": "4.2.1",
        "category": "mailbox_busy",
        "message": "450 4.2.1 busy",
        "retryable": True,
        "suggested_action": "wait",
    },
    "created_at": "2026-11-24T12:00:00.123456Z",
    "scheduled_at": None,
    "sent_at": "2026-11-24T12:00:00.2Z",
    "next_attempt_at": "2026-11-24T12:01:00Z",
    "attempt_count": 1,
    "recipients": [
        {"address": "ann@world.test", "role": "to", "status": "sent", "smtp_code": 250, "enhanced_code": "2.0.0", "reason": None},
        {"address": "bob@world.test", "role": "to", "status": "deferred", "smtp_code": 450, "enhanced_code": "4.2.1", "reason": "busy"},
    ],
    "smtp_account_id": "0e6a3a52-0000-4000-8000-000000000001",
    "batch_id": None,
    "attachments": [
        {"id": "1", "filename": "a\x1b[31m.pdf", "contentType": "application/pdf", "sizeBytes": 51200, "contentId": None},
        {"id": "2", "filename": "logo.png", "contentType": "image/png", "sizeBytes": 9, "contentId": "logo"},
    ],
    "resent_from": None,
    "tags": ["welcome"],
    "metadata": {"order": "4711"},
    "events": [
        {"id": "1", "type": "email.requested", "occurred_at": "2026-11-24T12:00:00.123456Z", "data": {"release": "now"}},
        {"id": "2", "type": "email.sending", "occurred_at": "2026-11-24T12:00:00.130Z", "data": {"round": 1, "attempt": 1}},
    ],
    "attempts": [
        {
            "attempt": 1,
            "round": 1,
            "started_at": "2026-11-24T12:00:00.130Z",
            "finished_at": "2026-11-24T12:00:00.2Z",
            "outcome": "deferred",
            "reason": None,
            "next_attempt_at": "2026-11-24T12:01:00Z",
            "recipients": [],
            "conversation": {
                "server": "mx.world.test:25",
                "tls": "TLSv1.3",
                "reused": False,
                "phase": "done",
                "lines": [
                    {"at_ms": 0.5, "verb": "EHLO client", "reply": "250-mx.world.test\n250 SIZE"},
                    {"at_ms": 3.25, "verb": "RCPT TO:<bob@world.test>", "reply": "450 4.2.1 \x1b]0;busy\x07"},
                    {"at_ms": 4.0, "verb": ".", "reply": ""},
                ],
            },
        }
    ],
}  # fmt: skip


class Asked(NamedTuple):
    """One request as the API saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class StubApi:
    """Answers each request with what was laid out for its method and path; the last answer repeats."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._answers: dict[tuple[str, str], list[tuple[int, Any, dict[str, str]]]] = {}

    def answer(self, method: str, path: str, data: Any, *, meta: Any = None) -> None:
        """Lay out a success."""
        self._lay(method, path, 200, {"success": True, "data": data, "meta": meta or {}})

    def refuse(self, method: str, path: str, status: int, code: str, message: str, **more: Any) -> None:
        """Lay out an error; `details` and `retry_after` may be given."""
        error = {"code": code, "message": message, "details": more.get("details", [])}
        headers = {"Retry-After": str(more["retry_after"])} if "retry_after" in more else {}
        self._lay(method, path, status, {"success": False, "error": error, "request_id": "r"}, headers)

    def raw(self, method: str, path: str, status: int, body: str) -> None:
        """Lay out something that is not ours."""
        self._lay(method, path, status, body)

    def file(self, method: str, path: str, body: str) -> None:
        """Lay out a file."""
        self._lay(method, path, 200, body, {"Content-Disposition": "attachment"})

    def forget(self, method: str, path: str) -> None:
        """Take back what was laid out."""
        self._answers.pop((method, path), None)

    def _lay(
        self, method: str, path: str, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> None:
        self._answers.setdefault((method, path), []).append((status, body, headers or {}))

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        path = request.rel_url.raw_path.removeprefix("/api/v1")
        body = json.loads(text) if text and request.content_type == "application/json" else text or None
        self.asked.append(Asked(request.method, path, dict(request.query), dict(request.headers), body))
        answers = self._answers.get((request.method, path))
        if answers is None:
            return web.json_response(
                {"success": False, "error": {"code": "NOT_FOUND", "message": "no"}}, status=404
            )
        status, said, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(said, str):
            return web.Response(text=said, status=status, headers=headers)
        return web.json_response(said, status=status, headers=headers)


@asynccontextmanager
async def serving(api: StubApi) -> AsyncIterator[StubApi]:
    """Serve the stub on a free port for the length of a block."""
    runner = web.ServerRunner(web.Server(api.handle))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = site.name
    try:
        yield api
    finally:
        await runner.cleanup()


class Said(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands in this process; each gets an event loop of its own, as it would in a shell."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    async def __call__(self, *words: str) -> Said:
        self._capture.readouterr()
        code = await asyncio.to_thread(self._run, words)
        return Said(code, *self._capture.readouterr())

    @staticmethod
    def _run(words: tuple[str, ...]) -> int:
        try:
            return main(words)
        except SystemExit as end:  # argparse ends by itself
            return int(end.code or 0)
