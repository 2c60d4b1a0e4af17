"""Asking a server whether it takes an envelope sender: told before the first mail, not by it."""

import msgspec

from services.dispatcher import verification
from shared.runtime import configuration
from shared.runtime.configuration import Identity
from tests.controls import dispatching
from tests.controls.emails import TOKENS
from tests.integration.smtp.asking import MESSAGE, a_session, an_envelope
from tests.integration.smtp.scripted import mta, serving

SENDER = "hello+AbC-_1@x.test"


def an_account(domain: str | None) -> configuration.Account:
    return dispatching.an_account(25, return_path_domain=domain)


async def test_a_sender_is_asked_about_and_taken_back() -> None:
    async with serving(mta()) as server, a_session(server.port) as session:
        reply = await session.try_sender(SENDER)
        assert verification.sender_check(SENDER, reply).ok
        outcome = await session.transact(an_envelope(), lambda: True)
    assert outcome.phase == "done"
    assert server.verbs()[1:4] == ["MAIL", "RSET", "MAIL"]
    assert server.messages == [MESSAGE]


async def test_a_sender_that_is_refused_is_said_in_the_servers_words() -> None:
    refusal = "553 5.7.1 not owned by user"
    async with serving(mta(mail=refusal)) as server, a_session(server.port) as session:
        check = verification.sender_check(SENDER, await session.try_sender(SENDER))
    assert not check.ok
    assert "hello+…@x.test is refused" in check.message
    assert "not owned by user" in check.message


def test_having_no_domain_for_reports_says_what_it_costs() -> None:
    assert verification.comes_back(an_account("bounces.x.test"), TOKENS).ok
    check = verification.comes_back(an_account(None), TOKENS)
    assert not check.ok
    assert "without a return_path_domain" in check.message
    assert "suppress nobody" not in check.message


def test_an_address_too_long_for_a_token_says_what_that_costs() -> None:
    long = "customer-relations@x.test"
    account = msgspec.structs.replace(an_account(None), identities=(Identity(address=long),))
    assert f"{long} has no room" in verification.comes_back(account, TOKENS).message
    there = msgspec.structs.replace(account, return_path_domain="bounces.x.test")
    assert long not in verification.comes_back(there, TOKENS).message
