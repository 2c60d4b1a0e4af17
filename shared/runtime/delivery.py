"""One record in hand: how it is settled, and whether the hold on it can still be relied on."""

from typing import Final, Protocol

from shared.events import record
from shared.runtime import topology

ACK: Final = b"+ACK"


class Holder(Protocol):
    """Whoever handed the record out: the consumer."""

    async def settle(self, delivery: "Delivery", verb: bytes) -> None:
        """Answer the broker for a delivery, once."""

    async def set_aside(self, delivery: "Delivery", why: Exception) -> None:
        """Dead-letter a record that can never be handled."""

    def forget(self, delivery: "Delivery") -> None:
        """Stop keeping a delivery alive."""


class Delivery:
    """One record in hand: its event, how often it was delivered, and the handle to settle it."""

    __slots__ = ("_consumer", "_lapsed", "alive_at", "delivered", "record", "reply", "settled")

    def __init__(self, consumer: Holder, item: record.Record, reply: str, delivered: int, now: float) -> None:
        self._consumer = consumer
        self.record = item
        self.reply = reply
        self.delivered = delivered
        self.alive_at = now
        self._lapsed = False
        self.settled = False

    async def ack(self) -> None:
        """Settle the record: its work is done and what follows from it is in the log."""
        await self._consumer.settle(self, ACK)

    async def retry(self, delay: float) -> None:
        """Give the record back, to be delivered again after `delay` seconds."""
        await self._consumer.settle(self, b'-NAK {"delay": %d}' % int(delay * 1e9))

    async def set_aside(self, why: Exception) -> None:
        """Put the record among the dead letters: it can be read, but never be handled."""
        await self._consumer.set_aside(self, why)

    def leave(self) -> None:
        """Let go without a word: the record comes again when `ack_wait` is over."""
        self._consumer.forget(self)

    def claimed(self, now: float) -> None:
        """Note that a claim appended just now proves the hold, whatever gaps there were before it."""
        self.alive_at, self._lapsed = now, False

    def answered(self, asked: float) -> None:
        """Note an answered heartbeat; a gap before it stays noted, for somebody may have taken over in it."""
        self._lapsed = not self.is_held_safely(asked)
        self.alive_at = asked

    def is_held_safely(self, now: float) -> bool:
        """Say whether no gap since the claim was so long that somebody else may have the record."""
        return not (self.settled or self._lapsed) and now - self.alive_at < topology.ACK_WAIT / 2
