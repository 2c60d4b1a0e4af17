"""Consuming the log: a durable push subscriber whose records become batches, acked after the work.

The subscriber only hands the record to an in-process queue; the service takes whatever is there. What
is in hand is kept alive by answered heartbeats, so a killed process's records are taken over within
`ack_wait` and a stalled holder knows that it stalled.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import nats
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker
from nats.aio.msg import Msg

from shared.events import record
from shared.runtime import heartbeats, metrics, topology
from shared.runtime import log as log_
from shared.runtime.delivery import ACK, Delivery
from shared.runtime.publisher import Publisher

logger = structlog.get_logger(__name__)
TERM: Final = b"+TERM"
# What is given back while stopping comes again after this many seconds: at once it would come to us again, or
# into the void as we unsubscribe, and then only after `ack_wait`.
LEAVING: Final = 0.5


Handle = Callable[[list[Delivery]], Awaitable[None]]
Decode = Callable[[str, dict[str, str] | None, bytes, int], record.Record]


class Consumer:
    """Feeds one service with batches from its durable consumer.

    `decode` reads a message of another stream than the log. With a `publisher` it stands still while that cannot append.
    `handle` gets up to `batch` deliveries and settles each, at once or later; heartbeats go on until it
    does. What is unsettled when it raises is given back.
    """

    def __init__(
        self,
        log: log_.Log,
        broker: NatsBroker,
        durable: topology.Durable,
        handle: Handle,
        *,
        batch: int = 512,
        linger: float = 0.0,
        publisher: Publisher | None = None,
        decode: Decode = record.decode,
    ) -> None:
        self._log = log
        self._durable = durable
        self._handle = handle
        self._batch = batch
        self._linger = linger
        self._publisher = publisher
        self._decode = decode
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._held: dict[int, Delivery] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._accepting = True
        self._empty = asyncio.Event()
        self._redelivered = metrics.REDELIVERED.labels(durable.name)
        self._consumed = metrics.CONSUMED.labels(durable.name)
        self._handling = metrics.HANDLING.labels(durable.name)
        self.problem: str | None = None
        subscriber = broker.subscriber(
            durable.deliver_subject,
            queue=durable.name,
            stream=JStream(durable.stream, declare=False),
            ack_policy=AckPolicy.MANUAL,
            pending_msgs_limit=durable.in_flight * 2,
            pending_bytes_limit=1 << 30,
        )
        subscriber(self._take)
        # FastStream subscribes, drains and unsubscribes; its middlewares, parsers and context, which cost
        # three times our own work on a record and do nothing here, are left out.
        subscriber.consume = self._take  # type: ignore[method-assign, assignment]

    @property
    def held(self) -> int:
        """Return how many records are in hand."""
        return len(self._held)

    def start(self) -> None:
        """Begin working; call before the broker starts to push."""
        self._tasks = [
            asyncio.create_task(self._work(), name=f"{self._durable.name}-work"),
            asyncio.create_task(self._beat(), name=f"{self._durable.name}-heartbeat"),
        ]

    def pause(self) -> None:
        """Take nothing new from now on; what arrives is given back."""
        self._accepting = False

    async def stop(self, grace: float = 0.0) -> None:
        """Take nothing new, wait up to `grace` seconds for what is in hand, give the rest back."""
        self.pause()
        if self._held:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for delivery in list(self._held.values()):
            await delivery.retry(LEAVING)

    async def settle(self, delivery: Delivery, verb: bytes) -> None:
        """Answer for a delivery, once; a lost answer only means that it comes again."""
        if delivery.settled:
            return
        self.forget(delivery)
        if verb == ACK:
            self._consumed.inc()
        try:
            await self._log.write(_answer(delivery.reply, verb))
        except (nats.errors.Error, OSError) as error:
            logger.warning("settle_failed", consumer=self._durable.name, error=repr(error))

    async def ack_all(self, deliveries: list[Delivery]) -> None:
        """Settle many records in one write: a publish for each costs as much as the work."""
        done = [delivery for delivery in deliveries if not delivery.settled]
        for delivery in done:
            self.forget(delivery)
        self._consumed.inc(len(done))
        try:
            await self._log.write(b"".join(_answer(delivery.reply, ACK) for delivery in done))
        except (nats.errors.Error, OSError) as error:
            logger.warning("settle_failed", consumer=self._durable.name, error=repr(error))

    def forget(self, delivery: Delivery) -> None:
        """Stop keeping a delivery alive."""
        delivery.settled = True
        if self._held.get(delivery.record.sequence) is delivery:
            del self._held[delivery.record.sequence]
        if not self._held:
            self._empty.set()

    async def _take(self, raw: Msg) -> None:
        sequence, delivered = _position(raw.reply)
        if not self._accepting:
            await self._log.client.publish(raw.reply, b'-NAK {"delay": %d}' % int(LEAVING * 1e9))
            return
        held = self._held.get(sequence)
        if held is not None:  # it came again, though we hold it: only the handle is newer
            held.reply = raw.reply
            self._redelivered.inc()
            return
        if delivered > 1:
            self._redelivered.inc()
        try:
            item = self._decode(raw.subject, raw.headers, raw.data, sequence)
        except (record.UnknownEvent, record.Undecodable) as error:
            await self._set_aside(raw, sequence, error)
            return
        delivery = Delivery(self, item, raw.reply, delivered, asyncio.get_running_loop().time())
        self._held[sequence] = delivery
        self._empty.clear()
        self._queue.put_nowait(delivery)

    async def set_aside(self, delivery: Delivery, why: Exception) -> None:
        """Dead-letter a record that can never be handled, so that its neighbours go on."""
        item = delivery.record
        await self._dead_letter(
            record.nats_subject(item), record.payload(item.event), record.headers(item), why
        )
        await self.settle(delivery, TERM)

    async def _set_aside(self, raw: Msg, sequence: int, why: Exception) -> None:
        try:
            await self._dead_letter(raw.subject, raw.data, dict(raw.headers or {}), why)
        except (nats.errors.Error, OSError) as error:
            logger.warning("dead_letter_failed", sequence=sequence, error=repr(error))
            return  # not settled: it comes again
        await self._log.client.publish(raw.reply, TERM)

    async def _dead_letter(self, subject: str, data: bytes, head: dict[str, str], why: Exception) -> None:
        reason = type(why).__name__
        kept = {key: value for key, value in head.items() if not key.startswith("Nats-")}
        kept |= {"sendlog-consumer": self._durable.name, "sendlog-reason": str(why).replace("\n", " ")[:500]}
        target = f"dead.{self._durable.name}.{subject}"
        await self._log.client.jetstream().publish(target, data, headers=kept, timeout=5)
        metrics.DEAD_LETTERS.labels(self._durable.name, reason).inc()
        logger.error("dead_letter", consumer=self._durable.name, nats_subject=subject, reason=str(why))

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            if self._linger and self._queue.qsize() + 1 < self._batch and self._busy():
                await asyncio.sleep(self._linger)
            while len(batch) < self._batch and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch = [delivery for delivery in batch if not delivery.settled]
            await self._can_append()
            started = loop.time()
            try:
                await self._handle(batch)
                self.problem = None
            except Exception as error:
                self.problem = repr(error)
                logger.exception("batch_failed", consumer=self._durable.name, records=len(batch))
                for delivery in batch:
                    if not delivery.settled:
                        await delivery.retry(min(30.0, 0.5 * 2 ** min(delivery.delivered, 6)))
            self._handling.observe(loop.time() - started)

    async def _can_append(self) -> None:
        """Hold the batch, kept alive, while nothing that follows from it could be appended."""
        while self._publisher and self._publisher.problem:  # noqa: ASYNC110 - it fades, nothing announces it
            await asyncio.sleep(0.2)

    def _busy(self) -> bool:
        return len(self._held) > 8

    async def _beat(self) -> None:
        """Keep what is in hand alive; each heartbeat is a request, so that silence is noticed."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(topology.HEARTBEAT / 2)
            now = loop.time()
            due = [d for d in self._held.values() if now - d.alive_at >= topology.HEARTBEAT - 0.5]
            if due:
                await heartbeats.keep_alive(self._log, due)


