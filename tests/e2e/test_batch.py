"""Batches in the whole local world, from the call to the mailbox."""

import asyncio
import email
import email.policy
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controls.eventually import eventually
from tests.controls.world import World

TEXT = "Dear {{ name }},\n\norder {{ order.number }}{{ mark }} is on its way.\n"
HTML = "<p>Dear {{ name }}, order {{ order.number }}{{ mark }} is on its way.</p>"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    started = World()
    started.start(within=90)
    yield started
    started.stop()


def messages(world: World) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{world.ports['MAILBOX']}/messages", timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def raw(world: World, number: str) -> bytes:
    url = f"http://127.0.0.1:{world.ports['MAILBOX']}/messages/{number}/raw"
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body.replace(b"\r\n", b"\n")


@pytest.mark.timeout(240)
async def test_a_thousand_personalised_emails_of_one_call_arrive_each_right(world: World) -> None:
    names = [f"User Nº{number} <&>" for number in range(1000)]
    body = {
        "subject": "Order {{ order.number }} for {{ name }}",
        "text": TEXT,
        "html": HTML,
        "tracking": {"opens": False, "clicks": False},
        "variables": {"mark": "!"},
        "recipients": [
            {"to": f"user{number}@world.test", "variables": {"name": name, "order": {"number": number}}}
            for number, name in enumerate(names)
        ],
    }
    accepted = await asyncio.to_thread(world.call, "POST", "/emails/batch", body)
    assert accepted["meta"]["accepted"] == 1000

    async def arrived() -> list[dict[str, Any]]:
        found = await asyncio.to_thread(messages, world)
        mine = [one for one in found if one["rcpt_to"][0].startswith("user")]
        assert len(mine) == 1000, len(mine)
        return mine

    mine = await eventually(arrived, within=90, every=0.5)
    seen = set()
    for one in mine:
        [to] = one["rcpt_to"]
        number = int(to.removeprefix("user").removesuffix("@world.test"))
        made = email.message_from_bytes(raw(world, one["id"]), policy=email.policy.default)
        assert made["To"] == to
        assert made["Subject"] == f"Order {number} for {names[number]}"
        plain, html = made.get_body(("plain",)), made.get_body(("html",))
        assert plain is not None
        assert html is not None
        assert plain.get_content() == f"Dear {names[number]},\n\norder {number}! is on its way.\n"
        assert html.get_content().strip() == (
            f"<p>Dear User Nº{number} &lt;&amp;&gt;, order {number}! is on its way.</p>"
        )
        seen.add(number)
    assert len(seen) == 1000

    async def all_sent() -> bool:
        listed = await asyncio.to_thread(
            world.call, "GET", f"/emails?batch_id={accepted['meta']['batch_id']}&status=sent"
        )
        return bool(listed["meta"]["total"] == 1000)

    await eventually(all_sent, within=30, every=0.5)


@pytest.mark.timeout(120)
async def test_a_single_send_overtakes_the_batch_of_its_own_account(world: World) -> None:
    account = await asyncio.to_thread(
        lambda: world.account(
            world.ports["MAILBOX_SMTP"], "slow", limits={"connections": 1, "per_second": 10}
        )
    )
    body = {
        "subject": "Bulk",
        "text": "Hello.",
        "smtp_account_id": account,
        "recipients": [{"to": f"bulk{number}@world.test"} for number in range(300)],
    }
    batch = await asyncio.to_thread(world.call, "POST", "/emails/batch", body)

    async def has_begun() -> bool:
        found = await asyncio.to_thread(messages, world)
        return any(one["rcpt_to"][0].startswith("bulk") for one in found)

    await eventually(has_begun, within=20)
    single = {"to": "now@world.test", "subject": "Now", "text": "Hello.", "smtp_account_id": account}
    sent = (await asyncio.to_thread(world.call, "POST", "/emails/send", single))["data"]["id"]

    async def is_sent() -> bool:
        return bool(
            (await asyncio.to_thread(world.call, "GET", f"/emails/{sent}"))["data"]["status"] == "sent"
        )

    await eventually(is_sent, within=10, every=0.1)
    found = await asyncio.to_thread(messages, world)
    assert sum(one["rcpt_to"][0].startswith("bulk") for one in found) < 200
    waiting = await asyncio.to_thread(
        world.call, "GET", f"/emails?batch_id={batch['meta']['batch_id']}&status=queued,deferred&per_page=1"
    )
    assert waiting["meta"]["total"] > 0
