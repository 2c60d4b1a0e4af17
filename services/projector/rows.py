"""What is written for an email: its row out of its folded state, and its events as the archive keeps them. Pure.

NUL, which Postgres refuses in text, is replaced here and nowhere else.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from shared.events import base, email, fold, record, signal, status, submission
from shared.mail import address

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_REPLACEMENT: Final = "\ufffd"

# Deterministic, so that equal states are equal bytes and a rebuild need not write what is right already.
_encoder = msgspec.msgpack.Encoder(order="deterministic")
_states = msgspec.msgpack.Decoder(fold.State)
_bodies = msgspec.msgpack.Decoder(email.Body)


class NotAnEmail(ValueError):
    """The record's subject does not name an email: its id is no UUID in canonical form."""


class Lane(NamedTuple):
    """One email's records within a batch, each event once."""

    workspace: str
    email_id: str
    records: list[record.Record]


class Row(NamedTuple):
    """An email's row: the state, and what of it lists filter and sort by."""

    workspace: str
    email_id: str
    status: str
    unified_status: str
    scheduled_at: datetime | None
    last_sequence: int
    state: bytes
    created_at: datetime | None
    account_id: str | None
    batch_id: str | None
    from_address: str | None
    subject: str | None
    recipients: list[str] | None
    tags: list[str] | None


_NAMES: Final = {kind: name for name, kind in base.REGISTRY.items()}
ARCHIVED: Final = (
    "workspace",
    "email_id",
    "event_id",
    "sequence",
    "type",
    "occurred_at",
    "causation",
    "payload",
)
EXPIRY: Final = ("workspace", "email_id", "expires_at")
OBJECT: Final = ("workspace", "email_id", "key")
Archived = tuple[str, str, str, int, str, datetime, str | None, bytes]
Head = tuple[str, str, str, str, datetime | None, int, bytes]


def clean(value: str) -> str:
    """Return text as Postgres takes it: without NUL."""
    return value.replace("\x00", _REPLACEMENT) if "\x00" in value else value


def is_email_id(text: str) -> bool:
    """Say whether this is a UUID in canonical form, as every email's id is."""
    return _UUID(text) is not None


def arrange(records: Iterable[record.Record]) -> list[Lane]:
    """Return a batch by email, in the order of keys in which everybody locks and writes.

    Of an event that was appended twice the first copy counts. Raises: NotAnEmail.
    """
    lanes: dict[tuple[str, str], dict[str, record.Record]] = {}
    for item in records:
        lane = lanes.setdefault((item.email_id, item.workspace), {})
        known = lane.get(item.event_id)
        if known is None or item.sequence < known.sequence:
            lane[item.event_id] = item
    for email_id, _ in lanes:
        # Another spelling of the same UUID would be another lane of the same row.
        if not is_email_id(email_id):
            raise NotAnEmail(f"{email_id!r} is not the id of an email")
    return [
        Lane(workspace, email_id, [lane[name] for name in sorted(lane)])
        for (email_id, workspace), lane in sorted(lanes.items())
    ]


def decode_state(data: bytes) -> fold.State:
    """Return the state a row holds."""
    return _states.decode(data)


def readable_state(data: bytes) -> fold.State:
    """Return the state a row holds, or that of an email of which nothing is known."""
    try:
        return _states.decode(data)
    except msgspec.MsgspecError:
        return fold.State()


def decode_body(data: bytes) -> email.Body:
    """Return the body a row of the contents holds."""
    return _bodies.decode(data)


def head(workspace: str, email_id: str, state: fold.State) -> Head:
    """Return the columns that an event after the request can change."""
    return (
        workspace,
        email_id,
        status.raw(state),
        status.unified(state),
        state.scheduled_at,
        state.sequence,
        _encoder.encode(state),
    )


def row(workspace: str, email_id: str, state: fold.State) -> Row:
    """Return the whole row of an email in this state."""
    first, sent = head(workspace, email_id, state), state.email
    if sent is None:
        return Row(*first, state.created_at, None, None, None, None, None, None)
    return Row(
        *first,
        state.created_at,
        clean(sent.account_id),
        clean(sent.batch_id) if sent.batch_id else None,
        clean(address.normalised(sent.from_.address)),
        clean(sent.subject),
        [clean(address.normalised(each)) for each, _ in sent.recipients()],
        [clean(tag) for tag in sent.tags] if sent.tags else None,
    )


def archived(records: Iterable[record.Record]) -> list[Archived]:
    """Return records as the archive's rows, without content."""
    return [
        (
            item.workspace,
            item.email_id,
            clean(item.event_id),
            item.sequence,
            _NAMES[type(item.event)],
            item.event.occurred_at,
            clean(item.causation) if item.causation else None,
            record.payload(item.event.without_content()),
        )
        for item in records
    ]


def body(records: Iterable[record.Record]) -> bytes | None:
    """Return the content that came with a request, encoded, if there is one among these records."""
    for item in records:
        if isinstance(item.event, submission.Requested) and item.event.email.body is not None:
            return _encoder.encode(item.event.email.body)
    return None


def messages(records: Iterable[record.Record]) -> dict[str, datetime]:
    """Return the keys of the content store where what came back lies, byte by byte, and when it came."""
    return {
        clean(item.event.raw_key): item.event.occurred_at
        for item in records
        if isinstance(item.event, signal.Report) and item.event.raw_key is not None
    }


def objects(records: Iterable[record.Record]) -> list[str]:
    """Return the keys of the content store that came with a request, each once."""
    keys: dict[str, None] = {}
    for item in records:
        if isinstance(item.event, submission.Requested):
            body = item.event.email.body
            if body is not None and body.key is not None:
                keys[clean(body.key)] = None
            keys |= dict.fromkeys(clean(file.key) for file in item.event.email.attachments)
    return list(keys)


def expiry(state: fold.State, keep: timedelta) -> datetime | None:
    """Return when the content may go: `keep` after the earliest final fact, never while the email lives."""
    finals = [finish.at for finish in state.finals.values()]
    return min(finals) + keep if finals else None
