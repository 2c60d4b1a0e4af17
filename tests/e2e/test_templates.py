"""A send by a template in the whole local world, from the template's making to the mailbox."""

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

HTML = """<style>.total{font-weight:bold}</style><h1>Thank you, {{ name }}!</h1>
<table>{% for item in items %}<tr><td>{{ item.title }}</td><td>{{ "%.2f" | format(item.price) }}</td></tr>{% endfor %}
<tr><td>Total</td><td class="total">{{ total }}</td></tr></table>
{% if gift is defined %}<p>{{ gift }}</p>{% endif %}<p><a href="https://tea.test/o?n={{ number }}&amp;l=1">Your order</a></p>"""
TEXT = """Thank you, Ann <&>!
===================

Tea | 9.80
Cup | 12.50
Total | 22.30

Your order [1]

[1] https://tea.test/o?n=1042&l=1
"""
VARIABLES = {
    "name": "Ann <&>",
    "number": 1042,
    "items": [{"title": "Tea", "price": 9.8}, {"title": "Cup", "price": 12.5}],
    "total": "22.30",
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    started = World()
    started.start(within=90)
    yield started
    started.stop()


def _asked(world: World, path: str) -> bytes:
    url = f"http://127.0.0.1:{world.ports['MAILBOX']}{path}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body.replace(b"\r\n", b"\n")


@pytest.mark.timeout(240)
async def test_an_email_made_of_a_template_arrives_as_it_was_rendered(world: World) -> None:
    made = {"name": "Order", "alias": "order", "subject": "Order {{ number }} for {{ name }}", "html": HTML}
    template = await asyncio.to_thread(world.call, "POST", "/templates", made | {"css_inline": True})
    await asyncio.to_thread(world.call, "POST", f"/templates/{template['data']['id']}/publish", {})
    send = {"to": "ann@world.test", "template_id": "order", "variables": VARIABLES}
    sent = await asyncio.to_thread(world.call, "POST", "/emails/send", send)
    assert sent["data"]["subject"] == "Order 1042 for Ann <&>"

    async def arrived() -> dict[str, Any]:
        messages: list[dict[str, Any]] = json.loads(await asyncio.to_thread(_asked, world, "/messages"))
        mine = [one for one in messages if one["rcpt_to"] == ["ann@world.test"]]
        assert len(mine) == 1
        return mine[0]

    mine = await eventually(arrived, within=30)
    raw = await asyncio.to_thread(_asked, world, f"/messages/{mine['id']}/raw")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Subject"] == "Order 1042 for Ann <&>"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().strip() == TEXT.strip()
    assert "<h1>Thank you, Ann &lt;&amp;&gt;!</h1>" in html.get_content()
    assert '<td class="total" style="font-weight: bold;">22.30</td>' in html.get_content()
    shown = (await asyncio.to_thread(world.call, "GET", f"/emails/{sent['data']['id']}"))["data"]
    assert (shown["template_id"], shown["template_version"]) == (template["data"]["id"], 1)
