"""A Sendlog in the mail world: its mail goes out through a real Postfix, and what comes back comes to it."""

import asyncio
import urllib.request
from typing import Any, Final, NamedTuple

from tests.controls import mailworld
from tests.controls.eventually import eventually
from tests.controls.mailworld import MailWorld
from tests.controls.world import World

HTML: Final = (
    "<html><body><p>Grüße <a href='https://shop.example/order?a=1&amp;b=2'>order</a></p></body></html>"
)


class Post(NamedTuple):
    """A Sendlog whose mail goes out through the mail world, and gets what comes back for platform.test."""

    world: World
    mail: MailWorld
    account: str

    def send(self, to: str, **fields: Any) -> str:
        """Send one email and return its id."""
        body = {"from": mailworld.SENDER, "to": to, "subject": "Order", "text": "Grüße\n", "html": HTML}
        body |= {"smtp_account_id": self.account, **fields}
        found: str = self.world.call("POST", "/emails/send", body)["data"]["id"]
        return found

    def email(self, email_id: str) -> dict[str, Any]:
        """Return the email with its timeline."""
        found: dict[str, Any] = self.world.call("GET", f"/emails/{email_id}?include=events")["data"]
        return found

    def suppressed(self) -> dict[str, str]:
        """Return every suppressed address with the reason."""
        found = self.world.call("GET", "/suppressions")["data"]
        return {one["email"]: one["reason"] for one in found}

    def counted(self, kind: str, fate: str) -> float:
        """Return how many inbound messages were of this kind and had this fate."""
        return self.metric(f'sendlog_inbound_messages_total{{fate="{fate}",kind="{kind}"}}')

    def metric(self, name: str) -> float:
        """Return a metric of the tracker's, 0 before there is one."""
        with urllib.request.urlopen(f"{self.world.variables['SENDLOG_TRACKER_HEALTH']}/metrics") as answer:
            text = answer.read().decode()
        values = [line.removeprefix(f"{name} ") for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(values[0]) if values else 0


async def ends(post: Post, email_id: str, unified: str, within: float = 60) -> dict[str, Any]:
    """Return the email once it has this status."""

    async def found() -> dict[str, Any]:
        email = await asyncio.to_thread(post.email, email_id)
        assert email["unified_status"] == unified, (email["status"], email["status_reason"])
        return email

    return await eventually(found, within=within, every=0.5)


def told(email: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind in an email's timeline."""
    return [one for one in email["events"] if one["type"] == f"email.{kind}"]
