"""The suppression lists as rows to be searched: what the bucket says last of an address is what its row says.

The bucket's sequence decides, so order, repeats and replicas do not matter; nothing is sent or kept back by a row.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
import nats
import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client

from services.projector import reading
from shared.events import record
from shared.events.base import EmailId, Event, EventId, WorkspaceId
from shared.mail import address
from shared.runtime import log as log_
from shared.runtime import postgres, topology
from shared.runtime.consumer import Consumer
from shared.runtime.delivery import Delivery
from shared.runtime.suppressions import STREAM, Entry, decode

logger = structlog.get_logger(__name__)
SQL: Final = postgres.statements(Path(__file__).with_name("suppressions.sql"))
BATCH: Final = 2000
_NEVER: Final = datetime.fromtimestamp(0, UTC)
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_MARGIN: Final = timedelta(milliseconds=100)
_SUBJECT_PARTS: Final = 4  # $KV, bucket, workspace, hash


class Listed(Event, frozen=True, kw_only=True):
    """The bucket's word on one address: its entry, or that there is none any more."""

    entry: Entry | None


class Row(NamedTuple):
    """One row, in the order of the statements."""

    workspace: str
    hash: bytes
    sequence: int
    created_at: datetime
    reason: str | None
    email: str | None
    address: str | None
    detail: str | None


def read(subject: str, head: Mapping[str, str] | None, data: bytes, sequence: int) -> record.Record:
    """Return a message of the bucket. Raises: record.Undecodable."""
    parts = subject.split(".")
    try:
        if len(parts) != _SUBJECT_PARTS:
            raise ValueError("not the key of an entry")
        bytes.fromhex(parts[3])
        entry = None if (head or {}).get("KV-Operation") in ("DEL", "PURGE") else decode(data)
    except (ValueError, msgspec.MsgspecError) as error:
        raise record.Undecodable(f"{subject}: {error}") from error
    event = Listed(occurred_at=entry.created_at if entry else _NEVER, entry=entry)
    return record.Record(WorkspaceId(parts[2]), EmailId(parts[3]), EventId(str(sequence)), event, sequence)


def rows(records: Iterable[record.Record]) -> list[Row]:
    """Return one row for each address, of its newest record, in the order of keys."""
    newest: dict[tuple[str, str], record.Record] = {}
    for item in records:
        key = (item.workspace, item.email_id)
        if key not in newest or newest[key].sequence < item.sequence:
            newest[key] = item
    return [_row(newest[key]) for key in sorted(newest)]


def _row(item: record.Record) -> Row:
    assert isinstance(item.event, Listed)
    entry = item.event.entry
    place = (item.workspace, bytes.fromhex(item.email_id), item.sequence)
    if entry is None:
        return Row(*place, _NEVER, None, None, None, None)
    return Row(
        *place,
        entry.created_at,
        entry.reason,
        _clean(entry.email),
        _clean(_compared(entry.email)),
        _clean(entry.detail),
    )


def _compared(email: str | None) -> str | None:
    if email is None:
        return None
    with contextlib.suppress(address.AddressError):
        return address.normalised(email)
    return email.lower()


def _clean(text: str | None) -> str | None:
    return text.replace("\0", "\ufffd") if text else text


class Lister:
    """Writes what the bucket says. `problem` is what keeps it from doing so, if anything does."""

    def __init__(self, pool: asyncpg.Pool, client: Client) -> None:
        self._pool, self._client = pool, client
        self.problem: str | None = None

    def consumer(self, log: log_.Log, broker: NatsBroker) -> Consumer:
        """Return the consumer of the bucket's stream."""

        async def handle(batch: list[Delivery]) -> None:
            await self._write(rows(delivery.record for delivery in batch))
            await consumer.ack_all(batch)

        consumer = Consumer(log, broker, topology.LISTER, handle, batch=BATCH, decode=read)
        return consumer

    async def _write(self, values: list[Row]) -> None:
        """Write until it is written: a database that is away is waited for with the batch in hand."""
        wait = _FIRST_WAIT
        while True:
            try:
                await self._pool.execute(SQL["write"], *zip(*values, strict=True))
                self.problem = None
                return
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                raise
            except (asyncpg.PostgresError, *postgres.UNAVAILABLE) as error:
                if not self.problem:
                    logger.warning("suppressions_wait", reason=repr(error))
                self.problem = f"the database does not take suppressions: {error!r}"
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    async def tick(self) -> None:
        """Write down up to which moment the rows are complete. Raises: what broker and database raise."""
        asked = datetime.now(UTC)
        info = await self._client.jetstream().consumer_info(STREAM, topology.LISTER.name)
        at = asked - _MARGIN
        if info.num_pending or info.num_ack_pending:
            acked = info.ack_floor.stream_seq if info.ack_floor else 0
            missing = await self._first_after(acked)
            at = missing or at
        await self._pool.execute(SQL["set_progress"], at)

    async def _first_after(self, sequence: int) -> datetime | None:
        try:
            message = await self._client.jetstream().get_msg(
                STREAM, seq=sequence + 1, subject=topology.LISTER.filters[0], next=True
            )
        except nats.js.errors.NotFoundError:
            return None
        return message.time


async def rebuild(pool: asyncpg.Pool, log: log_.Log, workspace: str | None = None) -> int:
    """Make the rows again from the bucket, in place and in one transaction; return how many there are.

    What is written meanwhile has a higher sequence and stays. Raises: what asyncpg raises; BrokerUnavailable.
    """
    try:
        last = (await log.client.jetstream().stream_info(STREAM)).state.last_seq
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise log_.BrokerUnavailable(f"{STREAM}: {error!r}") from error
    subject = f"$KV.{topology.SUPPRESSIONS}.{workspace or '*'}.*"
    count = 0
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SQL["begin_rebuild"])
        async for page in reading.pages(log, subject, last, stream=STREAM):
            values = rows(_readable(page))
            count += len(values)
            await _rewrite(connection, values)
        await connection.execute(SQL["remove_unseen"], workspace, last, timeout=600)
    return count


async def _rewrite(connection: Any, values: list[Row]) -> None:
    if values:
        await connection.execute(SQL["rewrite"], *zip(*values, strict=True), timeout=60)
        await connection.copy_records_to_table("seen", records=[value[:2] for value in values])


def _readable(page: list[reading.Raw]) -> Iterable[record.Record]:
    for raw in page:
        with contextlib.suppress(record.Undecodable):  # it is among the dead letters
            yield read(raw.subject, raw.headers, raw.data, raw.sequence)
