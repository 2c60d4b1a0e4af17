"""A tracker's inbound mail with nothing real behind it, and letters that say something of an email."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from prometheus_client import REGISTRY

from services.tracker.addressing import Finder
from services.tracker.inbound import Inbound, Result
from shared.events import email, fold, record, signal
from shared.runtime import handles, tokens
from shared.runtime.content import ContentStore
from shared.runtime.keyring import Keyring, _File
from tests.controls.emails import TOKENS, WORKSPACE, a_request
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions

DOMAIN = "platform.test"
STRANGER = tokens.Tokens(Keyring(_File(current="k1", keys={"k1": bytes(range(1, 33))})))
DSN = """From: MAILER-DAEMON@mx.test
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

I could not deliver it.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test
{envid}
Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 user unknown

--b--
"""
MDN = """From: ann@world.test
To: {to}
Subject: Read
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822; {recipient}
Original-Message-ID: {message_id}
Disposition: manual-action/MDN-sent-manually; displayed

--b--
"""
ARF = """From: feedback@isp.test
To: {to}
Subject: abuse
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Original-Rcpt-To: {recipient}

--b
Content-Type: message/rfc822

Message-ID: {message_id}
Subject: Welcome

Hello.
--b--
"""
REPLY = "From: {recipient}\nTo: {to}\nSubject: Re: Welcome\nIn-Reply-To: {message_id}\n\nThanks.\n"
LEAVING = "From: Ann <{recipient}>\nTo: {to}\nSubject: unsubscribe\n\n"


class Door(NamedTuple):
    """A tracker's inbound mail with nothing real behind it but a directory."""

    inbound: Inbound
    log: FakeLog
    suppressions: FakeSuppressions
    store: ContentStore

    async def sent(self, *to: str, domain: str | None = None, own: str = "") -> record.Record:
        """Put an email into the log; one with a domain or an address of its own knows its return path."""
        item = a_request(*to)
        if domain or own:
            path = handles.return_path(TOKENS, item.workspace, item.email_id, domain, own)
            tracker = email.Tracker(url="https://t.test", key_id="k1", return_path=path)
            asked: Any = item.event
            known = msgspec.structs.replace(asked.email, tracker=tracker)
            item = item._replace(event=msgspec.structs.replace(asked, email=known))
        await self.log.append(item, guard=0)
        return item

    async def takes(self, raw: str, *envelope: str) -> Result:
        """Take a message as it would come over the wire."""
        return await self.inbound.take(raw.replace("\n", "\r\n").encode(), envelope)

    async def told(self, item: record.Record) -> list[str]:
        """Return the names of what the log says of an email since it was accepted."""
        history = await self.log.history(item.workspace, item.email_id)
        return [one.event.name for one in history if isinstance(one.event, signal.Signal)]

    async def suppressed(self) -> dict[str, str]:
        """Return whom of all who are named here nobody may write to any more, and why."""
        names = ("ann", "bob", "victim", "eve")
        people = [*(f"{name}@world.test" for name in names), "eve@evil.test", "hello@sendlog.test"]
        found = await self.suppressions.find(WORKSPACE, people)
        return {address: entry.reason for address, entry in found.items()}

    async def kept(self) -> list[str]:
        """Return the keys of the content store."""
        return sorted([found.key async for found in self.store.list()])


class NoArchive:
    """Nothing is older than the log."""

    async def state(self, _workspace: str, _email_id: str) -> fold.State | None:
        """Return nothing."""
        return None


def a_door(directory: Path) -> Door:
    """Return one whose content is kept in a directory."""
    log, suppressions, store = FakeLog(), FakeSuppressions(), ContentStore(directory.as_uri())
    parts: Any = (log, log, suppressions, store, Finder(TOKENS, lambda: [WORKSPACE, "other"]), NoArchive())
    return Door(Inbound(*parts), log, suppressions, store)


def counted(kind: str, fate: str) -> float:
    """Return how many messages of a kind came to this."""
    labels = {"kind": kind, "fate": fate}
    return REGISTRY.get_sample_value("sendlog_inbound_messages_total", labels) or 0.0


def fields(
    item: record.Record, by: tokens.Tokens = TOKENS, recipient: str = "ann@world.test"
) -> dict[str, str]:
    """Return what a message about an email is written with, signed by somebody."""
    leaving = handles.unsubscribe_address(by, item.workspace, item.email_id, DOMAIN)
    return {
        "to": handles.return_path(by, item.workspace, item.email_id, DOMAIN, ""),
        "leaving": leaving or "",
        "message_id": handles.message_id(by, item.workspace, item.email_id, DOMAIN),
        "envid": f"Original-Envelope-Id: {handles.envid(by, item.workspace, item.email_id)}\n",
        "recipient": recipient,
    }


SIGNALS = [(DSN, "bounced"), (MDN, "read"), (ARF, "complained"), (REPLY, "replied")]
