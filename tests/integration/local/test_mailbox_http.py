"""The development mailbox as programs and people see it."""

import json

import aiohttp
import pytest

from tests.controls.dialogue import Dialogue
from tests.controls.servers import MailboxAddress

_HTML = (
    b"From: a@x.test\r\nSubject: <script>alert(1)</script>\r\nContent-Type: text/html\r\n\r\n"
    b"<script>alert(2)</script><b>bold</b><img src=http://tracker.test/x.png>\r\n"
)


async def _send(mailbox: MailboxAddress, *recipients: str, raw: bytes = b"Subject: s\r\n\r\nb\r\n") -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        for recipient in recipients:
            assert (await dialogue.deliver("a@x.test", [recipient], raw))[-1].startswith("250")


async def test_the_list_is_newest_first_limited_and_filtered(mailbox: MailboxAddress) -> None:
    await _send(mailbox, "b@y.test", "C@y.test", "b@y.test")
    async with aiohttp.ClientSession(mailbox.url) as client:

        async def ids(query: str) -> list[str]:
            async with client.get(f"/messages{query}") as answer:
                assert answer.content_type == "application/json"
                return [message["id"] for message in await answer.json()]

        assert await ids("") == ["3", "2", "1"]
        assert await ids("?limit=2") == ["3", "2"]
        assert await ids("?limit=0") == []
        assert await ids("?to=c@Y.test") == ["2"]
        assert await ids("?to=b@y.test&limit=1") == ["3"]
        assert await ids("?to=nobody@y.test") == []


async def test_thousands_of_messages_are_all_listed(mailbox: MailboxAddress) -> None:
    burst = b"".join(
        b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nSubject: %d\r\n\r\n.\r\n" % number
        for number in range(3_000)
    )
    async with Dialogue(mailbox.smtp_port) as dialogue:
        dialogue.send(burst)
        replies = [await dialogue.hear() for _ in range(4 * 3_000)]
    assert {reply[:3] for reply in replies} == {"250", "354"}
    async with aiohttp.ClientSession(mailbox.url) as client, client.get("/messages") as answer:
        listed = json.loads(await answer.text())
    assert [message["subject"] for message in listed] == [str(n) for n in range(2_999, -1, -1)]


async def test_a_message_can_be_opened_and_all_deleted(mailbox: MailboxAddress) -> None:
    await _send(mailbox, "b@y.test", raw=_HTML)
    async with aiohttp.ClientSession(mailbox.url) as client:
        async with client.get("/messages/1") as answer:
            message = await answer.json()
        assert message["subject"] == "<script>alert(1)</script>"
        assert "<b>bold</b>" in message["html"]
        async with client.delete("/messages") as answer:
            assert answer.status == 204
        for path in ("/messages/1", "/messages/1/raw", "/view/1", "/messages/x"):
            async with client.get(path) as answer:
                assert answer.status == 404
        async with client.get("/messages") as answer:
            assert await answer.json() == []


@pytest.mark.parametrize("limit", ["-1", "x", "1e3", "9" * 12])
async def test_a_limit_that_is_none_is_refused(mailbox: MailboxAddress, limit: str) -> None:
    async with (
        aiohttp.ClientSession(mailbox.url) as client,
        client.get("/messages", params={"limit": limit}) as answer,
    ):
        assert answer.status == 400


async def test_nothing_a_message_contains_runs_in_the_page(mailbox: MailboxAddress) -> None:
    await _send(mailbox, "b@y.test", raw=_HTML)
    async with aiohttp.ClientSession(mailbox.url) as client:
        for path in ("/", "/view/1"):
            async with client.get(path) as answer:
                assert "<script" not in await answer.text()
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        async with client.get("/view/1") as answer:
            assert '<iframe sandbox=""' in await answer.text()
        async with client.get("/view/1/html") as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("sandbox; default-src 'none'")
            assert "http" not in policy


async def test_pages_load_nothing_from_elsewhere(mailbox: MailboxAddress) -> None:
    async with aiohttp.ClientSession(mailbox.url) as client:
        for path in ("/", "/style.css"):
            async with client.get(path) as answer:
                assert answer.status == 200
                assert "//" not in (await answer.text()).replace("<!doctype html>", "")


async def test_another_site_can_neither_read_nor_delete(mailbox: MailboxAddress) -> None:
    await _send(mailbox, "b@y.test")
    async with aiohttp.ClientSession(mailbox.url) as client:
        async with client.get("/messages", headers={"Host": "evil.test"}) as answer:
            assert answer.status == 403
        for method, path in (("DELETE", "/messages"), ("POST", "/clear")):
            async with client.request(method, path, headers={"Origin": "http://evil.test"}) as answer:
                assert answer.status == 403
        async with client.get("/messages") as answer:
            assert len(await answer.json()) == 1


async def test_the_button_deletes_all(mailbox: MailboxAddress) -> None:
    await _send(mailbox, "b@y.test")
    async with (
        aiohttp.ClientSession(mailbox.url) as client,
        client.post("/clear", headers={"Origin": mailbox.url}) as answer,
    ):
        assert "No mail yet" in await answer.text()
