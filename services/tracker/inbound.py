"""The way of an inbound message: read, found, kept, suppressed, said.

The raw message is in the content store before the event that refers to it, and the suppression in force before
the bounce can be seen. Everything may come twice, and by two ways: what is said is named by what it says.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

import structlog
from prometheus_client import Counter

from services.tracker import arrival, mime, signals
from services.tracker.addressing import Finder, Found, is_forged
from services.tracker.evidence import Case, Said, Telling
from services.tracker.signals import complaint, dsn, unsubscribe
from shared.events import fold
from shared.events.base import EmailId, EventId, WorkspaceId
from shared.events.email import Email
from shared.events.record import Record
from shared.runtime.content import ContentStore
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions

logger = structlog.get_logger(__name__)
INBOUND: Final = Counter(
    "sendlog_inbound_messages_total",
    "Inbound messages by what they are and what became of them",
    ["kind", "fate"],
)
SIGNALS: Final = signals.recognisers()
LARGE: Final = 8 * 1024  # bytes from which others need not wait while a message is worked on
WITHIN: Final = 30.0
MAX_HOPS: Final = 50  # RFC 5321 6.3; what went through more servers goes round
LOOP: Final = "loop"
UNMATCHED: Final = "_unmatched"  # no workspace's name begins with an underscore
_EVENTS: Final = uuid.UUID("8b1f5c0a-52b7-4a3e-9c40-2f6a7f1c3d11")


class Result(NamedTuple):
    """What became of a message: which signal it is, which email it is about, and what was said of it."""

    kind: str
    found: Found | None
    said: tuple[Said, ...]
    raw_key: str


class Place(NamedTuple):
    """Where what is told belongs: the email, and when it left, as far as that is known; else the time it bears."""

    workspace: str
    email: Email
    left_at: datetime


class Archive(Protocol):
    """Where an email is found that the log has let go of."""

    async def state(self, workspace: str, email_id: str) -> fold.State | None:
        """Return what is known of the email, or None. Raises: one of postgres.UNAVAILABLE."""


class Inbound:
    """Takes inbound messages, one after the other or several at once."""

    def __init__(
        self,
        log: Log,
        publisher: Publisher,
        suppressions: Suppressions,
        store: ContentStore,
        finder: Finder,
        archive: Archive,
    ) -> None:
        self._log, self._publisher, self._suppressions = log, publisher, suppressions
        self._store, self._finder, self._archive = store, finder, archive

    async def take(
        self, raw: bytes, envelope: Iterable[str], at: datetime | None = None, *, keep_all: bool = True
    ) -> Result:
        """Say what the message tells; all of it is in the log when this returns, and again changes nothing.

        It came `at`, or when its own trace says. Without `keep_all`, what names no email of ours is not kept: in
        somebody's mailbox that is private mail.

        Raises: ContentUnavailable, BrokerUnavailable, Unconfirmed, postgres.UNAVAILABLE: then it has to come again.
        """
        now = datetime.now(UTC)
        is_large = len(raw) > LARGE
        message, telling = await asyncio.to_thread(read, raw) if is_large else read(raw)
        if len(message.all("received")) > MAX_HOPS:
            INBOUND.labels(LOOP, "ignored").inc()
            logger.warning("mail_loop", kind=telling.kind, subject=message.field("subject")[:200])
            return Result(LOOP, None, (), "")
        came_to = tuple(envelope)
        found = self._found(message, telling, came_to)
        digest = hashlib.sha256(raw).hexdigest()
        place = await self._place(found, message, came_to)
        key = f"{place.workspace if place else UNMATCHED}/{at or now:%Y-%m-%d}/in-{digest[:32]}"
        if keep_all or place:
            await self._store.put(key, raw)
        said: tuple[Said, ...] = ()
        if found is not None and place is not None:
            came_at = at or arrival.at(message, place.left_at, now)
            case = Case(place.email, found.proof, came_at, key)
            said = tuple(await asyncio.to_thread(telling.said, case) if is_large else telling.said(case))
            for one in said:
                await self._say(place.workspace, found.email_id, _identity(message), one)
        fate = "said" if said else "fits no recipient" if place else "names no email of ours"
        INBOUND.labels(telling.kind, fate).inc()
        logger.info(
            "inbound", kind=telling.kind, fate=fate, email_id=found.email_id if found else None, raw_key=key
        )
        return Result(telling.kind, found, said, key)

    def _found(self, message: mime.Part, telling: Telling, envelope: Sequence[str]) -> Found | None:
        """Return the email that the strongest handle in the message leads to."""
        if isinstance(telling, unsubscribe.Telling):
            return self._finder.by_unsubscribe_address(message, envelope)
        if isinstance(telling, complaint.Telling | dsn.Telling):
            # Some come to one address for all that is sent.
            envelope = (*envelope, *telling.mail_from)
        return (
            self._finder.by_address(message, envelope)
            or self._finder.by_envid(telling.envid)
            or self._finder.by_message_ids(telling.message_ids)
        )

    async def _place(self, found: Found | None, message: mime.Part, envelope: Sequence[str]) -> Place | None:
        """Return the email, in the workspace that has it; nothing if the message came to a forged address."""
        for workspace in found.workspaces if found else ():
            place = await self._known(workspace, found.email_id if found else "")
            if place is None:
                continue
            mine = place.email.tracker.return_path if place.email.tracker else None
            is_by_address = found is not None and found.proof in ("return path", "unsubscribe address")
            if mine and not is_by_address and is_forged(message, envelope, mine):
                return None
            return place
        return None

    async def _known(self, workspace: str, email_id: str) -> Place | None:
        state: fold.State | None = fold.fold(await self._log.history(workspace, email_id))
        if state is None or state.email is None:
            state = await self._archive.state(workspace, email_id)
        if state is None or state.email is None:
            return None
        return Place(workspace, state.email, state.sent_at or state.email.date)

    async def _say(self, workspace: str, email_id: str, identity: str, one: Said) -> None:
        about = "\0".join((email_id, one.event.name, one.event.recipient or "", identity))
        event_id = EventId(str(uuid.uuid5(_EVENTS, about)))
        # Before the event, so that whoever sees `bounced` is protected already.
        if one.suppress is not None:
            await self._suppressions.add(workspace, *one.suppress)
        item = Record(WorkspaceId(workspace), EmailId(email_id), event_id, one.event)
        await self._publisher.append(item, within=WITHIN)


def _identity(message: mime.Part) -> str:
    """Return what one message keeps on every way it comes, over SMTP and IMAP alike: nothing of its trace.

    Without a Message-ID that is its body: whoever hands it on may give it one.
    """
    named = message.field("message-id").strip()
    body = b"" if named else message.raw.replace(b"\r\n", b"\n").strip()
    return f"{named}\0{message.field('date').strip()}\0{hashlib.sha256(body).hexdigest()}"


def read(raw: bytes) -> tuple[mime.Part, Telling]:
    """Return the message and what it tells. Pure; never raises."""
    message = mime.read(raw)
    for recognise in SIGNALS:
        telling = recognise(message)
        if telling is not None:
            return message, telling
    raise AssertionError("reply.recognise takes whatever is left")
