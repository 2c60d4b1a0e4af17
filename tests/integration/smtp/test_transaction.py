"""One transaction: what is spoken, and what its replies come to."""

import asyncio

import pytest

from tests.integration.smtp.asking import (
    LARGE,
    MESSAGE,
    a_session,
    an_envelope,
    codes,
    phases,
    transact,
)
from tests.integration.smtp.scripted import ALL, Client, at, mta, serving, unstuffed

WITHOUT_PIPELINING = [offer for offer in ALL if offer != "PIPELINING"]


async def test_with_pipelining_everything_up_to_data_is_one_write() -> None:
    async with serving(mta()) as server, a_session(server.port) as session:
        server.packets.clear()
        outcome = await session.transact(an_envelope("a@x.test", "b@x.test"), lambda: True)
    assert outcome.phase == "done"
    assert outcome.error is None
    assert server.packets[0].endswith(b"DATA\r\n")
    assert server.packets[0].count(b"\r\n") == 4
    assert server.packets[1] == MESSAGE + b".\r\n"


async def test_without_pipelining_every_command_waits_for_its_reply() -> None:
    async def patient(client: Client) -> None:
        await client.say("220 mta.test ESMTP")
        for reply in ("250 mta.test", "250 ok", "250 ok", "250 ok", "354 go"):
            await client.hear()
            await client.hear_nothing()
            await client.say(reply)
        await client.hear_message()
        await client.say("250 2.0.0 queued")
        await client.hear()

    async with serving(patient) as server:
        outcome = await transact(server.port, an_envelope("a@x.test", "b@x.test"))
    assert outcome.phase == "done"
    assert server.verbs() == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert server.messages == [MESSAGE]


@pytest.mark.parametrize("offers", [ALL, WITHOUT_PIPELINING], ids=["pipelined", "one by one"])
async def test_three_recipients_answered_250_450_550_end_each_on_their_own(offers: list[str]) -> None:
    script = mta(offers=offers, rcpt=["250 2.1.5 ok", "450 4.2.0 greylisted", "550 5.1.1 no such user"])
    async with serving(script) as server:
        outcome = await transact(server.port, an_envelope("a@x.test", "b@x.test", "c@x.test"))
    assert outcome.phase == "done"
    assert codes(outcome) == [250, 450, 550]
    assert phases(outcome) == ["done", "rcpt", "rcpt"]
    assert [reply.enhanced for reply in outcome.replies] == ["2.0.0", "4.2.0", "5.1.1"]
    assert [reply.address for reply in outcome.replies] == ["a@x.test", "b@x.test", "c@x.test"]
    assert outcome.replies[1].text == "4.2.0 greylisted"
    assert server.messages == [MESSAGE]


@pytest.mark.parametrize("data", ["354 go ahead", "554 5.5.1 no valid recipients", "503 5.5.1 RCPT first"])
async def test_when_nobody_was_accepted_nothing_is_delivered_and_the_session_goes_on(data: str) -> None:
    refused_once = mta(rcpt=["550 5.1.1 no", "450 4.2.0 later", "250 ok"], data=[data, "354 go"])
    async with serving(refused_once) as server, a_session(server.port) as session:
        outcome = await session.transact(an_envelope("a@x.test", "b@x.test"), _must_not_be_asked)
        assert (outcome.phase, outcome.error_kind) == ("rcpt", "refused")
        assert codes(outcome) == [550, 450]
        assert outcome.final is None
        assert session.usable
        outcome = await session.transact(an_envelope(), lambda: True)
        assert outcome.phase == "done"
    empty = [b"\r\n"] if data.startswith("354") else []
    assert server.messages == [*empty, MESSAGE]
    assert server.connections == 1


