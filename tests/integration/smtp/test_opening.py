"""Resolving, connecting, the banner and EHLO: every step that can fail, told apart."""

import pytest

from services.dispatcher.outcome import SmtpError
from services.dispatcher.smtp import Session
from tests.integration.smtp.asking import SHORT, a_server, failing_to_open, transact
from tests.integration.smtp.scripted import Client, mta, serving, stall


async def test_a_host_that_leads_to_loopback_is_refused_before_any_connection() -> None:
    async with serving(mta()) as server:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "::ffff:127.0.0.1"):
            with pytest.raises(SmtpError) as caught:
                await Session.open(a_server(server.port, host=host))
            assert (caught.value.phase, caught.value.kind) == ("resolve", "address_refused")
            assert host in str(caught.value)
            assert "SENDLOG_ALLOW_NETWORKS" in str(caught.value)
    assert server.connections == 0


async def test_an_unknown_host_fails_in_resolve() -> None:
    error = await failing_to_open(25, host="no-such-host.invalid")
    assert (error.phase, error.kind) == ("resolve", "dns")


async def test_a_closed_port_fails_in_connect(free_port: int) -> None:
    error = await failing_to_open(free_port)
    assert (error.phase, error.kind) == ("connect", "network")
    assert "127.0.0.1" in error.message
    outcome = error.outcome(["a@x.test", "b@x.test"])
    assert outcome.phase == "connect"
    assert [(reply.address, reply.code) for reply in outcome.replies] == [("a@x.test", 0), ("b@x.test", 0)]
    assert not outcome.ambiguous


@pytest.mark.parametrize(
    ("banner", "kind", "code"),
    [
        ("421 4.7.0 too many connections", "refused", 421),
        ("554 5.7.1 not you", "refused", 554),
        ("250 what", "protocol", None),
        ("SSH-2.0-OpenSSH_9.2", "protocol", None),
    ],
)
async def test_a_banner_other_than_220_fails_in_banner(banner: str, kind: str, code: int | None) -> None:
    async with serving(mta(banner=banner)) as server:
        error = await failing_to_open(server.port)
    assert (error.phase, error.kind) == ("banner", kind)
    assert (error.reply and error.reply.code) == code
    assert server.lines == []


async def test_a_server_that_says_nothing_times_out_in_banner() -> None:
    async with serving(stall) as server:
        error = await failing_to_open(server.port, SHORT)
    assert (error.phase, error.kind) == ("banner", "timeout")


async def test_a_server_without_ehlo_is_spoken_to_by_helo() -> None:
    async def ancient(client: Client) -> None:
        await client.say("220 old.test SMTP")
        for reply in ("502 5.5.2 unknown", "250 old.test", "250 ok", "250 ok", "354 go"):
            await client.hear()
            await client.say(reply)
        await client.hear_message()
        await client.say("250 ok")

    async with serving(ancient) as server:
        outcome = await transact(server.port)
    assert outcome.phase == "done"
    assert server.lines[1:3] == ["HELO client.test", "MAIL FROM:<sender@x.test>"]


async def test_a_refused_ehlo_fails_in_ehlo() -> None:
    async def refusing(client: Client) -> None:
        await client.say("220 mta.test")
        await client.hear()
        await client.say("550 5.7.1 bad HELO name")
        await client.hear()

    async with serving(refusing) as server:
        error = await failing_to_open(server.port)
    assert (error.phase, error.kind) == ("ehlo", "refused")
