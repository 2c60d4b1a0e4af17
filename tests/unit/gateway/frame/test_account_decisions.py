"""Which accounts can be had, and what a change makes of one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.gateway import validation
from services.gateway.accounts import decisions, fields
from shared.runtime.configuration import Account, Identity, Imap

NOW = datetime(2026, 11, 24, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "name": "relay",
    "host": "smtp.example.com",
    "port": 587,
    "identities": [{"address": "hello@example.com"}],
}


LINKED: dict[str, Any] = {"host": "imap.example.com", "username": "replies", "password": "p"}


def opened(**given: Any) -> tuple[Account, dict[str, str]]:
    wanted = validation.convert(GOOD | given, fields.NewAccount)
    account, problems = decisions.opened("id", "w", wanted, lambda secret: f"sealed {secret}", NOW)
    return account, {problem.path: problem.message for problem in problems}


def changed(account: Account, **given: Any) -> tuple[Account, dict[str, str]]:
    wanted = validation.convert(given, fields.AccountChange)
    account, problems = decisions.changed(account, wanted, lambda secret: f"sealed {secret}", NOW)
    return account, {problem.path: problem.message for problem in problems}


def test_a_password_means_a_login_and_is_sealed() -> None:
    account, problems = opened(username="u", password="p")
    assert not problems
    assert (account.smtp.auth, account.smtp.secret) == ("password", "sealed p")


def test_an_account_without_credentials_does_not_log_in() -> None:
    account, problems = opened()
    assert not problems
    assert (account.smtp.auth, account.smtp.tls) == ("none", "starttls")


def test_port_465_means_implicit_tls_unless_said_otherwise() -> None:
    assert opened(port=465)[0].smtp.tls == "implicit"
    assert opened(port=465, tls="none")[0].smtp.tls == "none"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"auth": "password", "username": "u"}, "$.password"),
        ({"auth": "xoauth2", "secret": "t"}, "$.username"),
        ({"username": "u"}, "$.auth"),
        ({"username": "u", "password": "p", "secret": "s"}, "$.secret"),
        ({"imap": LINKED | {"secret": "s"}}, "$.imap.secret"),
        ({"imap": LINKED | {"host": "imap..example.com"}}, "$.imap.host"),
        ({"imap": LINKED | {"tls_ca": "junk"}}, "$.imap.tls_ca"),
        ({"imap": {"host": "imap.example.com", "username": "u"}}, "$.imap.password"),
        ({"tls_ca": "junk"}, "$.tls_ca"),
        ({"tls_ca": "\U000c52d4"}, "$.tls_ca"),
        ({"tls_ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "$.tls_ca"),
        ({"return_path_domain": "not a domain"}, "$.return_path_domain"),
        ({"host": "-smtp.example.com"}, "$.host"),
        ({"host": "smtp..example.com"}, "$.host"),
        ({"host": "smtp.example.com/x"}, "$.host"),
        ({"host": "user@smtp.example.com"}, "$.host"),
        ({"host": "smtp.example.com:25"}, None),
        ({"host": "http://smtp.example.com"}, None),
        ({"identities": [{"address": "Name <a@b.test>"}]}, "$.identities[0].address"),
        ({"identities": [{"address": "a@b.test\r\nBcc: x@y.test"}]}, "$.identities[0].address"),
        ({"identities": [{"address": "a@b.test", "name": "x\r\nBcc: y"}]}, "$.identities[0].name"),
        ({"identities": [{"address": "a@b.test"}, {"address": "A@B.test"}]}, "$.identities[1].address"),
    ],
)
def test_what_could_not_be_sent_through_is_refused_by_its_path(
    given: dict[str, Any], path: str | None
) -> None:
    _, problems = opened(**given)
    # A host with a colon reads as an address; where addresses lead is judged by resolving them.
    assert list(problems) == ([path] if path else [])


def test_all_problems_are_told_at_once() -> None:
    _, problems = opened(host="a b", auth="password", imap={"host": "x", "password": "p"}, tls_ca="x")
    assert list(problems) == ["$.imap.username", "$.host", "$.username", "$.password", "$.tls_ca"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "::1", "[::1]", "１２７.0.0.1", "10.0.0.1."],
)
def test_every_spelling_of_an_address_is_taken_for_one(host: str) -> None:
    assert decisions.is_literal(host)


@pytest.mark.parametrize(
    "host", ["smtp.example.com", "mailhog", "1and1.com", "bücher.example", "0x.example", "localhost"]
)
def test_a_name_is_taken_for_a_name(host: str) -> None:
    assert not decisions.is_literal(host)
    assert decisions.host_problem(host) is None


def test_what_a_change_leaves_out_stays() -> None:
    account, _ = opened(
        username="u", password="p", limits={"per_second": 5, "per_day": 9}, tracking={"read": True}
    )
    fresh, problems = changed(account, name="new", limits={"per_second": None}, tracking={"opens": False})
    assert not problems
    assert fresh.name == "new"
    assert (fresh.limits.per_second, fresh.limits.per_day, fresh.limits.connections) == (None, 9, 10)
    assert (fresh.tracking.opens, fresh.tracking.read) == (False, True)
    assert fresh.smtp == account.smtp


def test_a_change_may_not_leave_a_login_without_its_password() -> None:
    account, _ = opened(username="u", password="p")
    assert list(changed(account, password=None)[1]) == ["$.password"]
    assert list(changed(account, username=None)[1]) == ["$.username"]


def test_a_change_to_no_login_forgets_the_credentials() -> None:
    account, _ = opened(username="u", password="p")
    fresh, problems = changed(account, auth="none")
    assert not problems
    assert (fresh.smtp.username, fresh.smtp.secret) == (None, None)


def test_identities_are_replaced_in_their_order() -> None:
    account, _ = opened()
    fresh, _ = changed(
        account, identities=[{"address": "b@example.com", "name": "B"}, {"address": "a@example.com"}]
    )
    assert fresh.identities == (
        Identity(address="b@example.com", name="B"),
        Identity(address="a@example.com"),
    )


MOVES = {"host": "other.example.com", "port": 2525, "tls": "none", "auth": "xoauth2", "username": "v"}


@pytest.mark.parametrize("name", MOVES)
def test_a_stored_password_is_not_sent_to_where_it_was_not_given_for(name: str) -> None:
    account, _ = opened(username="u", password="p")
    assert list(changed(account, **{name: MOVES[name]})[1]) == ["$.password"]
    fresh, problems = changed(account, **{name: MOVES[name]}, password="again")
    assert not problems
    assert fresh.smtp.secret == "sealed again"


def test_a_change_to_the_same_server_needs_no_password() -> None:
    account, _ = opened(username="u", password="p")
    assert not changed(account, host=account.smtp.host, port=587, name="new")[1]


def test_an_account_without_a_password_may_move() -> None:
    account, _ = opened()
    assert not changed(account, host="other.example.com", tls="none")[1]


def test_a_stored_password_is_not_trusted_to_another_authority() -> None:
    account, _ = opened(username="u", password="p")
    assert "$.password" in changed(account, tls_ca="another")[1]


def test_a_mailbox_is_read_over_tls_from_its_inbox_unless_said_otherwise() -> None:
    account, problems = opened(imap=LINKED)
    assert not problems
    assert account.imap == Imap(
        host="imap.example.com",
        port=993,
        tls="implicit",
        username="replies",
        secret="sealed p",
        mailbox="INBOX",
    )
    imap = opened(imap=LINKED | {"tls": "starttls"})[0].imap
    assert imap is not None
    assert imap.port == 143


def test_what_is_not_said_of_a_mailbox_stays_and_null_unlinks_it() -> None:
    account, _ = opened(imap=LINKED)
    other, problems = changed(account, imap={"mailbox": "Bounces"})
    assert not problems
    assert other.imap is not None
    assert (other.imap.mailbox, other.imap.secret) == ("Bounces", "sealed p")
    assert changed(other, name="n")[0].imap == other.imap
    assert changed(other, imap=None)[0].imap is None


@pytest.mark.parametrize(
    "given",
    [{"host": "evil.example.com"}, {"port": 1143}, {"tls": "none"}, {"username": "v"}, {"auth": "xoauth2"}],
)
def test_the_password_of_a_mailbox_is_not_carried_elsewhere(given: dict[str, Any]) -> None:
    account, _ = opened(imap=LINKED)
    assert list(changed(account, imap=given)[1]) == ["$.imap.password"]
    assert not changed(account, imap=given | {"password": "q"})[1]