@pytest.mark.parametrize("offers", [ALL, WITHOUT_PIPELINING], ids=["pipelined", "one by one"])
@pytest.mark.parametrize(
    ("where", "reply", "phase"),
    [
        ("mail", "550 5.7.1 sender refused", "mail"),
        ("mail", "451 4.3.0 not now", "mail"),
        ("mail", "530 5.7.0 Authentication required", "mail"),
        ("data", "451 4.3.0 not now", "data"),
        ("data", "554 5.7.1 no", "data"),
        ("dot", "452 4.3.1 insufficient storage", "final"),
        ("dot", "554 5.7.1 spam", "final"),
    ],
)
async def test_a_refusal_is_told_with_its_phase_and_the_session_goes_on(
    offers: list[str], where: str, reply: str, phase: str
) -> None:
    ok = {"mail": "250 ok", "data": "354 go", "dot": "250 queued"}[where]
    async with (
        serving(mta(offers=offers, **at(where, [reply, ok]))) as server,
        a_session(server.port) as session,
    ):
        outcome = await session.transact(an_envelope("a@x.test", "b@x.test"), lambda: True)
        assert (outcome.phase, outcome.error_kind, outcome.ambiguous) == (phase, "refused", False)
        assert outcome.final is not None
        assert str(outcome.final) == reply
        assert codes(outcome) == [int(reply[:3])] * 2
        assert phases(outcome) == [phase] * 2
        assert session.usable
        assert (await session.transact(an_envelope(), lambda: True)).phase == "done"
    assert server.messages[-1] == MESSAGE
    assert server.connections == 1


