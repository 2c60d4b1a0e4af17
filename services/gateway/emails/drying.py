"""The dry run of a send: the message it would make and whom it would reach, found by the steps a send takes.

Nothing is stored and nothing is sent. What a send would refuse is refused here alike, but for a recipient without
an address: that is told as its verdict.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, cast

import msgspec

from services.gateway import errors, identifiers, json_body
from services.gateway.emails import acceptance, draft, presentation, raw, submitting
from services.gateway.emails.attachments import File
from services.gateway.emails.repeats import Claim
from services.gateway.request import Reply, Request
from shared.events import email
from shared.events.base import WorkspaceId
from shared.runtime import instrumenting, message
from shared.runtime.suppressions import Entry

Role: TypeAlias = Literal["to", "cc", "bcc"]
_ROLES: Final = ("to", "cc", "bcc")
_ALL_SUPPRESSED: Final = "every recipient is suppressed: nothing would be sent"


class Verdict(msgspec.Struct, frozen=True):
    """What would become of one recipient; `reason` says why it is not `ok`."""

    address: str
    role: Role
    verdict: Literal["ok", "suppressed", "invalid"]
    reason: str | None


class WouldAttach(msgspec.Struct, frozen=True, rename="camel"):
    """A file as it would be attached."""

    filename: str
    content_type: str
    size_bytes: int
    content_id: str | None


class Caution(msgspec.Struct, frozen=True):
    """Something about the email that a send accepts, and its sender may not want."""

    code: Literal["all_suppressed"]
    message: str


class Dry(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What a send of the same body would do. `valid`: it would be accepted.

    `size` is the exact size of the message in bytes, as it would be sent now; null when a recipient is invalid.
    `links` are those that clicks would be followed through.
    """

    valid: bool
    smtp_account_id: str
    from_: str
    subject: str
    html: str | None
    text: str | None
    size: int | None
    scheduled_at: datetime | None
    attachments: list[WouldAttach]
    recipients: list[Verdict]
    links: list[str]
    warnings: list[Caution]


async def validate(request: Request) -> Reply:
    """Tell what a send would do. Raises: ApiError, as a send does."""
    try:
        async with asyncio.timeout(submitting.WITHIN):
            return Reply(await _dry(request))
    except TimeoutError as error:
        raise errors.unavailable("the email could not be looked at in time; try again") from error


async def _dry(request: Request) -> Dry:
    services, now = request.services, datetime.now(UTC)
    unusable: list[draft.Unusable] = []
    value = json_body.parse(request.body)
    made = await submitting.checked(services, request.workspace, value, unusable=unusable)
    by = await submitting.granted(services, request.workspace, made, now)
    body = await asyncio.to_thread(submitting.packed, made)
    about = Claim(WorkspaceId(request.workspace), identifiers.fresh(), None)
    kept = acceptance.Kept(body, tuple(_unstored(file) for file in made.attachments))
    sent = submitting.accepted(services, about, made, kept, by, now).email
    content = await message.content_of(sent, services.content)
    opened = message.open_message(
        sent,
        content,
        services.content,
        instrumenting.Origin(services.tokens, about.workspace, about.email_id),
        signer=raw.signer(services, by.account, sent),
    )
    found = await services.suppressions.find(request.workspace, [one for one, _ in sent.recipients()])
    return Dry(
        valid=not unusable,
        smtp_account_id=by.account.id,
        from_=presentation.mailbox(sent.from_),
        subject=sent.subject,
        html=content.html,
        text=content.text,
        size=None if unusable else opened.size,
        scheduled_at=sent.scheduled_at,
        attachments=[
            WouldAttach(one.filename, one.content_type, one.size, one.content_id) for one in sent.attachments
        ],
        recipients=_verdicts(sent, unusable, found),
        links=await asyncio.to_thread(instrumenting.followed, content.html, sent) if content.html else [],
        warnings=_warnings(sent, found),
    )


def _unstored(file: File | email.Attachment) -> email.Attachment:
    """Return what would refer to the file; its size and its digest are all that is asked of it here."""
    if isinstance(file, email.Attachment):
        return file
    return email.Attachment(
        id=identifiers.fresh(),
        filename=file.about.filename,
        content_type=file.about.content_type,
        size=len(file.data),
        sha256=identifiers.digest(file.data),
        key="",
        content_id=file.about.content_id,
        disposition=file.about.disposition,
    )


def _verdicts(
    sent: email.Email, unusable: Sequence[draft.Unusable], suppressed: dict[str, Entry]
) -> list[Verdict]:
    """Return a verdict of each recipient, by role; those without an address behind the others of theirs. Pure."""
    verdicts = [
        Verdict(one, cast(Role, role), "suppressed", entry.reason)
        if (entry := suppressed.get(one))
        else Verdict(one, cast(Role, role), "ok", None)
        for one, role in sent.recipients()
    ]
    verdicts += [Verdict(one.address, cast(Role, one.role), "invalid", one.why) for one in unusable]
    return sorted(verdicts, key=lambda verdict: _ROLES.index(verdict.role))


def _warnings(sent: email.Email, suppressed: dict[str, Entry]) -> list[Caution]:
    if sent.recipients() and all(one in suppressed for one, _ in sent.recipients()):
        return [Caution("all_suppressed", _ALL_SUPPRESSED)]
    return []
