"""A tracked email from door to door: what goes out names its email, and what a recipient does with it is told."""

import asyncio
import email
import email.policy
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from shared.runtime import handles, keyring, tokens
from tests.controls import dispatching
from tests.controls.eventually import eventually
from tests.controls.world import World

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
TARGET = "https://shop.world.test/sale?color=red&size=xl&copy=1#top"
HTML = (
    '<!doctype html><html><body class="a"><p>Grüße &amp; more</p>'
    '<a href="https://shop.world.test/sale?color=red&amp;size=xl&copy=1#top">https://shop.world.test/sale</a>'
    '<a data-no-track href="https://shop.world.test/left">left</a>'
    '<a href="https://shop.world.test/reset?t=1">reset</a></body></html>'
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    started = World()
    started.start()
    yield started
    started.stop()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def asked(url: str, method: str = "GET", data: bytes | None = None) -> tuple[int, str | None]:
    """Ask as a person's program does; return the status and where it sends us."""
    request = urllib.request.Request(url, method=method, data=data, headers={"User-Agent": PERSON})
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=10) as answer:
            return answer.status, answer.headers["Location"]
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers["Location"]


def fetched(request: urllib.request.Request | str) -> bytes:
    with urllib.request.urlopen(request, timeout=10) as answer:
        data: bytes = answer.read()
    return data


async def call(world: World, method: str, path: str, body: object = None) -> Any:
    return (await asyncio.to_thread(world.call, method, path, body))["data"]


async def sent(world: World, to: str, **given: object) -> tuple[str, dict[str, Any], bytes]:
    """Send it; return its id, what the mailbox says of it, and its bytes."""
    body = {"to": to, "subject": "Sale", "html": HTML} | given
    made = await call(world, "POST", "/emails/send", body)
    mailbox = f"http://127.0.0.1:{world.ports['MAILBOX']}"
    await eventually(lambda: bool(dispatching.messages(mailbox, to)), within=20)
    (listed,) = dispatching.messages(mailbox, to)
    return made["id"], listed, await asyncio.to_thread(fetched, f"{mailbox}/messages/{listed['id']}/raw")


def html_of(raw: bytes) -> str:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("html",))
    assert body is not None
    return str(body.get_content())


async def becomes(world: World, email_id: str, **expected: object) -> dict[str, Any]:
    """Return the email once it is told like this."""

    async def as_expected() -> dict[str, Any]:
        found: dict[str, Any] = await call(world, "GET", f"/emails/{email_id}")
        assert {name: found[name] for name in expected} == expected
        return found

    found: dict[str, Any] = await eventually(as_expected, within=20)
    return found


async def test_a_person_opens_and_clicks_and_comes_where_the_link_led(world: World) -> None:
    email_id, _, raw = await sent(world, "ann@world.test")
    html = html_of(raw)
    (pixel,) = re.findall(r'<img src="([^"]+)" width="1" height="1" [^>]*></body></html>', html)
    first, left, reset = re.findall(r'href="([^"]+)"', html)
    assert left == "https://shop.world.test/left"
    assert ">https://shop.world.test/sale</a>" in html
    sent_at = (await becomes(world, email_id, unified_status="sent"))["sent_at"]
    a_person_is_slow = datetime.fromisoformat(sent_at) + timedelta(seconds=2.1)
    await eventually(lambda: datetime.now(UTC) > a_person_is_slow)
    assert (await asyncio.to_thread(asked, pixel))[0] == 200
    opened = await becomes(world, email_id, unified_status="opened")
    assert (opened["open_count"], opened["click_count"]) == (1, 0)
    assert await asyncio.to_thread(asked, first) == (302, TARGET)
    assert await asyncio.to_thread(asked, reset) == (302, "https://shop.world.test/reset?t=1")
    told = await becomes(world, email_id, click_count=2)
    assert told["first_clicked_at"] > told["first_opened_at"]


async def test_the_envelope_names_the_email_and_the_raw_message_is_what_was_sent(world: World) -> None:
    email_id, listed, raw = await sent(world, "bob@world.test", tracking={"read": True})
    ring = tokens.Tokens(keyring.load(world.home / "keyring"))
    found = handles.of_address(ring, listed["mail_from"])
    assert found is not None
    assert (found.email_id, listed["mail_from"].partition("@")[2]) == (email_id, "bounces.sendlog.test")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Disposition-Notification-To"] == f"<{listed['mail_from']}>"
    assert message["Reply-To"] is None
    request = urllib.request.Request(
        f"{world.variables['SENDLOG_URL']}/api/v1/emails/{email_id}/raw",
        headers={"Authorization": f"Bearer {world.key}"},
    )
    assert await asyncio.to_thread(fetched, request) == raw[raw.index(b"Date: ") :]


async def test_nothing_is_in_the_html_that_was_not_asked_for(world: World) -> None:
    _, _, raw = await sent(world, "cleo@world.test", tracking={"opens": False, "clicks": False})
    assert html_of(raw).strip() == HTML


async def test_one_post_to_the_address_in_the_header_unsubscribes(world: World) -> None:
    email_id, _, raw = await sent(world, "dora@world.test", unsubscribe=True)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    url, mailto = re.findall(r"<([^>]+)>", message["List-Unsubscribe"])
    assert mailto.startswith("mailto:unsub+")
    done = await asyncio.to_thread(asked, url, "POST", b"List-Unsubscribe=One-Click")
    assert done[0] == 200
    listed = await call(world, "GET", "/suppressions/dora@world.test")
    assert listed["reason"] == "unsubscribe"
    await becomes(world, email_id, status="sent")


async def test_an_account_that_says_so_has_its_one_time_links_left_alone(world: World) -> None:
    port = world.ports["MAILBOX_SMTP"]
    account = await asyncio.to_thread(
        world.account, port, "careful", leave_one_time_links=True, return_path_domain="bücher.test"
    )
    body = {"to": "eve@world.test", "subject": "Sale", "html": HTML, "smtp_account_id": account}
    dry = await call(world, "POST", "/emails/validate", body)
    assert dry["links"] == [TARGET]
    _, listed, raw = await sent(world, "eve@world.test", smtp_account_id=account)
    assert listed["mail_from"].endswith("@xn--bcher-kva.test")
    assert 'href="https://shop.world.test/reset?t=1"' in html_of(raw)
    assert len(raw[raw.index(b"Date: ") :]) == dry["size"]


async def test_verify_tries_the_envelope_sender_and_says_where_reports_go(world: World) -> None:
    port = world.ports["MAILBOX_SMTP"]
    account = await asyncio.to_thread(world.account, port, "bare")
    bare = await call(world, "POST", f"/accounts/{account}/verify")
    found = {check["name"]: (check["ok"], check["message"]) for check in bare["checks"]}
    assert found["envelope_sender"] == (True, "hello+…@sendlog.test is accepted")
    assert not found["return_path"][0]
    assert bare["ok"]
    await call(world, "PATCH", f"/accounts/{account}", {"return_path_domain": "Bücher.test."})
    ours = await call(world, "POST", f"/accounts/{account}/verify")
    found = {check["name"]: (check["ok"], check["message"]) for check in ours["checks"]}
    assert found["envelope_sender"] == (True, "bounce+…@xn--bcher-kva.test is accepted")
    assert found["return_path"][0]
