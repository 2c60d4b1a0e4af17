"""A whole Sendlog in a whole mail world, one for each file of tests that asks for it."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.controls import mailworld
from tests.controls.mailworld import MailWorld
from tests.controls.posting import Post
from tests.controls.world import World

QUEUE_LIFE: Final = 15
GREY_DELAY: Final = 3


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    mailworld.need()
    world = World()
    mail = MailWorld(tracker=world.ports["INGRESS"], queue_life=QUEUE_LIFE, grey_delay=GREY_DELAY)
    try:
        world.start(within=90)
        account = world.account(
            mail.submission,
            "mail world",
            host="localhost",
            tls="starttls",
            tls_ca=mail.authority,
            auth="password",
            username=mailworld.SENDER,
            password=mailworld.PASSWORD,
            identities=[{"address": mailworld.SENDER, "name": "Shop"}],
            return_path_domain=mailworld.DOMAIN,
        )
        yield Post(world, mail, account)
    finally:
        world.stop()
        mail.stop()
