"""Inbound mail from bytes to the log: what a signed handle proves is said once, and nothing else is said at all."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from prometheus_client import REGISTRY

from services.tracker import ingress
from services.tracker.addressing import Finder
from services.tracker.inbound import MAX_HOPS, Inbound, Result
from shared.events import delivery, email, fold, record, signal
from shared.events.base import EmailId
from shared.runtime import handles, tokens
from shared.runtime.content import ContentStore
from shared.runtime.keyring import Keyring, _File
from tests.controls.emails import TOKENS, WORKSPACE, a_record, a_request
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


@pytest.fixture
def door(tmp_path: Path) -> Door:
    log, suppressions, store = FakeLog(), FakeSuppressions(), ContentStore(tmp_path.as_uri())
    parts: Any = (log, log, suppressions, store, Finder(TOKENS, lambda: [WORKSPACE, "other"]), NoArchive())
    return Door(Inbound(*parts), log, suppressions, store)


def counted(kind: str, fate: str) -> float:
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


@pytest.mark.parametrize(("letter", "name"), SIGNALS, ids=[name for _, name in SIGNALS])
async def test_what_our_handles_prove_is_said_once_however_often_it_comes(
    door: Door, letter: str, name: str
) -> None:
    item = await door.sent("ann@world.test")
    for _ in range(2):
        result = await door.takes(letter.format(**fields(item)))
        assert ingress.told(result) == f"250 2.0.0 taken as {result.kind}; said {name}; email {item.email_id}"
    assert len({one.event_id for one in await door.log.history(item.workspace, item.email_id)}) == 2
    assert bool(await door.suppressions.find(item.workspace, ["ann@world.test"])) == (
        name in ("bounced", "complained")
    )


async def test_what_a_server_or_a_file_kept_back_is_told_of_when_it_came(door: Door) -> None:
    item = await door.sent("ann@world.test")
    trace = "Received: by mx.test; Wed, 25 Nov 2026 10:00:01 +0100\n"
    result = await door.takes(trace + DSN.format(**fields(item)))
    assert [one.event.occurred_at for one in result.said] == [
        datetime(2026, 11, 25, 9, 0, 1, 999_000, tzinfo=UTC)
    ]


async def test_nothing_is_told_of_before_the_email_left_whatever_clock_says_so(door: Door) -> None:
    item = await door.sent("ann@world.test")
    left = datetime(2026, 11, 25, 9, 0, 5, tzinfo=UTC)
    sent = delivery.Sent(occurred_at=left, round=1, attempt=1, claim_id="c")
    await door.log.append(a_record(sent, email_id=item.email_id))
    for second in (3, 5):
        trace = f"Received: by mx.test; Wed, 25 Nov 2026 09:00:0{second} +0000\n"
        (said,) = (
            await door.takes(f"{trace}Message-ID: <{second}@mx.test>\n" + DSN.format(**fields(item)))
        ).said
        at = said.event.occurred_at
        assert (at == left + timedelta(milliseconds=999)) == (second == 5)
        assert at > left


@pytest.mark.parametrize("named", ["Message-ID: <r1@mx.test>\nDate: Mon, 30 Nov 2026 10:00:00 +0000\n", ""])
async def test_a_report_that_comes_by_two_ways_is_said_once_and_another_one_again(
    door: Door, named: str
) -> None:
    item = await door.sent("ann@world.test")
    letter = named + DSN.format(**fields(item))
    trace = "Return-Path: <>\nReceived: by mx.test; Mon, 30 Nov 2026 10:00:01 +0000\nX-Spam-Score: 0\n"
    other = letter.replace("<r1@", "<r2@").replace("I could not", "We could not")
    for raw, bounces in ((letter, 1), (trace + letter, 1), (f"{letter}\n", 1), (trace + other, 2)):
        await door.takes(raw)
        history = await door.log.history(item.workspace, item.email_id)
        assert len({one.event_id for one in history}) == 1 + bounces


@pytest.mark.parametrize(("letter", "name"), SIGNALS, ids=[name for _, name in SIGNALS])
async def test_what_a_stranger_signed_says_nothing_and_is_kept_and_counted(
    door: Door, letter: str, name: str
) -> None:
    item = await door.sent("ann@world.test")
    before = {kind: counted(kind, "names no email of ours") for kind in ("dsn", "mdn", "complaint", "reply")}
    result = await door.takes(letter.format(**fields(item, STRANGER)))
    assert counted(result.kind, "names no email of ours") == before[result.kind] + 1
    assert ingress.told(result) == f"250 2.0.0 taken as {result.kind}; said nothing"
    assert (await door.told(item), await door.suppressed()) == ([], {})
    assert await door.kept() == [result.raw_key]
    assert result.raw_key.startswith("_unmatched/"), "the sweep of what nobody refers to takes it from there"


@pytest.mark.parametrize(("letter", "name"), SIGNALS[:3], ids=[name for _, name in SIGNALS[:3]])
async def test_a_recipient_the_email_never_had_changes_nothing(door: Door, letter: str, name: str) -> None:
    item = await door.sent("ann@world.test", "bob@world.test")
    before = counted("dsn", "fits no recipient")
    result = await door.takes(letter.format(**fields(item, recipient="victim@world.test")))
    assert (await door.told(item), await door.suppressed(), result.said) == ([], {}, ())
    assert counted("dsn", "fits no recipient") == before + (letter is DSN)


async def test_a_signed_address_of_no_email_there_is_leads_nowhere(door: Door) -> None:
    item = a_request("ann@world.test")  # never appended: erased, or another installation's
    result = await door.takes(DSN.format(**fields(item)))
    assert (result.said, door.log.records, await door.suppressed()) == ((), [], {})


async def test_a_receipt_for_another_message_is_none_for_the_one_it_carries_along(door: Door) -> None:
    item = await door.sent("ann@world.test")
    values = fields(item) | {"to": "hello@sendlog.test"}
    forged = MDN.format(**(values | {"message_id": "<made-up@platform.test>"}))
    carried = f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {values['message_id']}\n\n--b--"
    await door.takes(forged.replace("--b--", carried))
    assert await door.told(item) == []


async def test_a_bounce_whose_sender_a_relay_rewrote_is_said_by_its_message_id_and_suppresses_nobody(
    door: Door,
) -> None:
    item = await door.sent("ann@world.test")
    await door.takes(_carrying(item, DSN, to="hello@sendlog.test", envid=""))
    assert (await door.told(item), await door.suppressed()) == (["bounced"], {})


async def test_what_words_alone_say_of_a_message_id_is_kept_and_says_nothing(door: Door) -> None:
    item = await door.sent("ann@world.test")
    letter = (
        "From: MAILER-DAEMON@mx.test\nTo: hello@sendlog.test\nSubject: failure notice\n\n<ann@world.test>:\n"
        "550 5.1.1 user unknown\n\n--- Below this line is a copy of the message.\n\n{}Subject: Welcome\n"
    )
    result = await door.takes(letter.format(f"Message-ID: {fields(item)['message_id']}\n"))
    assert (result.kind, result.found is not None) == ("dsn", True)
    assert (await door.told(item), await door.suppressed()) == ([], {})
    assert await door.kept() == [result.raw_key]


@pytest.mark.parametrize("letter", [DSN, MDN, REPLY], ids=["dsn", "mdn", "reply"])
async def test_what_comes_to_an_address_with_a_forged_token_is_believed_in_nothing_else(
    door: Door, letter: str
) -> None:
    item = await door.sent("ann@world.test", domain=DOMAIN)
    local, _, domain = fields(item)["to"].partition("@")
    wrong = f"{local[:-4]}{'aaaa' if local[-4:] != 'aaaa' else 'bbbb'}@{domain}"
    raw = _carrying(item, letter, to=wrong)
    assert (await door.takes(raw)).said == ()
    assert (await door.takes(raw.replace(wrong, "hello@sendlog.test"), wrong)).said == ()
    assert await door.told(item) == []
    assert (await door.takes(raw.replace(wrong, "hello@sendlog.test"))).said


async def test_a_return_path_whose_letters_a_server_changed_is_no_forged_one(door: Door) -> None:
    item = await door.sent("ann@world.test", own="bounce@platform.test")
    path = handles.return_path(TOKENS, item.workspace, item.email_id, None, "bounce@platform.test")
    await door.takes(DSN.format(**(fields(item) | {"to": path.lower()})))
    assert await door.told(item) == ["bounced"]


async def test_an_ses_notification_proves_its_email_by_the_sender_that_ses_was_given(door: Door) -> None:
    item = await door.sent("ann@world.test", "bob@world.test")
    sender = fields(item)["to"]
    told = {"emailAddress": "ann@world.test", "action": "failed", "status": "5.1.1"}
    bounce = {"bouncedRecipients": [told | {"diagnosticCode": "smtp; 550 5.1.1 user unknown"}]}
    complaint = {"complainedRecipients": [{"emailAddress": "bob@world.test"}]}

    async def notifies(**mail: object) -> list[str]:
        before = len(await door.told(item))
        for kind, said in (("Bounce", bounce), ("Complaint", complaint)):
            body = {"notificationType": kind, kind.lower(): said, "mail": mail}
            letter = f"From: no-reply@sns.amazonaws.com\nTo: hello@sendlog.test\n\n{json.dumps(body)}\n"
            await door.takes(letter)
        return (await door.told(item))[before:]

    assert await notifies(source="hello@sendlog.test") == []
    named = {"messageId": fields(item)["message_id"]}
    assert await notifies(source="hello@sendlog.test", commonHeaders=named) == ["bounced", "complained"]
    assert await door.suppressed() == {}
    assert await notifies(source=sender) == ["bounced", "complained"]
    assert await door.suppressed() == {"ann@world.test": "bounce", "bob@world.test": "complaint"}


def _carrying(item: record.Record, letter: str, **changes: str) -> str:
    """Return a letter with the header of the email it is about."""
    values = fields(item) | changes
    carried = f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {values['message_id']}\n\n--b--"
    return letter.format(**values).replace("--b--", carried)


async def test_a_bounce_that_gives_our_envid_back_is_said_and_suppresses_nobody(door: Door) -> None:
    item = await door.sent("ann@world.test")
    await door.takes(DSN.format(**(fields(item) | {"to": "hello@sendlog.test"})))
    assert (await door.told(item), await door.suppressed()) == (["bounced"], {})


@pytest.mark.parametrize("field", ["Original-Mail-From", "Return-Path"])
async def test_a_complaint_proves_its_email_by_the_envelope_sender_it_gives_back(
    door: Door, field: str
) -> None:
    item = await door.sent("ann@world.test")
    values = fields(item) | {"message_id": "<lost@isp.test>", "to": "complaints@platform.test"}
    place = "Feedback-Type: abuse\n" if field == "Original-Mail-From" else "Subject: Welcome\n"
    letter = ARF.format(**values).replace(place, f"{place}{field}: <{fields(item)['to']}>\n")
    await door.takes(letter)
    assert (await door.told(item), await door.suppressed()) == (
        ["complained"],
        {"ann@world.test": "complaint"},
    )


async def test_a_complaint_known_by_a_message_id_alone_suppresses_nobody(door: Door) -> None:
    item = await door.sent("ann@world.test")
    await door.takes(ARF.format(**(fields(item) | {"to": "complaints@platform.test"})))
    assert (await door.told(item), await door.suppressed()) == (["complained"], {})


@pytest.mark.parametrize(("author", "told"), [("ann@world.test", ["read"]), ("bob@world.test", [])])
async def test_a_receipt_known_by_a_message_id_alone_is_its_authors(
    door: Door, author: str, told: list[str]
) -> None:
    item = await door.sent("ann@world.test", "bob@world.test")
    letter = MDN.format(**(fields(item) | {"to": "hello@sendlog.test"}))
    await door.takes(letter.replace("From: ann@world.test", f"From: {author}"))
    assert await door.told(item) == told


async def test_whoever_writes_to_the_address_to_leave_by_gets_no_more(door: Door) -> None:
    item = await door.sent("ann@world.test", "bob@world.test")
    values = fields(item, recipient="Bob@WORLD.test")
    result = await door.takes(LEAVING.format(**(values | {"to": values["leaving"].upper()})))
    assert result.kind == "unsubscribe"
    (said,) = result.said
    assert isinstance(said.event, signal.Unsubscribed)
    assert (said.event.recipient, said.event.via) == ("bob@world.test", "mail")
    assert await door.told(item) == ["unsubscribed"]
    found = await door.suppressions.find(item.workspace, ["ann@world.test", "bob@world.test"])
    assert {address: entry.reason for address, entry in found.items()} == {"bob@world.test": "unsubscribe"}


@pytest.mark.parametrize(
    ("by", "changes"),
    [
        (STRANGER, {}),
        (TOKENS, {"recipient": "eve@evil.test"}),
        (TOKENS, {"leaving": "unsub+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@platform.test"}),
        (TOKENS, {"leaving": "unsub@platform.test"}),
    ],
    ids=["another's signature", "somebody else", "no token", "no tag"],
)
async def test_nobody_is_made_to_leave_by_another(
    door: Door, by: tokens.Tokens, changes: dict[str, str]
) -> None:
    item = await door.sent("ann@world.test")
    values = fields(item, by) | changes
    result = await door.takes(LEAVING.format(**(values | {"to": values["leaving"]})))
    assert (result.said, await door.suppressed(), await door.told(item)) == ((), {}, [])


async def test_the_token_of_an_envelope_is_none_to_leave_by(door: Door) -> None:
    item = await door.sent("ann@world.test")
    values = fields(item)
    await door.takes(LEAVING.format(**(values | {"to": values["to"].replace("bounce+", "unsub+")})))
    assert (await door.suppressed(), await door.told(item)) == ({}, [])


@pytest.mark.parametrize("field", ["Auto-Submitted: auto-replied", "Subject: Out of office: gone"])
async def test_an_automatic_answer_makes_nobody_leave(door: Door, field: str) -> None:
    item = await door.sent("ann@world.test")
    values = fields(item)
    letter = LEAVING.format(**(values | {"to": values["leaving"]})).replace("Subject: unsubscribe", field)
    await door.takes(letter)
    assert await door.suppressed() == {}


async def test_a_message_that_goes_round_in_a_loop_ends_here(door: Door) -> None:
    item = await door.sent("ann@world.test")
    letter = DSN.format(**fields(item))
    before = counted("loop", "ignored")
    result = await door.takes("Received: from a by b; today\n" * (MAX_HOPS + 1) + letter)
    assert ingress.told(result).startswith("554 5.4.6 ")
    assert (await door.told(item), await door.kept()) == ([], [])
    assert counted("loop", "ignored") == before + 1
    await door.takes("Received: from a by b; today\n" * MAX_HOPS + letter)
    assert await door.told(item) == ["bounced"]


async def test_a_report_on_a_report_is_nothing(door: Door) -> None:
    """What bounced was no email of ours, though one of ours is inside."""
    item = await door.sent("ann@world.test")
    values = fields(item) | {"envid": ""}
    inner = DSN.format(**(values | {"to": "hello@sendlog.test"})).replace("=b", "=i").replace("--b", "--i")
    outer = DSN.format(**(values | {"to": "hello@sendlog.test", "recipient": "hello@sendlog.test"}))
    await door.takes(outer.replace("--b--", f"--b\nContent-Type: message/rfc822\n\n{inner}\n--b--"))
    assert (await door.told(item), await door.suppressed()) == ([], {})


def test_an_address_made_here_is_taken_whoever_has_its_domain_now() -> None:
    item = a_request("ann@world.test")
    values, finder = fields(item), Finder(TOKENS, lambda: [WORKSPACE])
    assert finder.is_signed(values["to"])
    assert finder.is_signed(values["leaving"])
    assert not any(
        map(finder.is_signed, (fields(item, STRANGER)["to"], "bounce+1@platform.test", "hello@sendlog.test"))
    )


def test_every_handle_fits_into_a_local_part() -> None:
    item = a_request("ann@world.test")
    values = fields(item)
    assert len(values["leaving"].partition("@")[0]) <= handles.MAX_LOCAL_PART
    assert handles.of_unsubscribe_address(TOKENS, values["leaving"]) == handles.of_address(
        TOKENS, values["to"]
    )
    assert EmailId(handles.of_unsubscribe_address(TOKENS, values["leaving"])[1]) == item.email_id  # type: ignore[index]
