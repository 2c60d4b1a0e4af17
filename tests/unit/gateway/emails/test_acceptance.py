from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.gateway import identifiers
from services.gateway.emails import acceptance
from services.gateway.errors import Problem
from shared.events import email, submission
from shared.events.base import EmailId, WorkspaceId
from shared.runtime.configuration import Account, Identity, Smtp
from tests.unit.gateway.emails.requests import accepted

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ID = EmailId("0190a0a0-0000-7000-8000-00000000000a")
MESSAGE_ID = "<signed@sendlog.test>"
ACCOUNT = Account(
    id="0e6a3a52-0000-4000-8000-000000000001",
    workspace="default",
    name="relay",
    smtp=Smtp(host="relay.test", port=25),
    identities=(Identity(address="hello@sendlog.test", name="Sendlog"), Identity(address="Büro@bücher.test")),
    created_at=NOW,
    updated_at=NOW,
)
BODY = email.Body(content=email.Content(text="Hello."), size=6)


def _sender(account: Account | None = ACCOUNT, **changes: Any) -> acceptance.Sender:
    found = acceptance.sender(accepted(**changes), account)
    assert isinstance(found, acceptance.Sender)
    return found


def _refused(account: Account | None, **changes: Any) -> Problem:
    found = acceptance.sender(accepted(**changes), account)
    assert isinstance(found, Problem)
    return found


def _accept(**changes: Any) -> submission.Requested:
    made = accepted(**changes)
    return acceptance.accept(
        made, acceptance.Kept(BODY), _sender(**changes), MESSAGE_ID, NOW, identifiers.boundary(), None
    )


def test_the_first_identity_sends_when_nobody_is_named() -> None:
    by = _sender()
    assert (by.from_.address, by.from_.name) == ("hello@sendlog.test", "Sendlog")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"from": "hello@sendlog.test"}, "Sendlog"),
        ({"from": "Ann <HELLO@Sendlog.Test>"}, "Ann"),
        ({"from": "Ann <hello@sendlog.test>", "from_name": "Bob"}, "Bob"),
        ({"from_name": "Bob"}, "Bob"),
        ({"from_name": ""}, ""),
        ({"from": "büro@xn--bcher-kva.test"}, ""),
    ],
)
def test_the_sender_is_an_identity_under_the_name_the_client_gives(
    changes: dict[str, str], name: str
) -> None:
    assert _sender(ACCOUNT, **changes).from_.name == name


def test_nobody_sends_as_someone_who_is_no_identity() -> None:
    assert _refused(ACCOUNT, **{"from": "eve@sendlog.test"}).path == "$.from"


@pytest.mark.parametrize(
    "account",
    [None, msgspec.structs.replace(ACCOUNT, disabled=True), msgspec.structs.replace(ACCOUNT, identities=())],
)
def test_an_account_that_cannot_send_is_refused(account: Account | None) -> None:
    assert _refused(account).path == "$.smtp_account_id"


def test_an_email_for_now_is_its_own_release() -> None:
    event = _accept()
    assert (event.release, event.email.scheduled_at, event.email.date) == ("now", None, NOW)
    assert event.email.message_id == MESSAGE_ID
    assert event.email.account_id == ACCOUNT.id


def test_a_time_still_to_come_makes_it_wait() -> None:
    at = NOW + timedelta(hours=1)
    event = _accept(scheduled_at=at.isoformat())
    assert (event.release, event.email.scheduled_at) == ("at", at)


def test_a_time_just_past_means_now() -> None:
    event = _accept(scheduled_at=(NOW - timedelta(seconds=30)).isoformat())
    assert (event.release, event.email.scheduled_at) == ("now", None)


def test_tracking_is_the_accounts_unless_the_client_says_otherwise() -> None:
    usual = email.Tracking(opens=False, clicks=True, delivery=False, read=True)
    assert acceptance.tracking(None, usual) == usual
    made = accepted(tracking={"opens": True, "read": False})
    assert acceptance.tracking(made.tracking, usual) == email.Tracking(
        opens=True, clicks=True, delivery=False, read=False
    )


def test_another_body_under_the_same_id_never_replaces_the_first() -> None:
    one = acceptance.content_key(WorkspaceId("default"), ID, b"one", NOW)
    other = acceptance.content_key(WorkspaceId("default"), ID, b"other", NOW)
    assert one != other
    assert one.startswith(f"default/2026-11-24/{ID}")
