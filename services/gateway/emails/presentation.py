"""An email as the API shows it, out of its folded state. Pure.

Every key of the contract is always there; what is not known yet is null. Only what has to be asked for
(`include`) is absent otherwise.
"""

import re
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from shared.events import delivery, email, fold, status
from shared.events.base import EmailId
from shared.mail.address import Mailbox

_SPECIAL: Final = re.compile(r'[()<>@,;:\\"\[\]]')


class Accepted(msgspec.Struct, frozen=True):
    """The answer to a send: what the client needs to find its email again."""

    id: str
    status: str
    to: str | list[str]
    subject: str
    scheduled_at: datetime | None
    message_id: str
    created_at: datetime
    resent_from: str | UnsetType = UNSET


class StatusReason(msgspec.Struct, frozen=True):
    """Why an email is where it is, and what can be done about it."""

    code: str
    enhanced_code: str | None
    category: str
    message: str
    retryable: bool
    suggested_action: str


class Recipient(msgspec.Struct, frozen=True):
    """One recipient and what became of its copy."""

    address: str
    role: str
    status: str
    smtp_code: int | None
    enhanced_code: str | None
    reason: str | None


class Attachment(msgspec.Struct, frozen=True, rename="camel"):
    """A file of the email."""

    id: str
    filename: str
    content_type: str
    size_bytes: int
    content_id: str | None


class Shown(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """An email with its status and its times; `html` to `events` are there when asked for.

    `open_count`, `click_count` and `machine_open_count` are exact up to 1,000 each, and end there.
    """

    id: str
    message_id: str
    from_: str
    to: str | list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    status: str
    unified_status: str
    status_reason: StatusReason | None
    created_at: datetime
    scheduled_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    first_opened_at: datetime | None
    first_clicked_at: datetime | None
    read_at: datetime | None
    first_replied_at: datetime | None
    bounced_at: datetime | None
    complained_at: datetime | None
    failed_at: datetime | None
    cancelled_at: datetime | None
    open_count: int
    click_count: int
    machine_open_count: int
    attempt_count: int
    next_attempt_at: datetime | None
    attachments: list[Attachment]
    recipients: list[Recipient]
    smtp_account_id: str
    template_id: str | None
    template_version: int | None
    batch_id: str | None
    resent_from: str | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    tracking: email.Tracking
    html: str | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    attempts: list[dict[str, Any]] | UnsetType = UNSET
    events: list[dict[str, Any]] | UnsetType = UNSET


def accepted(email_id: EmailId, release: str | None, sent: email.Email, created_at: datetime) -> Accepted:
    """Return the answer to a send, made of the request alone: a repeat gets it again, word for word."""
    return Accepted(
        id=email_id,
        status="scheduled" if release == "at" else "queued",
        to=addressed(sent),
        subject=sent.subject,
        scheduled_at=sent.scheduled_at,
        message_id=sent.message_id,
        created_at=created_at,
        resent_from=sent.resent_from or UNSET,
    )


def shown(email_id: EmailId, state: fold.State) -> Shown:
    """Return the email without what has to be asked for. `state` must hold the request."""
    sent, created_at = state.email, state.created_at
    assert sent is not None
    assert created_at is not None
    return Shown(
        id=email_id,
        message_id=sent.message_id,
        from_=mailbox(sent.from_),
        to=addressed(sent),
        cc=[mailbox(one) for one in sent.cc],
        bcc=[mailbox(one) for one in sent.bcc],
        subject=sent.subject,
        status=status.raw(state),
        unified_status=status.unified(state),
        status_reason=status_reason(status.reason(state)),
        created_at=created_at,
        scheduled_at=state.scheduled_at,
        sent_at=state.sent_at,
        attachments=[
            Attachment(one.id, one.filename, one.content_type, one.size, one.content_id)
            for one in sent.attachments
        ],
        delivered_at=status.first_at(state, "delivered"),
        first_opened_at=status.first_at(state, "opened"),
        first_clicked_at=status.first_at(state, "clicked"),
        read_at=status.first_at(state, "read"),
        first_replied_at=status.first_at(state, "replied"),
        bounced_at=status.first_at(state, "bounced"),
        complained_at=status.first_at(state, "complained"),
        open_count=len(state.opens),
        click_count=len(state.clicks),
        machine_open_count=len(state.machine_opens),
        failed_at=status.final_at(state, "failed"),
        cancelled_at=status.final_at(state, "cancelled"),
        attempt_count=status.attempts(state),
        next_attempt_at=status.next_attempt_at(state),
        recipients=recipients(state, sent),
        smtp_account_id=sent.account_id,
        template_id=sent.template_id,
        template_version=sent.template_version,
        batch_id=sent.batch_id,
        resent_from=sent.resent_from,
        tags=sent.tags,
        metadata=sent.metadata,
        tracking=sent.tracking,
    )


def mailbox(value: Mailbox) -> str:
    """Return `address`, or `Name <address>` with the name in quotes where it needs them."""
    if not value.name:
        return value.address
    name = value.name
    if _SPECIAL.search(name):
        name = '"' + re.sub(r'([\\"])', r"\\\1", name) + '"'
    return f"{name} <{value.address}>"


def addressed(sent: email.Email) -> str | list[str]:
    """Return whom an email is to: a string if one was given as a string."""
    written = [mailbox(one) for one in sent.to]
    return written[0] if sent.to_is_string and len(written) == 1 else written


def status_reason(why: delivery.Reason | None) -> StatusReason | None:
    """Return the why of a status with every key of the contract, or None."""
    if why is None:
        return None
    return StatusReason(
        code=why.code,
        enhanced_code=why.enhanced_code,
        category=why.category,
        message=why.message,
        retryable=why.retryable,
        suggested_action=why.suggested_action,
    )


def recipients(state: fold.State, sent: email.Email) -> list[Recipient]:
    """Return each recipient with its role and its own state."""
    unsettled = _unsettled(state)
    why = status.reason(state)
    out = []
    for address, role in sent.recipients():
        known = state.recipients.get(address)
        result = known.result if known else None
        settled = result is not None and result.status != "deferred"
        out.append(
            Recipient(
                address=address,
                role=role,
                status=result.status if settled and result else unsettled,
                smtp_code=result.smtp_code if result else None,
                enhanced_code=result.enhanced_code if result else None,
                reason=_why(result, why),
            )
        )
    return out


def _unsettled(state: fold.State) -> str:
    """Return the status of a recipient that no attempt has settled: what became of the email as a whole."""
    current = status.raw(state)
    others = [kind for kind in ("cancelled", "failed", "suppressed", "unconfirmed") if kind in state.finals]
    return others[0] if current == "sent" and others else current


def _why(result: delivery.RecipientResult | None, email_reason: delivery.Reason | None) -> str | None:
    if result is None:
        return email_reason.message if email_reason else None
    return None if result.status == "sent" else result.text or result.category
