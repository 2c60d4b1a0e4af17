"""Which records come to which handler."""

from typing import Final

from faststream.nats import NatsBroker

from services.projector.handlers import Handlers
from shared.runtime import topology
from shared.runtime.consumer import Consumer
from shared.runtime.delivery import Delivery
from shared.runtime.log import Log

BATCH: Final = 2000
LINGER: Final = (
    0.2  # seconds, under load only: an email that is sent at once is then one row version, not three
)


def build(log: Log, broker: NatsBroker, handlers: Handlers) -> Consumer:
    """Return the consumer of the whole log."""

    async def handle(batch: list[Delivery]) -> None:
        await handlers.take(batch, consumer)

    consumer = Consumer(log, broker, topology.PROJECTOR, handle, batch=BATCH, linger=LINGER)
    return consumer
