import msgspec
import pytest

from services.gateway.emails import presentation
from shared.events import fold
from shared.mail import address
from shared.mail.address import Mailbox
from tests.unit.gateway.emails.histories import (
    GONE,
    ID,
    NOON,
    cancelled,
    deferred,
    failed,
    minute,
    requested,
    result,
    sending,
    sent,
    state,
)

KEYS = {
    *("id", "message_id", "from", "to", "cc", "bcc", "subject", "status", "unified_status", "status_reason"),
    *(
        "created_at",
        "scheduled_at",
        "sent_at",
        "delivered_at",
        "first_opened_at",
        "first_clicked_at",
        "read_at",
    ),
    *("first_replied_at", "bounced_at", "complained_at", "failed_at", "cancelled_at", "next_attempt_at"),
    *("open_count", "click_count", "machine_open_count", "attempt_count", "attachments", "recipients"),
    *(
        "smtp_account_id",
        "template_id",
        "template_version",
        "batch_id",
        "resent_from",
        "tags",
        "metadata",
        "tracking",
    ),
}


def _shown(given: fold.State) -> dict[str, object]:
    built = msgspec.json.decode(msgspec.json.encode(presentation.shown(ID, given)))
    assert isinstance(built, dict)
    return built


def test_every_key_of_the_contract_is_there_and_no_other() -> None:
    assert set(_shown(state(requested()))) == KEYS


def test_an_email_is_shown_as_it_was_asked_for() -> None:
    shown = _shown(
        state(
            requested(
                to_is_string=True, tags=("a",), metadata={"k": "v"}, cc=(Mailbox("c@world.test", "C, D"),)
            )
        )
    )
    assert shown["to"] == "ann@world.test"
    assert shown["from"] == "Sendlog <hello@sendlog.test>"
    assert shown["cc"] == ['"C, D" <c@world.test>']
    assert (shown["tags"], shown["metadata"]) == (["a"], {"k": "v"})
    assert shown["created_at"] == "2026-11-24T12:00:00Z"
    assert shown["tracking"] == {"opens": True, "clicks": True, "delivery": True, "read": False}


@pytest.mark.parametrize("name", ["Ann", "", 'A "B" C', "a\\b", "Dr. A, B", "Ümläut", "a@b", "(x)"])
def test_a_shown_mailbox_is_read_back_as_the_same(name: str) -> None:
    mailbox = Mailbox("ann@world.test", name)
    assert address.parse(presentation.mailbox(mailbox)) == mailbox


def test_the_answer_to_a_send_is_made_of_the_request_alone() -> None:
    before = requested(release="at", scheduled_at=minute(60))
    later = state(before, cancelled())
    assert later.email is not None
    first = presentation.accepted(ID, before.release, before.email, NOON)
    assert presentation.accepted(ID, later.release, later.email, NOON) == first
    assert (first.status, first.scheduled_at) == ("scheduled", minute(60))


def test_each_recipient_has_its_own_state() -> None:
    shown = presentation.shown(
        ID,
        state(
            requested("ann@world.test", "bob@world.test", "cid@world.test"),
            sending(),
            deferred(
                result("ann@world.test", "sent", 250, "250 ok"),
                result("bob@world.test", "deferred", 450, "450 busy"),
                result("cid@world.test", "failed", 550, "550 no such user"),
            ),
        ),
    )
    assert [(one.status, one.smtp_code, one.reason) for one in shown.recipients] == [
        ("sent", 250, None),
        ("deferred", 450, "450 busy"),
        ("failed", 550, "550 no such user"),
    ]
    assert shown.status == "deferred"
    assert shown.unified_status == "queued"
    assert shown.next_attempt_at == minute(6)
    assert shown.status_reason is not None
    assert shown.status_reason.code == "450"


def test_a_recipient_nobody_tried_shares_the_fate_of_the_email() -> None:
    assert presentation.shown(ID, state(requested(), cancelled())).recipients[0].status == "cancelled"
    assert presentation.shown(ID, state(requested())).recipients[0].status == "queued"
    partly = state(
        requested("ann@world.test", "bob@world.test"),
        sending(),
        deferred(result("ann@world.test", "sent", 250), result("bob@world.test", "deferred", 450, "busy")),
        failed(round_=2),
    )
    shown = presentation.shown(ID, partly)
    assert shown.status == "sent"
    assert [one.status for one in shown.recipients] == ["sent", "failed"]


def test_a_status_that_needs_a_why_has_one() -> None:
    shown = presentation.shown(
        ID, state(requested(), sending(), failed(result("ann@world.test", "failed", 550)))
    )
    assert shown.failed_at == minute(1.5)
    assert shown.status_reason == presentation.StatusReason(
        code=GONE.code,
        enhanced_code=None,
        category=GONE.category,
        message=GONE.message,
        retryable=False,
        suggested_action=GONE.suggested_action,
    )
    assert presentation.shown(ID, state(requested(), cancelled())).status_reason is not None
    assert presentation.shown(ID, state(requested(), sending(), sent())).status_reason is None
