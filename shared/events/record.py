"""A record: one event as the log holds it, with its metadata (CloudEvents 1.0, NATS binary binding).

The subject names the email and the event; headers carry id, type, source, time and causation; the
payload is only what happened. What this version does not know is reported as such, never guessed.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

import msgspec

from shared.events import delivery, schedule, signal, submission
from shared.events.base import REGISTRY, EmailId, Event, EventId, WorkspaceId

STREAM = "EMAILS"
PREFIX = "emails"
# Every file of events, in the order an email meets them.
VOICES: Final = (submission, schedule, delivery, signal)

_encoder = msgspec.json.Encoder()
_decoders = {name: msgspec.json.Decoder(cls) for name, cls in REGISTRY.items()}
# Of the metadata, what all events of a class have alike.
_heads = {
    cls: f"ce-specversion: 1.0\r\nce-type: {name}\r\nce-source: /sendlog/{cls.voice}\r\n"
    for name, cls in REGISTRY.items()
}


class UnknownEvent(ValueError):
    """The record's type is not one this version knows: newer software wrote it, or it is no event."""


class Undecodable(ValueError):
    """The record's subject, headers or payload do not have the form its type promises."""


class Record(NamedTuple):
    """One event of one email as it was appended; `sequence` is its place in the log."""

    workspace: WorkspaceId
    email_id: EmailId
    event_id: EventId
    event: Event
    sequence: int = 0
    causation: str | None = None
    traceparent: str | None = None


def history_subject(workspace: str, email_id: str) -> str:
    """Return the wildcard that covers all records of one email: the guard's subject."""
    return f"{PREFIX}.{workspace}.{email_id}.>"


def nats_subject(record: Record) -> str:
    """Return the subject the record is appended under."""
    return f"{PREFIX}.{record.workspace}.{record.email_id}.{record.event.subject_tail()}"


def payload(event: Event) -> bytes:
    """Return the event as JSON."""
    return _encoder.encode(event)


def rfc3339(at: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with `Z` and microseconds."""
    if at.tzinfo is UTC and at.microsecond:  # as ours are; msgspec leaves a fraction of zero out
        return cast(str, msgspec.to_builtins(at))
    try:
        at = at.astimezone(UTC)
    except OverflowError:  # a stranger's record, at the edge of time; it must still reach the dead letters
        at = at.replace(tzinfo=UTC)
    return f"{at.isoformat(timespec='microseconds')[:-6]}Z"


def head(record: Record) -> str:
    """Return the CloudEvents attributes as the lines of NATS headers, each with its end."""
    event = record.event
    lines = (
        f"{_heads[type(event)]}ce-id: {record.event_id}\r\nce-time: {rfc3339(event.occurred_at)}\r\n"
        f"ce-subject: {record.email_id}\r\n"
    )
    if record.causation:
        lines += f"sendlog-causation: {record.causation}\r\n"
    if record.traceparent:
        lines += f"traceparent: {record.traceparent}\r\n"
    return lines


def headers(record: Record) -> dict[str, str]:
    """Return the CloudEvents attributes as NATS headers."""
    return dict(line.split(": ", 1) for line in head(record).splitlines())


def decode(subject: str, head: dict[str, str] | None, data: bytes, sequence: int) -> Record:
    """Return the record behind a message of the log.

    Raises: UnknownEvent when the type or its version is not known here; Undecodable when the
    message is not what its type promises.
    """
    parts = subject.split(".")
    if not head or len(parts) < 4 or "ce-type" not in head or "ce-id" not in head:
        raise Undecodable(f"{subject}: not a record of an email (subject or metadata missing)")
    kind = head["ce-type"]
    decoder = _decoders.get(kind)
    if decoder is None:
        raise UnknownEvent(f"{subject}: event type {kind} is not known here")
    try:
        event = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Undecodable(f"{subject}: {kind}: {error}") from error
    if parts[3] != event.name:
        raise Undecodable(f"{subject}: subject and type {kind} disagree")
    return Record(
        WorkspaceId(parts[1]),
        EmailId(parts[2]),
        EventId(head["ce-id"]),
        event,
        sequence,
        head.get("sendlog-causation"),
        head.get("traceparent"),
    )


def decode_archived(
    workspace: str, email_id: str, event_id: str, kind: str, data: bytes, sequence: int
) -> Record:
    """Return a record from the archive, where `kind` is the CloudEvents type. Raises as `decode`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        raise UnknownEvent(f"archive: event type {kind} is not known here")
    try:
        event = decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Undecodable(f"archive: {kind}: {error}") from error
    return Record(WorkspaceId(workspace), EmailId(email_id), EventId(event_id), event, sequence)
