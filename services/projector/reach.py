"""How far the log has been read: by each consumer, and by this read model.

All numbers are the broker's own. They are asked for in an order that errs to the safe side: what is said to be
read had been read when it was asked.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import nats
from nats.aio.client import Client

from services.projector import decisions, metrics
from shared.runtime import postgres, topology

SQL: Final = postgres.statements(Path(__file__).with_name("reach.sql"))


_MARGIN: Final = timedelta(
    milliseconds=100
)  # the broker counts what is pending a moment after it confirmed it


class LogSize(NamedTuple):
    """The log's first and last sequence, its records and its bytes, and how many bytes it may have (or -1)."""

    first: int
    last: int
    records: int
    bytes: int
    limit: int

    @property
    def full(self) -> float:
        """Return how full it is: 1.0 is all it may have."""
        return self.bytes / self.limit if self.limit > 0 else 0.0


async def log_size(client: Client) -> LogSize:
    """Return the log's size. Raises: nats.errors.Error."""
    info = await client.jetstream().stream_info(topology.LOG)
    state = info.state
    return LogSize(state.first_seq, state.last_seq, state.messages, state.bytes, info.config.max_bytes or -1)


async def reader(client: Client, name: str) -> decisions.Reader:
    """Return how far a consumer has come. Raises: nats.errors.Error."""
    info = await client.jetstream().consumer_info(topology.LOG, name)
    acked = info.ack_floor.stream_seq if info.ack_floor else 0
    return decisions.Reader(acked, info.num_pending or 0, info.num_ack_pending or 0)


class Clock:
    """Keeps the row that says up to which moment lists are complete."""

    def __init__(self, pool: asyncpg.Pool, client: Client) -> None:
        self._pool = pool
        self._client = client

    async def tick(self) -> None:
        """Write down how far the read model is complete. Raises: what broker and database raise."""
        asked = datetime.now(UTC)
        known = await reader(self._client, topology.PROJECTOR.name)
        metrics.PENDING.set(known.pending + known.unacked)
        missing = None if known.is_caught_up else await self._first_missing(known.acked)
        await self._pool.execute(SQL["set_progress"], known.acked, missing or asked - _MARGIN)

    async def _first_missing(self, acked: int) -> datetime | None:
        """Return when the first record that is not archived was appended: all before it is there."""
        try:
            message = await self._client.jetstream().get_msg(
                topology.LOG, seq=acked + 1, subject="emails.>", next=True
            )
        except nats.js.errors.NotFoundError:
            return None
        return message.time
