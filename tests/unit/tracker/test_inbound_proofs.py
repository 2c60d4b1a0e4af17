"""Inbound mail and what it proves of an email: an address, an id, a Message-ID, and whom it may suppress by that."""

import json
from pathlib import Path

import pytest

from shared.events import record, signal
from shared.runtime import handles, tokens
from tests.controls.emails import TOKENS
from tests.controls.inbound import (
    ARF,
    DOMAIN,
    DSN,
    LEAVING,
    MDN,
    REPLY,
    STRANGER,
    Door,
    a_door,
    fields,
)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return a_door(tmp_path)


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


async def test_apple_mail_answers_for_whoever_wants_to_leave(door: Door) -> None:
    item = await door.sent("ann@world.test")
    values = fields(item)
    letter = LEAVING.format(**(values | {"to": values["leaving"]}))
    await door.takes(f"Auto-Submitted: auto-replied\r\nX-Apple-Unsubscribe: true\r\n{letter}")
    assert await door.told(item) == ["unsubscribed"]
