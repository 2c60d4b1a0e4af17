"""Opening a session: every step that can fail, told apart, and nothing ever sent in clear that must not be."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.dispatcher.outcome import SmtpError
from services.dispatcher.smtp import Session
from tests.integration.smtp.asking import SHORT, a_server, a_session, an_envelope, failing_to_open, transact
from tests.integration.smtp.conftest import Certificate
from tests.integration.smtp.scripted import Client, Script, ehlo, mta, serving, stall

LOGIN: dict[str, Any] = {"auth": "password", "username": "ann@x.test", "secret": "hunter2-secret"}
Certificates = Callable[..., Certificate]


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


# TLS


def starttls_server(
    answer: str = "220 2.0.0 go ahead",
    after: Script | None = None,
    offers: tuple[str, ...] = ("STARTTLS", "PIPELINING", "AUTH PLAIN LOGIN"),
) -> Script:
    async def script(client: Client) -> None:
        await client.say("220 mta.test ESMTP")
        while True:
            line = await client.hear()
            if line.startswith("EHLO"):
                await client.say(*ehlo(offers))
            elif line == "STARTTLS":
                if answer:
                    await client.say(answer)
                if after:
                    await after(client)
            else:
                await client.say("250 ok")

    return script


def only_harmless_words_in_clear(lines: list[str]) -> bool:
    return {line.split(" ")[0] for line in lines} <= {"EHLO", "HELO", "STARTTLS", "QUIT"}


async def test_with_starttls_everything_but_ehlo_is_under_tls(certificate: Certificates) -> None:
    trusted = certificate()

    async def under_tls(client: Client) -> None:
        await client.start_tls(trusted.context)
        client.server.packets.clear()
        await client.hear()
        await client.say(*ehlo(["AUTH PLAIN", "PIPELINING"]))
        await client.hear()
        await client.say("235 2.7.0 ok")

    async with (
        serving(starttls_server(after=under_tls)) as server,
        a_session(server.port, host="localhost", tls="starttls", tls_ca=trusted.pem, **LOGIN) as session,
    ):
        assert session.tls is not None
        assert session.tls.startswith("TLSv1.3 ")
        assert not session.extensions.starttls  # what was offered in clear is forgotten
    assert server.lines[:2] == ["EHLO client.test", "STARTTLS"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("454 4.7.0 not available", "refused"), ("502 5.5.1 unknown", "refused"), ("250 ok", "refused")],
)
async def test_a_refused_starttls_is_no_reason_to_go_on_in_clear(answer: str, kind: str) -> None:
    async with serving(starttls_server(answer)) as server:
        error = await failing_to_open(server.port, tls="starttls", **LOGIN)
    assert (error.phase, error.kind) == ("tls", kind)
    assert answer in str(error)
    assert only_harmless_words_in_clear(server.lines)


async def test_a_server_that_offers_no_starttls_gets_nothing() -> None:
    async with serving(mta(offers=["AUTH PLAIN LOGIN"])) as server:
        error = await failing_to_open(server.port, tls="starttls", **LOGIN)
    assert (error.phase, error.kind) == ("tls", "tls_unavailable")
    assert only_harmless_words_in_clear(server.lines)


@pytest.mark.parametrize(
    "injected",
    ["250 2.0.0 injected", "250-mta.test\r\n250 AUTH PLAIN", "25", "RSET", "220 2.0.0 go ahead again"],
)
async def test_data_injected_after_the_starttls_reply_ends_the_session(
    certificate: Certificates, injected: str
) -> None:
    trusted = certificate()

    async def handshake(client: Client) -> None:
        await client.start_tls(trusted.context)
        await client.hear()

    script = starttls_server(f"220 2.0.0 go ahead\r\n{injected}", handshake)
    async with serving(script) as server:
        error = await failing_to_open(
            server.port, host="localhost", tls="starttls", tls_ca=trusted.pem, **LOGIN
        )
    assert (error.phase, error.kind) == ("tls", "protocol")
    assert only_harmless_words_in_clear(server.lines)


@pytest.mark.parametrize(
    ("name", "days", "trust", "word"),
    [
        ("localhost", -1, True, "expired"),
        ("other.invalid", 2, True, "ostname mismatch"),
        ("localhost", 2, False, "self-signed"),
    ],
    ids=["expired", "wrong host", "untrusted"],
)
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_bad_certificate_ends_the_session_with_its_reason(
    certificate: Certificates, name: str, days: int, trust: bool, word: str, mode: str
) -> None:
    made = certificate(name, days)

    async def handshake(client: Client) -> None:
        await client.start_tls(made.context)
        await client.hear()

    script = starttls_server(after=handshake) if mode == "starttls" else mta()
    async with serving(script, tls=made.context if mode == "implicit" else None) as server:
        error = await failing_to_open(
            server.port, host="localhost", tls=mode, tls_ca=made.pem if trust else None, **LOGIN
        )
    assert (error.phase, error.kind) == ("tls", "certificate")
    assert word in str(error)
    assert only_harmless_words_in_clear(server.lines)


async def test_a_certificate_for_the_address_is_good_for_the_address(certificate: Certificates) -> None:
    trusted = certificate()
    async with (
        serving(mta(), tls=trusted.context) as server,
        a_session(server.port, host="127.0.0.1", tls="implicit", tls_ca=trusted.pem) as session,
    ):
        outcome = await session.transact(an_envelope(), lambda: True)
    assert outcome.phase == "done"
    assert outcome.conversation.tls is not None


@pytest.mark.parametrize("size", [1, 5_000_000])
async def test_messages_of_any_size_pass_through_tls(certificate: Certificates, size: int) -> None:
    trusted = certificate()
    message = b"Subject: large\r\n\r\n" + b"." * 70 + b"\r\n" + b"0123456789 abcdefg\r\n" * (size // 20)
    async with (
        serving(mta(offers=["PIPELINING"]), tls=trusted.context) as server,
        a_session(server.port, host="localhost", tls="implicit", tls_ca=trusted.pem) as session,
    ):
        outcome = await session.transact(an_envelope(message=message), lambda: True)
    assert outcome.phase == "done"
    assert server.messages == [message.replace(b"\r\n....", b"\r\n.....")]


async def test_a_server_in_clear_where_tls_was_asked_for_fails_in_tls() -> None:
    async with serving(mta()) as server:
        error = await failing_to_open(server.port, tls="implicit", **LOGIN)
    assert error.phase == "tls"
    assert error.kind in ("protocol", "network")
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.lines)


async def test_a_handshake_that_never_ends_times_out_in_tls() -> None:
    async with serving(starttls_server(after=stall)) as server:
        error = await failing_to_open(server.port, SHORT, tls="starttls", **LOGIN)
    assert (error.phase, error.kind) == ("tls", "timeout")


# AUTH


def auth_server(*answers: str, offers: str = "AUTH PLAIN LOGIN XOAUTH2") -> Script:
    async def script(client: Client) -> None:
        await client.say("220 mta.test ESMTP")
        await client.hear()
        await client.say(*ehlo([offers] if offers else ["PIPELINING"]))
        for answer in answers:
            await client.hear()
            await client.say(answer)
        await client.hear()

    return script


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


async def test_plain_is_spoken_in_one_line() -> None:
    async with serving(auth_server("235 2.7.0 ok")) as server, a_session(server.port, **LOGIN):
        pass
    assert decoded(server.lines[1].removeprefix("AUTH PLAIN ")) == "\0ann@x.test\0hunter2-secret"


async def test_login_is_spoken_where_plain_is_not_offered_or_not_understood() -> None:
    async with (
        serving(auth_server("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok", offers="AUTH LOGIN")) as server,
        a_session(server.port, **LOGIN),
    ):
        pass
    assert server.lines[1] == "AUTH LOGIN"
    assert [decoded(line) for line in server.lines[2:4]] == ["ann@x.test", "hunter2-secret"]
    script = auth_server("504 5.5.4 unsupported", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok")
    async with serving(script) as server, a_session(server.port, **LOGIN):
        pass
    assert [line.split(" ")[1] for line in server.lines[1:3]] == ["PLAIN", "LOGIN"]


async def test_xoauth2_sends_the_token() -> None:
    async with (
        serving(auth_server("235 2.7.0 Accepted")) as server,
        a_session(server.port, **(LOGIN | {"auth": "xoauth2"})),
    ):
        pass
    assert decoded(server.lines[1].removeprefix("AUTH XOAUTH2 ")) == (
        "user=ann@x.test\x01auth=Bearer hunter2-secret\x01\x01"
    )


async def test_a_refused_token_is_told_with_the_servers_json() -> None:
    detail = base64.b64encode(json.dumps({"status": "401", "schemes": "bearer"}).encode()).decode()
    async with serving(
        auth_server(f"334 {detail}", "535 5.7.8 Username and Password not accepted")
    ) as server:
        error = await failing_to_open(server.port, **(LOGIN | {"auth": "xoauth2"}))
    assert (error.phase, error.kind) == ("auth", "refused")
    assert error.reply is not None
    assert error.reply.code == 535
    assert '"status": "401"' in str(error)
    assert server.lines[2] == ""


@pytest.mark.parametrize(
    "answer", ["535 5.7.8 authentication failed", "454 4.7.0 temporary failure", "421 4.3.2 bye"]
)
async def test_a_refused_login_fails_in_auth_and_is_not_tried_again(answer: str) -> None:
    async with serving(auth_server(answer)) as server:
        error = await failing_to_open(server.port, **LOGIN)
    assert (error.phase, error.kind) == ("auth", "refused")
    assert error.reply is not None
    assert str(error.reply) == answer
    outcome = error.outcome(["a@x.test"])
    assert (outcome.replies[0].phase, outcome.replies[0].code) == ("auth", int(answer[:3]))
    assert [line[:4] for line in server.lines] == ["EHLO", "AUTH"]


@pytest.mark.parametrize(
    ("offers", "auth"),
    [("", "password"), ("AUTH CRAM-MD5", "password"), ("AUTH PLAIN", "xoauth2"), ("", "xoauth2")],
)
async def test_a_server_without_our_ways_to_log_in_fails_in_auth(offers: str, auth: str) -> None:
    async with serving(auth_server(offers=offers)) as server:
        error = await failing_to_open(server.port, **(LOGIN | {"auth": auth}))
    assert (error.phase, error.kind) == ("auth", "auth_unavailable")
    assert server.verbs() == ["EHLO"]


@pytest.mark.parametrize("auth", ["password", "xoauth2"])
async def test_no_secret_is_in_a_conversation_whatever_the_server_echoes(auth: str) -> None:
    async def echo(client: Client) -> None:
        await client.say("220 mta.test ESMTP")
        await client.hear()
        await client.say(*ehlo(["AUTH PLAIN XOAUTH2"]))
        line = await client.hear()
        await client.say(f"535-5.7.8 I heard {line}", "535 5.7.8 hunter2-secret is wrong")

    async with serving(echo) as server:
        error = await failing_to_open(server.port, **(LOGIN | {"auth": auth}))
    said = (
        repr(error) + str(error) + repr(error.conversation) + repr(error.reply) + repr(a_server(1, **LOGIN))
    )
    assert "hunter2" not in said
    assert server.lines[1].split(" ")[2] not in said
    assert "***" in said
