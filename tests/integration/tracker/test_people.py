"""What people do: open, follow a link, unsubscribe."""

import asyncio
import re
import smtplib

from deploy.local.ports import LOOPBACK
from shared.events import signal
from shared.runtime import handles
from tests.controls import tracking
from tests.controls.eventually import eventually
from tests.integration.tracker.hits import Desk


async def test_a_pixel_a_person_fetches_is_an_opening(desk: Desk) -> None:
    item = await desk.email("ann@world.test")
    answered = await desk.tracker.ask(desk.tracker.pixel(item))
    assert (answered.status, answered.headers["Content-Type"], answered.body[:6]) == (
        200,
        "image/gif",
        b"GIF89a",
    )
    assert "no-store" in answered.headers["Cache-Control"]
    (opened,) = await desk.said(item)
    assert isinstance(opened, signal.Opened)
    assert (opened.recipient, opened.machine, opened.reason) == ("ann@world.test", False, None)
    assert opened.ip_address == "127.0.0.1"
    assert "Firefox" in (opened.user_agent or "")


async def test_a_link_leads_where_it_was_signed_for_and_nowhere_else(desk: Desk) -> None:
    item = await desk.email()
    target = "https://shop.test/ä b?x=1&y=%20#part"
    answered = await desk.tracker.ask(f"{desk.tracker.link(item, target)}?url=https://evil.test/")
    assert (answered.status, answered.headers["Location"]) == (
        302,
        "https://shop.test/%C3%A4%20b?x=1&y=%20#part",
    )
    (clicked,) = await desk.said(item)
    assert isinstance(clicked, signal.Clicked)
    assert (clicked.url, clicked.machine) == (target, False)


async def test_of_several_recipients_the_token_names_the_one_or_nobody(desk: Desk) -> None:
    item = await desk.email("ann@world.test", "bob@world.test")
    for place in (1, None, 9):
        await desk.tracker.ask(desk.tracker.pixel(item, place))
    found = {event.recipient for event in await desk.said(item, 3)}
    assert found == {"bob@world.test", None}


async def test_one_click_is_in_force_before_the_answer_without_cookies_or_redirect(desk: Desk) -> None:
    for body, kind in (
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ):
        item = await desk.email("ann@world.test")
        path = desk.tracker.unsubscribe(item)
        answered = await desk.tracker.ask(path, "POST", data=body, Content_Type=kind)
        assert answered.status == 200
        assert "Set-Cookie" not in answered.headers
        assert await desk.suppressed("ann@world.test") == {"ann@world.test"}
        (left,) = await desk.said(item)
        assert isinstance(left, signal.Unsubscribed)
        assert (left.recipient, left.via) == ("ann@world.test", "one_click")


async def test_the_page_asks_first_and_works_without_scripts(desk: Desk) -> None:
    item = await desk.email("ann@world.test")
    path = desk.tracker.unsubscribe(item)
    shown = await desk.tracker.ask(path)
    text = shown.body.decode()
    assert shown.status == 200
    assert "<script" not in text
    button = re.search(r'<form method="post"><button name="(\w+)" value="(\w+)">Unsubscribe</button>', text)
    assert button
    assert await desk.silent(item), "looking at the page unsubscribed"
    assert not await desk.suppressed("ann@world.test")
    confirmed = await desk.tracker.ask(path, "POST", data={button[1]: button[2]})
    assert "You are unsubscribed" in confirmed.body.decode()
    (left,) = await desk.said(item)
    assert isinstance(left, signal.Unsubscribed)
    assert left.via == "page"
    assert await desk.suppressed("ann@world.test")


async def test_what_the_page_may_be_asked_is_told(desk: Desk) -> None:
    item = await desk.email("ann@world.test")
    refused = await desk.tracker.ask(desk.tracker.unsubscribe(item), "PUT")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, POST")


async def test_a_report_to_an_address_signed_here_is_let_in_though_no_account_has_its_domain(
    desk: Desk,
) -> None:
    item = await desk.email("ann@world.test")
    signed = handles.return_path(desk.tracker.tokens, item.workspace, item.email_id, "gone.test", "")
    await eventually(lambda: tracking.takes(desk.tracker), within=10)

    def knock() -> list[int]:
        with smtplib.SMTP(LOOPBACK, desk.tracker.ingress_port) as session:
            session.helo()
            session.mail("")
            return [
                session.rcpt(address)[0] for address in (signed, f"bounce+a{signed[7:]}", "hello@gone.test")
            ]

    assert await asyncio.to_thread(knock) == [250, 550, 550]


async def test_a_link_that_names_nobody_promises_nothing_and_does_nothing(desk: Desk) -> None:
    item = await desk.email("ann@world.test", "bob@world.test")
    path = f"/u/{desk.tracker.token('unsubscribe', item, place=None)}"
    asked = [await desk.tracker.ask(path)]
    asked += [await desk.tracker.ask(path, "POST", data=b"List-Unsubscribe=One-Click") for _ in range(2)]
    assert [one.status for one in asked] == [200, 422, 422]
    for one in asked:
        assert b"cannot tell who you are" in one.body
        assert b"<button" not in one.body
    assert await desk.silent(item)
    assert not await desk.suppressed("ann@world.test", "bob@world.test")


async def test_a_form_that_comes_in_pieces_or_never_ends_is_a_wish_all_the_same(desk: Desk) -> None:
    item = await desk.email("ann@world.test")
    answered = await desk.tracker.ask(desk.tracker.unsubscribe(item), "POST", data=b"x=" + b"y" * 100_000)
    assert answered.status == 200
    assert len(await desk.said(item)) == 1