def _answer(reply: str, verb: bytes) -> bytes:
    return b"PUB %b %d\r\n%b\r\n" % (reply.encode(), len(verb), verb)


def _position(reply: str) -> tuple[int, int]:
    """Return (stream sequence, times delivered) from an ack subject: $JS.ACK.<stream>.<consumer>.…"""
    parts = reply.split(".")
    if len(parts) >= 11:  # with domain and account hash
        return int(parts[7]), int(parts[6])
    return int(parts[5]), int(parts[4])


def make_broker(url: str, name: str) -> NatsBroker:
    """Return a FastStream broker that only subscribes: no logging of records, reconnects for ever."""
    return NatsBroker(
        url,
        name=name,
        apply_types=False,
        logger=None,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,  # type: ignore[arg-type]  # nats-py sleeps it: fractions are fine
        connect_timeout=2,
        ping_interval=5,
        max_outstanding_pings=2,
    )


async def start_broker(broker: NatsBroker) -> None:
    """Connect and let the server push; every consumer must have been started before."""
    client = await broker.connect()
    log_.parse_headers_fast(client)
    await broker.start()


async def stop_broker(broker: NatsBroker) -> None:
    """Unsubscribe and close; what has arrived still goes to its consumer, which must have been paused.

    FastStream alone drops what it has not handed over, and that comes again only after `ack_wait`.
    """
    with contextlib.suppress(nats.errors.Error):  # the broker may be away
        await (await broker.connect()).drain()
    try:
        await broker.stop()
    except* nats.errors.Error:  # it unsubscribes from what is closed already
        pass
