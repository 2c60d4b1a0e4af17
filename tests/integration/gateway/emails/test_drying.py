"""POST /emails/validate: what a send would do, and nothing done."""

import asyncio
import base64
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.runtime import keyring
from shared.runtime.suppressions import Suppressions
from tests.integration.gateway.emails import door as doors
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import GOOD, Answer, Behind, Door


async def validate(door: Door, **fields: Any) -> Answer:
    return await door.ask("POST", "/emails/validate", GOOD | fields)


async def suppress(house: House, behind: Behind, *addresses: str) -> None:
    lists = Suppressions(behind.log.client, keyring.load(Path(house.home) / "keyring"))
    await lists.open()
    for one in addresses:
        await lists.add(behind.name, one, "manual")


async def test_it_tells_what_would_be_sent(door: Door) -> None:
    html = '<p>Dear {{ name }}, <a href="https://shop.test/?a=1&amp;b=2">buy</a> <a href="mailto:x@y.z">us</a></p>'
    answer = await validate(
        door, to=["Ann <ann@world.test>", "bob@world.test"], bcc="carl@world.test", subject="Hi {{ name }}",
        html=html, text=None, variables={"name": "A&B"}, attachments=[{"filename": "a.txt", "content": "aGk="}],
    )  # fmt: skip
    assert answer.status == 200
    told = answer.data
    assert (told["valid"], told["subject"]) == (True, "Hi A&B")
    assert told["html"].startswith("<p>Dear A&amp;B, ")
    assert "Dear A&B, buy" in told["text"]
    assert told["from"] == "Sendlog <hello@sendlog.test>"
    assert told["links"] == ["https://shop.test/?a=1&b=2"]
    assert told["attachments"] == [
        {"filename": "a.txt", "contentType": "text/plain", "sizeBytes": 2, "contentId": None}
    ]
    assert [(one["address"], one["role"], one["verdict"]) for one in told["recipients"]] == [
        ("ann@world.test", "to", "ok"),
        ("bob@world.test", "to", "ok"),
        ("carl@world.test", "bcc", "ok"),
    ]
    assert told["size"] > 0
    assert told["warnings"] == []


async def test_nothing_is_stored_and_nothing_sent(door: Door, behind: Behind, house: House) -> None:
    before = set((house.home / "content").rglob("*"))
    big = base64.b64encode(bytes(100_000)).decode()
    text = "".join(f"{number} " for number in range(100_000))
    answer = await validate(door, text=text, attachments=[{"filename": "a.bin", "content": big}])
    assert answer.status == 200
    assert await behind.emails_in_log() == 0
    assert set((house.home / "content").rglob("*")) == before


async def test_each_recipient_has_its_verdict(door: Door, behind: Behind, house: House) -> None:
    await suppress(house, behind, "bob@world.test")
    answer = await validate(door, to=["ann@world.test", "nobody"], cc="BOB@world.test", bcc=["a b@c"])
    assert answer.status == 200
    verdicts = {one["address"]: (one["role"], one["verdict"]) for one in answer.data["recipients"]}
    assert verdicts == {
        "ann@world.test": ("to", "ok"),
        "nobody": ("to", "invalid"),
        "BOB@world.test": ("cc", "suppressed"),
        "a b@c": ("bcc", "invalid"),
    }
    assert (answer.data["valid"], answer.data["size"]) == (False, None)
    reasons = {one["address"]: one["reason"] for one in answer.data["recipients"]}
    assert reasons["BOB@world.test"] == "manual"
    assert reasons["nobody"]
    assert (await door.send(to=["ann@world.test", "nobody"])).status == 400


async def test_a_mail_that_nobody_would_get_is_warned_of(door: Door, behind: Behind, house: House) -> None:
    await suppress(house, behind, "ann@world.test")
    told = (await validate(door)).data
    assert (told["valid"], [one["code"] for one in told["warnings"]]) == (True, ["all_suppressed"])


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "a\r\nBcc: x@y.z"},
        {"subject": 7, "html": ["x"]},
        {"to": []},
        {"to": ["ann@world.test", 7]},
        {"to": None},
        {"to": [f"{number}@world.test" for number in range(51)]},
        {"reply_to": "nobody", "from": "nobody"},
        {"from": "other@elsewhere.test"},
        {"smtp_account_id": "0e6a3a52-0000-4000-8000-000000000001"},
        {"scheduled_at": "2001-01-01T00:00:00Z"},
        {"text": "{{ a }}", "variables": {}},
        {"text": "{% x %}", "variables": {}},
        {"unknown": 1},
        {"attachments": [{"filename": "a/b", "content": "!"}]},
    ],
    ids=str,
)
async def test_what_a_send_refuses_is_refused_alike(door: Door, fields: dict[str, Any]) -> None:
    dry, real = await validate(door, **fields), await door.send(**fields)
    assert dry.status >= 400
    assert (dry.status, dry.error) == (real.status, real.error)


async def test_no_click_is_followed_where_the_client_does_not_want_it(door: Door) -> None:
    html = '<a href="https://shop.test">buy</a>'
    assert (await validate(door, html=html, tracking={"clicks": False})).data["links"] == []
    assert (await validate(door, html=html)).data["links"] == ["https://shop.test"]


async def test_a_disabled_account_is_422(door: Door, behind: Behind) -> None:
    await behind.change_account(disabled=True)
    await asyncio.sleep(0.7)
    assert (await validate(door)).error["code"] == "SMTP_ACCOUNT_REQUIRED"


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)
LINES = st.text(
    string.printable.replace("\r", "").replace("\n", "").replace("\x0b", "").replace("\x0c", "") + "äß漢🙂",
    max_size=120,
)
SENDS = st.fixed_dictionaries(
    {"subject": LINES, "text": TEXTS},
    optional={
        "html": TEXTS,
        "cc": st.just(["Zoë <zoe@world.test>"]),
        "reply_to": st.just("Help <help@world.test>"),
        "unsubscribe": st.booleans(),
        "headers": st.dictionaries(st.just("X-Note"), LINES, max_size=1),
        "attachments": st.lists(
            st.builds(
                lambda name, data: {"filename": f"{name}.bin", "content": base64.b64encode(data).decode()},
                st.text("aü ", max_size=40),
                st.binary(max_size=400),
            ),
            max_size=2,
        ),
    },
)  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fields=SENDS)
def test_the_dry_run_is_the_later_message(house: House, fields: dict[str, Any]) -> None:
    asyncio.run(_same(house, fields))


async def _same(house: House, fields: dict[str, Any]) -> None:
    async with (
        doors.behind(house.nats_url, house.database_url) as behind,
        doors.open_door(behind, house.url) as door,
    ):
        dry, real = await validate(door, **fields), await door.send(**fields)
        if real.status != 202:
            assert (dry.status, dry.error) == (real.status, real.error)
            return
        _, raw, _ = await door.raw(real.data["id"])
        content = (await door.show(real.data["id"], "content")).data
    told = dry.data
    assert told["size"] == len(raw)
    assert (told["subject"], told["html"], told["text"]) == (
        content["subject"],
        content["html"],
        content["text"],
    )
