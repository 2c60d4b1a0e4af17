"""The development mailbox as an SMTP server."""

import json
import urllib.request
from typing import Any

import pytest

from tests.controls.dialogue import Dialogue
from tests.controls.servers import Mailbox, MailboxAddress

_MAIL = b"From: a@x.test\r\nSubject: hello\r\n\r\nbody\r\n"


def _listed(mailbox: MailboxAddress) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{mailbox.url}/messages", timeout=5) as answer:
        messages: list[dict[str, Any]] = json.load(answer)
    return messages


def _raw(mailbox: MailboxAddress, number: str) -> bytes:
    with urllib.request.urlopen(f"{mailbox.url}/messages/{number}/raw", timeout=5) as answer:
        return bytes(answer.read())


async def test_it_offers_what_a_relay_offers(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        offered = {line.split(" ")[0] for line in dialogue.extensions}
    assert offered >= {"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE", "DSN", "ENHANCEDSTATUSCODES"}


async def test_a_message_is_listed_with_its_envelope_and_kept_to_the_byte(mailbox: MailboxAddress) -> None:
    raw = _MAIL + b".\r\n..\r\n.dots \x00\xff and bare \n feeds\r\n"
    async with Dialogue(mailbox.smtp_port) as dialogue:
        replies = await dialogue.deliver("a@x.test", ["b@y.test", "c@y.test"], raw)
    assert replies[-1].startswith("250 2.0.0")
    (message,) = _listed(mailbox)
    assert message["mail_from"] == "a@x.test"
    assert message["rcpt_to"] == ["b@y.test", "c@y.test"]
    assert message["subject"] == "hello"
    assert message["received_at"].endswith("Z")
    # The sender's own final CRLF is part of the message, the one before the dot too.
    assert _raw(mailbox, message["id"]) == raw + b"\r\n"
    assert message["size"] == len(raw) + 2


async def test_commands_sent_together_are_all_answered_in_order(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        dialogue.send(
            b"MAIL FROM:<a@x.test> BODY=8BITMIME\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<550+c@y.test>\r\nDATA\r\n"
        )
        codes = [(await dialogue.hear())[:3] for _ in range(4)]
        dialogue.send(_MAIL + b".\r\nRSET\r\nQUIT\r\n")
        codes += [(await dialogue.hear())[:3] for _ in range(3)]
    assert codes == ["250", "250", "550", "354", "250", "250", "221"]


async def test_a_message_that_comes_byte_by_byte_is_one_message(mailbox: MailboxAddress) -> None:
    whole = b"MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n" + _MAIL + b".\r\n"
    async with Dialogue(mailbox.smtp_port) as dialogue:
        for byte in whole:
            dialogue.send(bytes([byte]))
        codes = [(await dialogue.hear())[:3] for _ in range(4)]
    assert codes == ["250", "250", "354", "250"]
    assert [m["mail_from"] for m in _listed(mailbox)] == [""]


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"])
async def test_only_one_message_arrives_of_a_smuggled_two(mailbox: MailboxAddress, end: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nSubject: two\r\n\r\n"
    async with Dialogue(mailbox.smtp_port) as dialogue:
        await dialogue.say("MAIL FROM:<a@x.test>")
        await dialogue.say("RCPT TO:<b@y.test>")
        await dialogue.say("DATA")
        dialogue.send(_MAIL + end + smuggled + b"\r\n.\r\n")
        assert (await dialogue.hear()).startswith("250")
    assert [m["mail_from"] for m in _listed(mailbox)] == ["a@x.test"]


@pytest.mark.parametrize(
    ("word", "reply"),
    [("550", "550 5.1.1"), ("450", "450 4."), ("552full", "552 5.2.2"), ("554spam", "554 5.7.1")],
)
async def test_a_refused_recipient_does_not_keep_the_others_from_their_mail(
    mailbox: MailboxAddress, word: str, reply: str
) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        replies = await dialogue.deliver("a@x.test", [f"{word}+1@y.test", "b@y.test"], _MAIL)
        alone = await dialogue.deliver("a@x.test", [f"{word}+1@y.test"], _MAIL)
    assert replies[1].startswith(reply)
    assert replies[-1].startswith("250")
    assert alone[-1].startswith(reply)
    assert [m["rcpt_to"] for m in _listed(mailbox)] == [["b@y.test"]]


async def test_421_closes_the_connection(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        replies = await dialogue.deliver("a@x.test", ["421+1@y.test"], _MAIL)
        assert replies[-1].startswith("421 4.3.2")
        assert await dialogue.hear() == ""


async def test_drop_goes_away_in_the_middle_and_keeps_nothing(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        await dialogue.say("MAIL FROM:<a@x.test>")
        await dialogue.say("RCPT TO:<drop+1@y.test>")
        await dialogue.say("DATA")
        dialogue.send(_MAIL + b"x" * 500)
        assert await dialogue.hear() == ""
    assert _listed(mailbox) == []


async def test_commitdrop_keeps_the_message_and_goes_away_unanswered(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        assert (await dialogue.deliver("a@x.test", ["commitdrop+1@y.test"], _MAIL))[-1] == ""
    assert len(_listed(mailbox)) == 1


async def test_slow_answers_after_seconds_and_goes_on(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        with pytest.raises(TimeoutError):
            await _deliver_impatiently(dialogue, "slow+1@y.test", within=3.0)
        assert len(_listed(mailbox)) == 1
        assert (await dialogue.hear()).startswith("250")
        assert (await dialogue.say("NOOP")).startswith("250")


async def test_stall_keeps_the_message_and_never_answers(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        with pytest.raises(TimeoutError):
            await _deliver_impatiently(dialogue, "stall+1@y.test", within=6.0)
    assert len(_listed(mailbox)) == 1


async def test_a_message_over_the_size_it_named_is_refused_before_it_is_sent(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        assert (await dialogue.say("MAIL FROM:<a@x.test> SIZE=104857601")).startswith("552 5.3.4")
        assert (await dialogue.say("MAIL FROM:<a@x.test> SIZE=104857600")).startswith("250")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MAIL FROM:a@x.test", "501"),
        ("MAIL FROM:<a@x.test> FOO=1", "555"),
        ("MAIL FROM:<\u00e4@x.test>", "553"),
        ("RCPT TO:<b@y.test>", "503"),
        ("DATA", "503"),
        ("FROB", "500"),
        ("VRFY b", "252"),
        ("x" * 5000, "500"),
    ],
)
async def test_what_is_out_of_place_is_refused(mailbox: MailboxAddress, line: str, code: str) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        assert (await dialogue.say(line))[:3] == code


async def test_dsn_and_utf8_parameters_are_taken(mailbox: MailboxAddress) -> None:
    async with Dialogue(mailbox.smtp_port) as dialogue:
        sender = await dialogue.say("MAIL FROM:<\u00e4@x.test> SMTPUTF8 RET=HDRS ENVID=abc+20d")
        recipient = await dialogue.say("RCPT TO:<\u00f6@y.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@y.test")
    assert sender.startswith("250")
    assert recipient.startswith("250")


async def test_what_was_answered_250_is_there_after_kill_9(mailbox_process: Mailbox) -> None:
    async with Dialogue(mailbox_process.address.smtp_port) as dialogue:
        for _ in range(50):
            assert (await dialogue.deliver("a@x.test", ["b@y.test"], _MAIL))[-1].startswith("250")
        mailbox_process.kill()
    mailbox_process.start()
    assert [m["id"] for m in _listed(mailbox_process.address)] == [str(n) for n in range(50, 0, -1)]


async def _deliver_impatiently(dialogue: Dialogue, recipient: str, *, within: float) -> None:
    await dialogue.say("MAIL FROM:<a@x.test>")
    await dialogue.say(f"RCPT TO:<{recipient}>")
    await dialogue.say("DATA")
    dialogue.send(_MAIL + b".\r\n")
    await dialogue.hear(within=within)
