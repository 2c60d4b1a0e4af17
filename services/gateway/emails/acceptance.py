"""The decision to accept an email: what the time and the workspace's accounts say to a checked draft. Pure.

Everything that makes the message's bytes is fixed here, so that every attempt sends the same ones.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec

from services.gateway import identifiers
from services.gateway.emails import times
from services.gateway.emails.draft import Draft
from services.gateway.emails.fields import Tracking
from services.gateway.errors import Problem
from shared.events import email, submission
from shared.events.base import AccountId, EmailId, WorkspaceId
from shared.mail import address
from shared.mail.address import Mailbox
from shared.runtime.configuration import Account


class Kept(NamedTuple):
    """The content of an email as its record names it: what does not fit into the log is stored by now."""

    body: email.Body
    attachments: tuple[email.Attachment, ...] = ()


class Place(NamedTuple):
    """Where in which batch an email stands."""

    batch_id: str
    batch: email.Batch


class Sender(NamedTuple):
    """The account that will carry the email, and whom it comes from."""

    account: Account
    from_: Mailbox


def time_problems(draft: Draft, now: datetime, path: str = "$") -> list[Problem]:
    """Return what is wrong with the draft's times as seen from now."""
    problems = []
    if draft.scheduled_at is not None and (why := times.scheduled(draft.scheduled_at, now)):
        problems.append(Problem(f"{path}.scheduled_at", why))
    if draft.expires_at is not None and (why := times.expiring(draft.expires_at, now, draft.scheduled_at)):
        problems.append(Problem(f"{path}.expires_at", why))
    return problems


def sender(draft: Draft, account: Account | None, path: str = "$") -> Sender | Problem:
    """Return who sends: the account and one of its identities; or why nobody may."""
    if account is None and draft.account_id is not None:
        return Problem(f"{path}.smtp_account_id", "there is no such SMTP account in this workspace")
    place = f"{path}.smtp_account_id"
    if account is None:
        return Problem(place, "the workspace has no default SMTP account; make one with POST /accounts")
    if account.disabled:
        return Problem(place, f"the SMTP account {account.name!r} is disabled")
    if not account.identities:
        return Problem(place, f"the SMTP account {account.name!r} has no identities to send from")
    if draft.from_ is None:
        identity = account.identities[0]
        return Sender(account, Mailbox(identity.address, _name(draft, identity.name)))
    wanted = address.normalised(draft.from_.address)
    for identity in account.identities:
        if address.normalised(identity.address) == wanted:
            return Sender(
                account, Mailbox(draft.from_.address, _name(draft, draft.from_.name or identity.name))
            )
    return Problem(f"{path}.from", f"is not one of the identities of the SMTP account {account.name!r}")


def _name(draft: Draft, otherwise: str) -> str:
    return otherwise if draft.from_name is None else draft.from_name


def accept(
    draft: Draft,
    kept: Kept,
    by: Sender,
    message_id: str,
    now: datetime,
    boundary: str,
    request_hash: str | None,
    place: Place | None = None,
    tracker: email.Tracker | None = None,
) -> submission.Requested:
    """Return the request as the log will hold it: for now, for its turn when it is one of many, or for its time."""
    scheduled_at = draft.scheduled_at if draft.scheduled_at is not None and draft.scheduled_at > now else None
    accepted = email.Email(
        message_id=message_id,
        date=scheduled_at or now,
        boundary=boundary,
        from_=by.from_,
        to=draft.to,
        cc=draft.cc,
        bcc=draft.bcc,
        to_is_string=draft.to_is_string,
        reply_to=draft.reply_to,
        subject=draft.subject,
        headers=draft.headers,
        body=kept.body,
        attachments=kept.attachments,
        account_id=AccountId(by.account.id),
        tracking=tracking(draft.tracking, by.account.tracking),
        tracker=tracker,
        tags=draft.tags,
        metadata=draft.metadata,
        scheduled_at=scheduled_at,
        expires_at=draft.expires_at,
        request_hash=request_hash,
        template_id=draft.source.template_id if draft.source else None,
        template_version=draft.source.version if draft.source else None,
        batch_id=place.batch_id if place else None,
        batch=place.batch if place else None,
    )
    release: submission.Release = "at" if scheduled_at else "turn" if place else "now"
    return submission.Requested(occurred_at=now, release=release, email=accepted)


def tracking(wanted: Tracking | None, usual: email.Tracking) -> email.Tracking:
    """Return which signals the email asks for: the client's word, else the account's."""
    if wanted is None:
        return usual
    said = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    return msgspec.structs.replace(usual, **said)


def content_key(workspace: WorkspaceId, email_id: EmailId, packed: bytes, now: datetime) -> str:
    """Return where a large body is kept; its digest is in the key, so another body never replaces it."""
    return f"{workspace}/{now:%Y-%m-%d}/{email_id}-{identifiers.digest(packed)[:16]}"
