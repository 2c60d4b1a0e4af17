"""Against the test kit's unruly server: nothing lost, every outcome named rightly, nothing in clear."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from services.dispatcher.outcome import Outcome
from services.dispatcher.pool import Pool
from services.dispatcher.timeouts import Timeouts
from tests.controls.eventually import eventually
from tests.integration.smtp.asking import (
    LOOPBACK,
    PATIENT,
    SHORT,
    a_server,
    a_session,
    an_envelope,
    codes,
    failing_to_open,
    transact,
)
from tests.integration.smtp.conftest import Chaos

Start = Callable[..., Chaos]
LINES = b"a line of text that is long enough to be counted as content by the server\r\n" * 20


def journal(chaos: Chaos) -> list[dict[str, Any]]:
    """Return what the server wrote down about each message."""
    return [json.loads(line) for line in chaos.journal.read_text().splitlines()]


def a_message(number: int) -> bytes:
    return f"Subject: n\r\nMessage-ID: <{number}@x.test>\r\n\r\n".encode() + LINES


@pytest.mark.parametrize(
    ("recipient", "phase", "code", "ambiguous"),
    [
        ("ok+1@x.test", "done", 250, False),
        ("450+1@x.test", "rcpt", 451, False),
        ("550+1@x.test", "rcpt", 550, False),
        ("552full+1@x.test", "rcpt", 552, False),
        ("554spam+1@x.test", "rcpt", 554, False),
        ("commitdrop+1@x.test", "final", 0, True),
        ("stall+1@x.test", "final", 0, True),
        ("garbage+1@x.test", "final", 0, True),
        ("slow+1@x.test", "done", 250, False),
    ],
)
@pytest.mark.parametrize("options", [(), ("--no-pipelining",), ("--multiline",)], ids=str)
async def test_each_behaviour_is_named_rightly(
    chaos: Start, recipient: str, phase: str, code: int, ambiguous: bool, options: tuple[str, ...]
) -> None:
    server = chaos("--slow", "0.1", *options)
    outcome = await transact(server.port, an_envelope(recipient), SHORT)
    assert (outcome.phase, codes(outcome), outcome.ambiguous) == (phase, [code], ambiguous)
    stored = [entry for entry in journal(server) if entry["stored"]]
    assert len(stored) == (1 if phase in ("done", "final") else 0)


async def test_a_drop_in_the_middle_of_a_large_message_is_safe_to_try_again(chaos: Start) -> None:
    server = chaos()
    outcome = await transact(server.port, an_envelope("drop+1@x.test", message=a_message(1) + LINES * 10_000))
    assert (outcome.phase, outcome.ambiguous) == ("body", False)
    assert not any(entry["stored"] for entry in journal(server))


async def test_three_recipients_end_each_on_their_own(chaos: Start) -> None:
    server = chaos()
    outcome = await transact(server.port, an_envelope("ok+1@x.test", "450+1@x.test", "550+1@x.test"))
    assert codes(outcome) == [250, 451, 550]
    (stored,) = [entry for entry in journal(server) if entry["stored"]]
    assert stored["rcpts"] == [["ok+1@x.test", 250]]


@pytest.mark.parametrize(
    ("tls", "kinds"),
    [
        ("off", {"tls_unavailable"}),
        ("454", {"refused"}),
        ("garbage", {"protocol"}),
        ("drop", {"network", "protocol", "timeout"}),
        ("expired", {"certificate"}),
        ("wronghost", {"certificate"}),
    ],
)
async def test_tls_broken_six_ways_never_lets_mail_or_credentials_out_in_clear(
    chaos: Start, tls: str, kinds: set[str]
) -> None:
    server = chaos("--tls", tls, "--auth", "ann:secret")
    trusted = server.certificate.read_text() if server.certificate.exists() else None
    error = await failing_to_open(
        server.port,
        host="localhost",
        tls="starttls",
        tls_ca=trusted,
        auth="password",
        username="ann",
        secret="secret",
    )
    assert error.phase == "tls"
    assert error.kind in kinds
    words = {line.verb.split(" ")[0] for line in error.conversation.lines}
    assert words <= {"connect", "(banner)", "EHLO", "STARTTLS"}
    assert journal(server) == []


async def test_with_good_tls_and_credentials_mail_goes_through(chaos: Start) -> None:
    server = chaos("--tls", "on", "--auth", "ann:secret")
    login: dict[str, Any] = {
        "auth": "password",
        "username": "ann",
        "secret": "secret",
        "tls": "starttls",
        "host": "localhost",
    }
    async with a_session(server.port, tls_ca=server.certificate.read_text(), **login) as session:
        outcome = await session.transact(
            an_envelope("ok+1@x.test", envid="42", notify="FAILURE"), lambda: True
        )
    assert outcome.phase == "done"
    (stored,) = [entry for entry in journal(server) if entry["stored"]]
    assert stored["tls"]
    assert "ENVID=42" in stored["mailopts"]
    login["secret"] = "wrong"
    error = await failing_to_open(server.port, tls_ca=server.certificate.read_text(), **login)
    assert (error.phase, error.kind) == ("auth", "refused")


async def test_under_every_fault_at_once_nothing_is_lost_and_doubles_are_explained(chaos: Start) -> None:
    faults = {"421": 0.05, "4xx": 0.1, "5xx": 0.03, "4xx-data": 0.05, "drop-data": 0.05, "slow": 0.05}
    faults |= {"drop-after-commit": 0.05, "garbage": 0.03, "stall": 0.01}
    options = [str(word) for name, share in faults.items() for word in (f"--p-{name}", share)]
    server = chaos("--seed", "7", "--slow", "0.05", "--rate", "20", *options)
    timeouts = Timeouts(command=5, data=5, body=5, final=0.5, quit=0.2)
    pool = Pool(a_server(server.port), 8, allowed=LOOPBACK, timeouts=timeouts)
    ends = await asyncio.gather(*(_until_settled(pool, number) for number in range(200)))
    await pool.close()
    await eventually(lambda: len(journal(server)) > 0)
    stored = Counter(entry["mid"] for entry in journal(server) if entry["stored"])
    for number, (last, ambiguous) in enumerate(ends):
        copies = stored[f"<{number}@x.test>"]
        if last.phase == "done":
            assert 1 <= copies <= 1 + ambiguous
        else:
            assert codes(last)[0] == 550
            assert copies <= ambiguous
    assert sum(last.phase == "done" for last, _ in ends) > 150


async def _until_settled(pool: Pool, number: int) -> tuple[Outcome, int]:
    """Try again until 250 or a 5xx; return the last outcome and how many were ambiguous."""
    ambiguous = 0
    while True:
        async with pool.session() as session:
            outcome = await session.transact(
                an_envelope(f"user{number}@x.test", message=a_message(number)), lambda: True
            )
        ambiguous += outcome.ambiguous
        if outcome.phase == "done" or codes(outcome)[0] >= 500:
            return outcome, ambiguous


async def test_a_greylisted_recipient_is_refused_for_now(chaos: Start) -> None:
    server = chaos("--greylist", "3600")
    outcome = await transact(server.port, an_envelope("ok+1@x.test"), PATIENT)
    assert (outcome.phase, codes(outcome)) == ("rcpt", [450])
