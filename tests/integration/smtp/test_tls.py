"""TLS that is asked for is never given up: nothing is ever sent in clear that must not be."""

from collections.abc import Callable

import pytest

from tests.integration.smtp.asking import LOGIN, SHORT, a_session, an_envelope, failing_to_open
from tests.integration.smtp.conftest import Certificate
from tests.integration.smtp.scripted import Client, Script, ehlo, mta, reset, serving, stall

Certificates = Callable[..., Certificate]


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


async def test_a_server_that_goes_away_instead_of_beginning_tls_is_called_that() -> None:
    script = starttls_server("220 2.0.0 go ahead", reset)
    async with serving(script) as server:
        error = await failing_to_open(server.port, host="localhost", tls="starttls", **LOGIN)
    assert (error.phase, error.kind) == ("tls", "network")


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