@pytest.mark.parametrize("offers", [ALL, WITHOUT_PIPELINING], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("where", ["mail", "rcpt", "data", "dot"])
async def test_421_at_any_point_is_their_word_and_ends_the_session(offers: list[str], where: str) -> None:
    async with (
        serving(mta(offers=offers, **at(where, "421 4.3.2 closing"))) as server,
        a_session(server.port) as session,
    ):
        outcome = await session.transact(an_envelope(), lambda: True)
        assert not session.usable
    assert outcome.phase == ("final" if where == "dot" else where)
    assert (outcome.error_kind, outcome.ambiguous) == ("refused", False)
    assert codes(outcome) == [421]


async def test_replies_of_many_lines_are_one_reply() -> None:
    async with serving(
        mta(mail="250-2.1.0 one\n250-2.1.0 two\n250 2.1.0 three", dot="250-2.0.0 a\n250 2.0.0 b")
    ) as server:
        outcome = await transact(server.port)
    assert outcome.final is not None
    assert outcome.final.text == "2.0.0 a\n2.0.0 b"
    assert outcome.final.enhanced == "2.0.0"


async def test_a_large_message_arrives_whole_and_its_dots_too() -> None:
    message = LARGE[:-2] + b"\r\n.\r\n..\r\n" + b".x\r\n" * 100_000
    async with serving(mta(offers=["PIPELINING", "SIZE 50000000"])) as server:
        outcome = await transact(server.port, an_envelope(message=message))
    assert outcome.phase == "done"
    assert unstuffed(server.messages[0]) == message


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r\n", b"\r\n.\r"]
)
@pytest.mark.parametrize("size", [0, 100_000])
async def test_a_body_that_looks_like_the_end_stays_one_message(end: bytes, size: int) -> None:
    smuggled = (
        b"MAIL FROM:<ceo@x.test>\r\nRCPT TO:<victim@x.test>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n.\r\n"
    )
    message = MESSAGE + b"a line of text\r\n" * (size // 16) + b"end" + end + smuggled
    async with serving(mta()) as server:
        outcome = await transact(server.port, an_envelope(message=message))
    assert outcome.phase == "done"
    (stored,) = server.messages
    assert server.verbs().count("MAIL") == 1
    assert b"Subject: forged" in unstuffed(stored)
    assert b"\n.\n" not in stored
    assert b"\r.\r" not in stored
    assert stored.count(b"\r\n") == stored.count(b"\n") == stored.count(b"\r")


async def test_the_last_question_is_asked_once_when_the_server_has_accepted_everything() -> None:
    heard: list[str] = []

    def ask() -> bool:
        heard.append(server.verbs()[-1])
        return True

    async with serving(mta()) as server:
        outcome = await transact(server.port, before=ask)
    assert outcome.phase == "done"
    assert heard == ["DATA"]


@pytest.mark.parametrize("message", [MESSAGE, LARGE], ids=["small", "large"])
async def test_a_no_to_the_last_question_leaves_the_server_without_the_message(message: bytes) -> None:
    async with serving(mta(offers=["PIPELINING"])) as server, a_session(server.port) as session:
        outcome = await session.transact(an_envelope(message=message), lambda: False)
        assert not session.usable
    assert (outcome.phase, outcome.error_kind, outcome.ambiguous) == ("body", "aborted", False)
    assert codes(outcome) == [0]
    assert server.messages == []
    assert not server.heard.endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("message", [MESSAGE, LARGE], ids=["small", "large"])
async def test_an_error_in_the_last_question_closes_the_connection_and_is_raised(message: bytes) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    async with serving(mta(offers=["PIPELINING"])) as server, a_session(server.port) as session:
        with pytest.raises(ZeroDivisionError):
            await session.transact(an_envelope(message=message), broken)
        assert not session.usable
    assert server.messages == []


async def test_a_session_carries_many_transactions_and_says_so() -> None:
    async with serving(mta()) as server, a_session(server.port) as session:
        outcomes = [await session.transact(an_envelope(), lambda: True) for _ in range(3)]
        assert session.transactions == 3
    assert [outcome.conversation.reused for outcome in outcomes] == [False, True, True]
    assert [line.verb for line in outcomes[0].conversation.lines][1:3] == ["(banner)", "EHLO client.test"]
    assert [line.verb for line in outcomes[1].conversation.lines] == [
        f"MAIL FROM:<sender@x.test> SIZE={len(MESSAGE)}",
        "RCPT TO:<user@x.test>",
        "DATA",
        ".",
    ]
    assert len(server.messages) == 3


async def test_the_conversation_holds_times_and_replies_and_no_content() -> None:
    async with serving(mta(dot="250 2.0.0 " + "x" * 3000)) as server:
        outcome = await transact(server.port, an_envelope(*[f"r{n}@x.test" for n in range(300)]))
    lines = outcome.conversation.lines
    assert codes(outcome) == [250] * 300
    assert len(lines) == 200
    assert lines[-1].verb == "."
    assert all(len(line.reply) <= 500 and len(line.verb) <= 500 for line in lines)
    assert [line.at_ms for line in lines] == sorted(line.at_ms for line in lines)
    assert outcome.conversation.server == f"127.0.0.1:{server.port} [127.0.0.1]"
    assert outcome.conversation.tls is None
    assert not any("Subject" in line.verb or "body" in line.verb for line in lines)
    assert outcome.final is not None
    assert len(outcome.final.text) <= 500


@pytest.mark.parametrize("where", ["mail", "data", "dot"])
async def test_cancelling_a_transaction_closes_its_connection(where: str) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def stalling(client: Client) -> None:
        reached.set()
        try:
            while True:
                await client.hear()
        finally:
            gone.set()

    script = mta(**at(where, stalling))
    async with serving(script) as server, a_session(server.port) as session:
        task = asyncio.create_task(session.transact(an_envelope(), lambda: True))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.usable
        async with asyncio.timeout(5):
            await gone.wait()


async def test_an_idle_session_whose_server_has_gone_fails_its_check() -> None:
    async def one_message(client: Client) -> None:
        await client.say("250 queued")
        await client.hear()
        client.close()

    async with serving(mta(dot=one_message)) as server, a_session(server.port) as session:
        await session.transact(an_envelope(), lambda: True)
        assert session.usable
        assert not await session.check()
        assert not session.usable


async def test_a_reused_session_that_had_ended_is_told_apart_as_stale() -> None:
    async with (
        serving(mta(mail=["250 ok", "421 4.7.28 rate limit, closing"])) as server,
        a_session(server.port) as session,
    ):
        first = await session.transact(an_envelope(), lambda: True)
        second = await session.transact(an_envelope(), lambda: True)
    assert not first.was_stale
    assert second.was_stale
    assert not second.ambiguous


def _must_not_be_asked() -> bool:
    raise AssertionError("nobody is to receive it")
