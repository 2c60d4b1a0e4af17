"""The same over a linked mailbox: nothing comes to the tracker by itself, it fetches from a real Dovecot."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.controls import mailworld
from tests.controls.eventually import eventually
from tests.controls.mailworld import MailWorld
from tests.controls.posting import Post, ends, told
from tests.controls.world import World

ADDRESS: Final = "bounce@platform.test"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def fetching() -> Iterator[Post]:
    mailworld.need()
    world, mail = World(), MailWorld(queue_life=15)
    try:
        world.start(within=90)
        secret = {"username": ADDRESS, "password": mailworld.PASSWORD}
        account = world.account(
            mail.submission,
            "mail world",
            host="localhost",
            tls="starttls",
            tls_ca=mail.authority,
            auth="password",
            identities=[{"address": ADDRESS, "name": "Shop"}],
            return_path_domain=mailworld.DOMAIN,
            imap={
                "host": "localhost",
                "port": mail.imap,
                "tls": "starttls",
                "tls_ca": mail.authority,
                "auth": "password",
                **secret,
            },
            **secret,
        )
        yield Post(world, mail, account)
    finally:
        world.stop()
        mail.stop()


async def test_a_bounce_is_fetched_and_its_address_gets_no_more(fetching: Post) -> None:
    # Reading begins with what arrives once the mailbox is open.
    await eventually(lambda: fetching.metric("sendlog_imap_mailboxes"), within=60, every=0.5)
    email_id = await asyncio.to_thread(fetching.send, "ghost@world.test", **{"from": ADDRESS})
    email = await ends(fetching, email_id, "bounced", within=90)
    (bounced,) = told(email, "bounced")
    assert (bounced["data"]["kind"], bounced["data"]["reason"]["enhanced_code"]) == ("hard", "5.1.1")
    assert (await asyncio.to_thread(fetching.suppressed))["ghost@world.test"] == "bounce"
    again = await asyncio.to_thread(fetching.send, "ghost@world.test", **{"from": ADDRESS})
    await ends(fetching, again, "suppressed")


@pytest.mark.parametrize(
    ("words", "kind", "unified"),
    [
        (("--reply", "Thanks."), "replied", "replied"),
        (("--auto-reply",), "auto_replied", "delivered"),
        (("--mdn", "displayed"), "read", "read"),
    ],
    ids=["reply", "auto reply", "receipt"],
)
async def test_what_a_recipient_sends_back_is_fetched_once(
    fetching: Post, words: tuple[str, ...], kind: str, unified: str
) -> None:
    name = uuid.uuid4().hex[:12]
    fields: dict[str, Any] = {"from": ADDRESS, "subject": name, "tracking": {"read": True}}
    email_id = await asyncio.to_thread(fetching.send, "alice@world.test", **fields)
    await ends(fetching, email_id, "delivered", within=60)
    await asyncio.to_thread(
        fetching.mail.recipient, "alice@world.test", "--subject", name, "--wait", "20", *words
    )

    async def is_told() -> dict[str, Any]:
        found = await asyncio.to_thread(fetching.email, email_id)
        assert told(found, kind)
        return found

    email = await eventually(is_told, within=60, every=0.5)
    assert len(told(email, kind)) == 1
    assert email["unified_status"] == unified
