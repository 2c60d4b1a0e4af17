"""A durable consumer in virtual time: ack_wait, heartbeats, redelivery, and a broker that forgets who holds what."""

import asyncio
import random
from typing import Any

from shared.events import record
from shared.runtime import topology
from shared.runtime.delivery import Delivery


class Group:
    """Pushes each matching record to one living member until it is acked."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.members: list[Any] = []
        self.pending: dict[int, Pending] = {}
        self._back = asyncio.Event()
        self._back.set()

    def offer(self, item: record.Record) -> None:
        """Take a record into the consumer and deliver it."""
        pending = Pending(item)
        self.pending[item.sequence] = pending
        self._deliver(pending)

    def forget_holders(self) -> None:
        """As after a broker crash: live, heartbeated records come again at once, with num_delivered 1."""
        for pending in list(self.pending.values()):
            if self._dice.random() < 0.5:
                pending.delivered = 0
                self._deliver(pending)

    async def be_away(self, seconds: float) -> None:
        """As after a longer absence: nobody is heard meanwhile, then everything in hand comes again, counted on."""
        self._back.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._back.set()
        for pending in list(self.pending.values()):
            self._deliver(pending)

    @property
    def is_away(self) -> bool:
        """Say whether the broker answers nobody."""
        return not self._back.is_set()

    async def be_back(self) -> None:
        """Wait until the broker answers."""
        await self._back.wait()

    async def run(self) -> None:
        """Redeliver whatever nobody acked or kept alive."""
        while True:
            await asyncio.sleep(2)
            now = asyncio.get_running_loop().time()
            for pending in [] if self.is_away else list(self.pending.values()):
                if now - pending.alive_at > topology.ACK_WAIT:
                    self._deliver(pending)

    def _deliver(self, pending: "Pending") -> None:
        alive = [member for member in self.members if not member.dead]
        if not alive:
            return
        pending.delivered += 1
        pending.alive_at = asyncio.get_running_loop().time()
        self._dice.choice(alive).receive(pending)


class Pending:
    """One record the consumer still wants an ack for."""

    def __init__(self, item: record.Record) -> None:
        self.item = item
        self.delivered = 0
        self.alive_at = 0.0


class Hand:
    """What one dispatcher process holds; stands for Consumer towards Delivery."""

    def __init__(self, group: Group, member: Any) -> None:
        self._group, self._member = group, member
        self.held: dict[int, Delivery] = {}

    def take(self, pending: Pending) -> Delivery | None:
        """Hold a delivered record; None when it is held already."""
        if pending.item.sequence in self.held:
            return None
        now = asyncio.get_running_loop().time()
        delivery = Delivery(self, pending.item, "", pending.delivered, now)
        self.held[pending.item.sequence] = delivery
        return delivery

    async def settle(self, delivery: Delivery, verb: bytes) -> None:
        """Answer for a delivery as Consumer does."""
        await self._member.wait_while_stalled()
        await self._group.be_back()
        if self._member.dead or delivery.settled:
            return
        self.forget(delivery)
        pending = self._group.pending.get(delivery.record.sequence)
        if pending is None:
            return
        if verb == b"+ACK":
            del self._group.pending[delivery.record.sequence]
        else:
            pending.alive_at = asyncio.get_running_loop().time() - topology.ACK_WAIT

    async def set_aside(self, delivery: Delivery, why: Exception) -> None:
        """No record here is beyond handling."""
        raise AssertionError(f"set aside: {why}")

    def forget(self, delivery: Delivery) -> None:
        """Stop keeping it alive."""
        delivery.settled = True
        self.held.pop(delivery.record.sequence, None)

    async def beat(self) -> None:
        """Send heartbeats while the process lives and is not stalled."""
        loop = asyncio.get_running_loop()
        while not self._member.dead:
            await asyncio.sleep(topology.HEARTBEAT / 2)
            await self._member.wait_while_stalled()
            if self._member.dead:
                return
            if self._group.is_away:
                continue
            for sequence, delivery in list(self.held.items()):
                pending = self._group.pending.get(sequence)
                if pending is not None:
                    pending.alive_at = loop.time()
                delivery.answered(loop.time())
