"""Extensions: spoken where they are offered, and what cannot be said at all is not begun."""

import pytest

from services.dispatcher.envelope import Envelope
from tests.integration.smtp.asking import MESSAGE, a_session, an_envelope, codes, transact
from tests.integration.smtp.scripted import ALL, mta, serving


async def test_dsn_is_asked_for_where_it_is_offered() -> None:
    envelope = an_envelope("a+b@x.test", envid="id=1", notify="SUCCESS,FAILURE,DELAY")
    async with serving(mta()) as server:
        assert (await transact(server.port, envelope)).phase == "done"
    assert server.lines[1] == f"MAIL FROM:<sender@x.test> SIZE={len(MESSAGE)} RET=HDRS ENVID=id+3D1"
    assert server.lines[2] == ("RCPT TO:<a+b@x.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@x.test")


async def test_nothing_is_asked_for_that_is_not_offered() -> None:
    message = MESSAGE + "zażółć\r\n".encode()
    envelope = an_envelope(envid="1", notify="NEVER", message=message)
    async with serving(mta(offers=["PIPELINING"])) as server:
        assert (await transact(server.port, envelope)).phase == "done"
    assert server.lines[1:3] == ["MAIL FROM:<sender@x.test>", "RCPT TO:<user@x.test>"]
    assert server.messages == [message]


async def test_eight_bits_are_announced() -> None:
    async with serving(mta()) as server:
        await transact(server.port, an_envelope(message=MESSAGE + "zażółć\r\n".encode()))
    assert server.lines[1].endswith(" BODY=8BITMIME")


@pytest.mark.parametrize(
    "envelope",
    [
        an_envelope("zażółć@x.test"),
        an_envelope(mail_from="zażółć@x.test"),
        an_envelope("a@x.test", "zażółć@x.test"),
        an_envelope(smtputf8=True),
    ],
)
async def test_smtputf8_is_asked_for_where_needed_and_nothing_is_sent_without_it(envelope: Envelope) -> None:
    async with serving(mta()) as server:
        assert (await transact(server.port, envelope)).phase == "done"
    assert " SMTPUTF8" in server.lines[1]
    without = [offer for offer in ALL if offer != "SMTPUTF8"]
    async with serving(mta(offers=without)) as server, a_session(server.port) as session:
        outcome = await session.transact(envelope, lambda: True)
        assert session.usable
        assert (await session.transact(an_envelope(), lambda: True)).phase == "done"
    assert (outcome.phase, outcome.error_kind) == ("mail", "smtputf8_unsupported")
    assert set(codes(outcome)) == {0}
    assert server.verbs() == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_an_international_domain_needs_no_smtputf8() -> None:
    async with serving(mta(offers=["PIPELINING", "DSN"])) as server:
        outcome = await transact(server.port, an_envelope("user@bücher.example", envid="1"))
    assert outcome.phase == "done"
    assert outcome.replies[0].address == "user@bücher.example"
    assert server.lines[2] == "RCPT TO:<user@xn--bcher-kva.example> ORCPT=rfc822;user@xn--bcher-kva.example"


async def test_orcpt_of_an_international_address_is_of_type_utf_8() -> None:
    async with serving(mta()) as server:
        await transact(server.port, an_envelope("zaż=ół@x.test", envid="1"))
    assert server.lines[2].endswith("ORCPT=utf-8;zaż\\x{3D}ół@x.test")


async def test_a_message_over_the_announced_size_is_not_begun() -> None:
    async with serving(mta(offers=["PIPELINING", "SIZE 100"])) as server, a_session(server.port) as session:
        outcome = await session.transact(an_envelope(message=b"x" * 101), lambda: True)
        assert (outcome.phase, outcome.error_kind) == ("mail", "message_too_large")
        assert "100" in (outcome.error or "")
        assert "101" in (outcome.error or "")
        assert (
            await session.transact(an_envelope(message=b"x" * 98 + b"\r\n"), lambda: True)
        ).phase == "done"
    assert server.verbs() == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_what_is_not_begun_leaves_a_pending_reset_pending() -> None:
    async with serving(mta(data=["451 4.3.0 later", "354 go"])) as server, a_session(server.port) as session:
        assert (await session.transact(an_envelope(), lambda: True)).phase == "data"
        assert (await session.transact(an_envelope("<@x.test"), lambda: True)).error_kind == "invalid_address"
        assert (await session.transact(an_envelope(), lambda: True)).phase == "done"
    assert server.verbs().count("RSET") == 1


@pytest.mark.parametrize("offer", ["SIZE", "SIZE 0", "SIZE many"])
async def test_a_size_without_a_limit_is_no_limit(offer: str) -> None:
    async with serving(mta(offers=[offer])) as server:
        assert (await transact(server.port)).phase == "done"
    assert server.lines[1].endswith(f" SIZE={len(MESSAGE)}")


@pytest.mark.parametrize(
    "address",
    [
        "a@x.test>\r\nRCPT TO:<b@x.test",
        "a@x.test\n",
        "a\0@x.test",
        "a@x.test> NOTIFY=NEVER",
        "<a@x.test",
        "a@x.test\x85",
        "a\u2028@x.test",
        "a\ud800@x.test",
    ],
)
async def test_an_address_that_would_break_the_command_is_not_spoken(address: str) -> None:
    async with serving(mta()) as server:
        for envelope in (an_envelope(address), an_envelope(mail_from=address)):
            outcome = await transact(server.port, envelope)
            assert (outcome.phase, outcome.error_kind) == ("mail", "invalid_address")
    assert set(server.verbs()) == {"EHLO", "QUIT"}
